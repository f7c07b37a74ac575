"""A TCP relay on loopback that lets a server's bytes through no faster than it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK = 65536


@asynccontextmanager
async def slow_wire(target: int, *, bytes_s: float) -> AsyncIterator[int]:
    """The port by which `target` is reached, slowly."""
    writers: list[asyncio.StreamWriter] = []

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slowly: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
                if slowly:
                    await asyncio.sleep(len(data) / bytes_s)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, forward = await asyncio.open_connection("127.0.0.1", target)
        writers.extend((writer, forward))
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, forward, slowly=False))
            group.create_task(pump(upstream, writer, slowly=True))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()
