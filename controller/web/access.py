"""Who is at the other end of a TLS connection, and what that person may do.

A person is the common name of the client certificate, if it is in one of two lists. Four eyes
compare names, so a person has to have the same name here and as an account on the nodes; the way a
name was proved is kept beside it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from controller.ports import Clock
from controller.web.certificate import BadList, RevocationList, Shown, shown
from controller.web.peer import ASKER
from controller.web.source import Asker, NotAsked

FORBIDDEN: Final = 403
LOOKING: Final = frozenset({"GET", "HEAD"})
OTHER_WAY: Final = "the unix socket of the node itself is open as before"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refused = Callable[[Asker, str, str], None]  # who, what was asked, why not


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The two lists, and what was taken back."""

    operators: frozenset[str]
    readers: frozenset[str]
    revoked: RevocationList | None
    clock: Clock
    refused: Refused

    def judged(self, der: bytes | None, asked: str, *, changes: bool) -> Asker:
        """Who asks, if that may be asked by this person. Raises NotAsked; a refused change is
        passed on to `refused` as well.
        """
        if der is None:
            raise NotAsked(FORBIDDEN, "no client certificate was shown on this connection")
        try:
            certificate = shown(der)
        except ValueError as error:
            raise NotAsked(FORBIDDEN, f"the client certificate cannot be read: {error}") from None
        asker = _asker(certificate)
        sentence = self._against(certificate, changes=changes)
        if not sentence:
            return asker
        if changes:
            self.refused(asker, asked, sentence)
        raise NotAsked(FORBIDDEN, sentence)

    def _against(self, certificate: Shown, *, changes: bool) -> str:
        """Why not; "" when nothing speaks against it."""
        who = f"{certificate.subject} (serial {certificate.serial_text})"
        if sentence := self._invalid(certificate, who):
            return sentence
        name = certificate.name
        if name in self.operators:
            return ""
        if name in self.readers:
            step = "ask an operator, or have the name moved to api.tls.operators"
            return f"{who} is a reader and may change nothing: {step}" if changes else ""
        said = f"{name!r} is" if name else "there is not exactly one common name in it, so it is"
        return (
            f"the certificate of {who} is valid, but {said} in neither api.tls.operators nor "
            "api.tls.readers: add the name to the cluster file and restart the daemon, or use "
            "another certificate"
        )

    def _invalid(self, certificate: Shown, who: str) -> str:
        now = datetime.fromisoformat(self.clock.stamp())
        if certificate.expires < now:  # a connection may outlive it
            return f"the certificate of {who} has expired: use a new one"
        if self.revoked is None:
            return ""
        try:
            taken_back = self.revoked.check(certificate, now)
        except BadList as error:
            return f"{error}; nobody is let in until api.tls.crl_file is mended; {OTHER_WAY}"
        return f"the certificate of {who} was revoked: use another one" if taken_back else ""


def _asker(certificate: Shown) -> Asker:
    return Asker(
        name=certificate.name or certificate.subject,
        proof=certificate.short,
        facts={
            "certificate": f"serial {certificate.serial_text}, subject {certificate.subject}, "
            f"issuer {certificate.issuer}"
        },
    )


def guarded(access: Access) -> Middleware:
    """A middleware: nothing is answered to a person who may not ask it."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        transport = request.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        asked = f"{request.method} {request.path[:200]}"
        request[ASKER] = access.judged(der, asked, changes=request.method not in LOOKING)
        return await handler(request)

    return guard
