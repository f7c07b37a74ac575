"""Looking up names without asyncio's shared threads, which promises are written with.

When the network is down a lookup can hang for long, and that is just when a seal has to be made
durable: it must not wait for a thread that waits for a name server.
"""

import asyncio
import contextlib
import socket
from threading import Thread

from aiohttp.abc import AbstractResolver, ResolveResult


class OwnThreadResolver(AbstractResolver):
    """One lookup at a time, in a thread that nothing waits for, not even the end of the daemon."""

    def __init__(self) -> None:
        self._busy = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Its addresses. Raises OSError, at once while the lookup before still hangs."""
        if self._busy:
            raise OSError(None, "the name lookup before this one still hangs")
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def settle(answer: list[ResolveResult] | OSError) -> None:
            if found.done():
                return
            if isinstance(answer, OSError):
                found.set_exception(answer)
            else:
                found.set_result(answer)

        def look() -> None:
            answer = _looked_up(host, port, family)
            self._busy = False
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, answer)

        self._busy = True
        Thread(target=look, name="notify-names", daemon=True).start()
        return await found

    async def close(self) -> None:
        """It is kept: each delivery has a session of its own."""


def _looked_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult] | OSError:
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    except OSError as error:
        return error
    except UnicodeError as error:
        return OSError(None, str(error))
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in found
    ]
