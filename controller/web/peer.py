"""Who is at the other end of the unix socket: the kernel's word, not the asker's."""

import pwd
import socket
import struct
from typing import Final

from aiohttp import web

from controller.web.source import NotAsked

_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid


def who_asks(request: web.Request) -> str:
    """The account of the asking process. Raises NotAsked on any socket that cannot say."""
    transport = request.transport
    found = None if transport is None else transport.get_extra_info("socket")
    if found is None or found.family != socket.AF_UNIX:
        raise NotAsked(
            403,
            "requests are taken on the unix socket of a daemon only, where it is known who asks: "
            "run tricast on the node itself",
        )
    said = found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(said)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
