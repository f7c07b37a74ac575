"""Listening on a unix socket and on TCP, for as long as a scope lasts."""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

SHUTDOWN_S: Final = 1.0
BACKLOG: Final = 64
SOCKET_MODE: Final = 0o660


class ListenError(Exception):
    """Somebody else listens there, or the address is not ours. The message names it."""


@asynccontextmanager
async def serve(
    app: web.Application, socket_path: Path, host: str | None, port: int
) -> AsyncIterator[int]:
    """`app` answers on the socket, and on host:port unless host is None. Yields the TCP port.

    The socket appears under its name only when it is bound and has its mode, and replaces that of
    a dead daemon without a moment in between.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        bound, inode = _bind_unix(socket_path)
        try:
            await web.SockSite(runner, bound, backlog=BACKLOG).start()
            tcp_port = port if host is None else await _listen(runner, host, port)
            yield tcp_port
        finally:
            _unlink_own(socket_path, inode)
    finally:
        async with asyncio.timeout(2 * SHUTDOWN_S):
            await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        await web.SockSite(runner, bound, backlog=BACKLOG).start()
    except OSError as error:
        bound.close()
        raise ListenError(
            f"cannot listen on {host} port {port}: {error.strerror}; see api.port and api.address"
        ) from None
    return int(bound.getsockname()[1])


def _bind_unix(path: Path) -> tuple[socket.socket, int]:
    if _somebody_answers(path):
        raise ListenError(f"another daemon answers on {path} already; is tricast running twice?")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        fresh.unlink(missing_ok=True)
        bound.bind(str(fresh))
        fresh.chmod(SOCKET_MODE)
        # Listening before the rename: whoever finds the name can connect.
        bound.listen(BACKLOG)
        inode = fresh.stat().st_ino
        fresh.rename(path)
    except OSError as error:
        bound.close()
        fresh.unlink(missing_ok=True)
        raise ListenError(f"cannot make the socket {path}: {error.strerror or error}") from None
    return bound, inode


def _somebody_answers(path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise ListenError(f"{path} is there and is no socket; see api.socket")
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        # A full backlog (EAGAIN) has somebody behind it too.
        return probe.connect_ex(str(path)) in (0, errno.EAGAIN)


def _unlink_own(path: Path, inode: int) -> None:
    """A successor may have put its own socket under the name already; that one stays."""
    try:
        if path.stat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        pass
