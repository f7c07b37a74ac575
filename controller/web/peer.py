"""Who asks: the kernel's word on the unix socket, the certificate's over TLS; never the asker's."""

import pwd
import socket
import struct
from typing import Final

from aiohttp import web

from controller.web.source import Asker, NotAsked

ASKER: Final = web.RequestKey("asker", Asker)  # in a request that came over mutual TLS
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid


def who_asks(request: web.Request) -> Asker:
    """Who asks for a change. Raises NotAsked where nobody can say."""
    known: Asker | None = request.get(ASKER)
    if known is not None:
        return known
    transport = request.transport
    found = None if transport is None else transport.get_extra_info("socket")
    if found is None or found.family != socket.AF_UNIX:
        raise NotAsked(
            403,
            "requests are taken where it is known who asks: on the unix socket of a daemon (run "
            "tricast on the node itself), or over mutual TLS (tricast --server; see api.tls)",
        )
    return Asker(name=_account(found))


def _account(connection: socket.socket) -> str:
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(said)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
