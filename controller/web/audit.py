"""/api/v1/audit...: the audit log of the answering node; looked at, and archived."""

from typing import Final

from aiohttp import web
from pydantic import ValidationError

from controller.web.audit_schema import AuditArchive
from controller.web.peer import who_asks
from controller.web.source import AuditSource, NotAsked

LIMIT_MAX: Final = 10_000
SINCE_LENGTH_MAX: Final = 40
DIGITS_MAX: Final = 20

AUDIT: Final = web.AppKey("audit", AuditSource)


def add_audit(app: web.Application, audit: AuditSource) -> None:
    """The application answers for `audit` too."""
    app[AUDIT] = audit
    app.router.add_get("/api/v1/audit", _entries)
    app.router.add_get("/api/v1/audit/files", _files)
    app.router.add_get("/api/v1/audit/raw", _raw)
    app.router.add_post("/api/v1/audit/archived", _archived)
    app.router.add_get("/api/v1/audit/anchors", _anchors)


async def _entries(request: web.Request) -> web.Response:
    asked, since = request.query.get("limit", "50"), request.query.get("since", "")
    if len(asked) > 9 or not asked.isdecimal() or not 1 <= int(asked) <= LIMIT_MAX:
        raise NotAsked(400, f"limit must be a number from 1 to {LIMIT_MAX}, not {asked[:20]!r}")
    if len(since) > SINCE_LENGTH_MAX:
        raise NotAsked(400, f"since must be a time like 2026-11-21T10:00:00, not {since[:40]!r}")
    found = await request.app[AUDIT].entries(request.query.get("service"), since, int(asked))
    return web.Response(text=found.model_dump_json(), content_type="application/json")


async def _files(request: web.Request) -> web.Response:
    found = await request.app[AUDIT].files()
    return web.Response(text=found.model_dump_json(), content_type="application/json")


async def _raw(request: web.Request) -> web.Response:
    file, offset = _number(request, "file"), _number(request, "offset")
    log = await request.app[AUDIT].raw(file, offset)
    return web.Response(body=log, content_type="application/octet-stream")


def _number(request: web.Request, name: str) -> int:
    asked = request.query.get(name, "0" if name == "offset" else "")
    if len(asked) > DIGITS_MAX or not asked.isdecimal():
        raise NotAsked(400, f"{name} must be a number, as /api/v1/audit/files says it")
    return int(asked)


async def _archived(request: web.Request) -> web.Response:
    who = who_asks(request)
    try:
        copied = AuditArchive.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotAsked(400, f"{where or 'body'}: {first['msg']}") from None
    found = await request.app[AUDIT].archive(copied, who)
    return web.Response(text=found.model_dump_json(), content_type="application/json")


async def _anchors(request: web.Request) -> web.Response:
    found = await request.app[AUDIT].anchors()
    return web.Response(text=found.model_dump_json(), content_type="application/json")
