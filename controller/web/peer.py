"""Who asks: the kernel's word on the unix socket, the certificate's over TLS; never the asker's."""

import pwd
import socket
import struct
from typing import Final

from aiohttp import web

from controller.web.source import Asker, NotAsked

ASKER: Final = web.RequestKey("asker", Asker)  # in a request that came over mutual TLS
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid
_PEER_GROUPS: Final = 59  # SO_PEERGROUPS, which Python does not name
_GROUPS_MAX: Final = 65536  # of one process, in Linux


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
    return _account(found)


def _account(connection: socket.socket) -> Asker:
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, gid = _CREDENTIALS.unpack(said)
    gids = _groups(connection) | {gid}
    try:
        return Asker(name=pwd.getpwuid(uid).pw_name, gids=gids)
    except KeyError:
        return Asker(name=f"uid {uid}", gids=gids)


def _groups(connection: socket.socket) -> frozenset[int]:
    """The supplementary groups of the process that asks; none where the kernel does not tell."""
    word = struct.calcsize("I")
    try:
        said = connection.getsockopt(socket.SOL_SOCKET, _PEER_GROUPS, _GROUPS_MAX * word)
    except OSError:
        return frozenset()
    return frozenset(struct.unpack(f"{len(said) // word}I", said))
