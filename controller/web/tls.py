"""Listening for mutual TLS, with files that are renewed while we run.

Nothing else of a daemon waits for this: files that cannot be used, and an address that is taken,
are said in the log and tried again, and whatever was in use before stays in use.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from controller.web.certificate import stamp
from controller.web.serve import BACKLOG, SHUTDOWN_S

log = structlog.get_logger()

LOOK_S: Final = 5.0  # between two looks at the files
HANDSHAKE_S: Final = 5.0


class Unusable(Exception):
    """It cannot be listened with these files, or there. The message names them."""


class _Handshake(ssl.SSLObject):
    """One that fails tells the client why: asyncio alone ends the connection without the alert."""

    outgoing: ssl.MemoryBIO
    failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Raises SSLWantReadError once more, for the alert to be sent, before it fails."""
        if self.failure is not None:
            raise self.failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if not self.outgoing.pending:
                raise
            self.failure = error
            raise ssl.SSLWantReadError from error


class _Latest(ssl.SSLContext):
    """A new connection is one of the context that is the latest then; those that stand go on."""

    latest: ssl.SSLContext

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as in the library
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the library's; what goes out is known to the connection."""
        made = self.latest.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(made, _Handshake)
        made.outgoing = outgoing
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What proves us to operators, and operators to us."""

    certificate: Path
    key: Path
    client_ca: Path

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer; no client without a certificate. Raises Unusable."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = _Handshake
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            for file in (self.certificate, self.key, self.client_ca):
                file.read_bytes()  # ssl does not name the file that it cannot read
            # A key with a pass phrase is refused; nobody could type it.
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except ssl.SSLError as error:
            why = error.reason or str(error)
            raise Unusable(f"{self.certificate} with {self.key}: {why}") from None
        except OSError as error:
            raise Unusable(f"{error.filename}: {error.strerror}") from None
        try:
            context.load_verify_locations(self.client_ca)
        except ssl.SSLError as error:
            raise Unusable(f"{self.client_ca}: {error.reason or error}") from None
        return context

    def stamps(self) -> tuple[tuple[int, ...], ...]:
        """Others for each content of the files."""
        return tuple(map(stamp, (self.certificate, self.key, self.client_ca)))


@dataclass(slots=True, kw_only=True)
class Door:
    """One address where an application answers over mutual TLS."""

    app: web.Application
    files: TlsFiles
    host: str
    port: int
    reread: Callable[[], str] = str  # whatever else is read anew; what is wrong with it, or ""
    look_s: float = LOOK_S
    _server: asyncio.Server | None = None
    _context: _Latest = field(default_factory=lambda: _Latest(ssl.PROTOCOL_TLS_SERVER))
    _stamps: tuple[tuple[int, ...], ...] = ()
    _said: dict[str, str] = field(default_factory=dict)

    async def keep(self, opened: Callable[[int], None] = lambda _port: None) -> None:
        """Answers until it is cancelled; `opened` is told the port, once."""
        async with _answering(self.app) as answer:
            try:
                while True:
                    was_open = self._server is not None
                    await self._look(answer)
                    if self._server is not None and not was_open:
                        opened(self._server.sockets[0].getsockname()[1])
                    await asyncio.sleep(self.look_s)
            finally:
                if self._server is not None:
                    self._server.close()

    async def _look(self, answer: web.Server) -> None:
        """The files as they are now are in use, as far as they can be used."""
        self._say("revocation list", await asyncio.to_thread(self.reread))
        stamps = await asyncio.to_thread(self.files.stamps)
        if stamps == self._stamps:
            return
        try:
            context = await asyncio.to_thread(self.files.context)
            await self._use(answer, context)
        except Unusable as error:
            self._say("files", str(error))
            return
        self._say("files", "")
        self._stamps = stamps

    async def _use(self, answer: web.Server, context: ssl.SSLContext) -> None:
        """New connections are made with `context`; those that stand go on. Raises Unusable."""
        self._context.latest = context
        where = f"{self.host} port {self.port}"
        if self._server is not None:
            log.info("api_tls", renewed=where)
            return
        self._server = await asyncio.get_running_loop().create_server(
            answer,
            sock=_bound(self.host, self.port),
            ssl=self._context,
            backlog=BACKLOG,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=SHUTDOWN_S,
        )
        log.info("api_tls", listens=where)

    def _say(self, what: str, problem: str) -> None:
        """A problem is logged when it comes, and when it goes."""
        if problem != self._said.get(what, ""):
            log.warning("api_tls", problem=problem or f"{what}: mended")
        self._said[what] = problem


@asynccontextmanager
async def _answering(app: web.Application) -> AsyncIterator[web.Server]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        assert runner.server is not None
        yield runner.server
    finally:
        async with asyncio.timeout(2 * SHUTDOWN_S):
            await runner.cleanup()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise Unusable(f"cannot listen on {host} port {port}: {error.strerror}") from None
    bound.settimeout(0)
    return bound
