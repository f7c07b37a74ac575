"""A daemon's API over mutual TLS: the door, and who may come through it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from controller.audit.entry import Event
from controller.config import Cluster
from controller.core.model import SiteName
from controller.ports import Clock
from controller.runtime.auditor import Auditor
from controller.web.access import Access, guarded
from controller.web.certificate import RevocationList
from controller.web.source import Asker
from controller.web.tls import Door, TlsFiles


async def answer_over_tls(
    cluster: Cluster,
    site: SiteName,
    clock: Clock,
    auditor: Auditor,
    build: Callable[[], web.Application],
) -> None:
    """What `build` makes answers over mutual TLS, where it is configured, until it is cancelled."""
    tls = cluster.api.tls
    if tls is None:
        await asyncio.Event().wait()
        return
    files = TlsFiles(
        certificate=Path(tls.cert_file), key=Path(tls.key_file), client_ca=Path(tls.client_ca_file)
    )
    revoked = None
    if tls.crl_file is not None:
        revoked = RevocationList(file=Path(tls.crl_file), authorities=files.client_ca)
    access = Access(
        operators=frozenset(tls.operators),
        readers=frozenset(tls.readers),
        revoked=revoked,
        clock=clock,
        refused=noting(auditor),
    )
    app = build()
    app.middlewares.append(guarded(access))
    door = Door(
        app=app,
        files=files,
        host=cluster.api_tls_address(site),
        port=tls.port,
        reread=str if revoked is None else revoked.read,
    )
    await door.keep()


def noting(auditor: Auditor) -> Callable[[Asker, str, str], None]:
    """Each change that was refused at the door is an entry of the audit log."""

    def note(who: Asker, asked: str, why: str) -> None:
        facts = {"asked": asked, **who.facts}
        auditor.note(Event.REFUSED, who=str(who), verb="api", outcome=why, facts=facts)

    return note
