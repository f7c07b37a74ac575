"""GET /api/v1/audit...: the audit log of the answering node."""

from typing import Final

from aiohttp import web

from controller.web.source import AuditSource, NotAsked

LIMIT_MAX: Final = 10_000
SINCE_LENGTH_MAX: Final = 40

AUDIT: Final = web.AppKey("audit", AuditSource)


def add_audit(app: web.Application, audit: AuditSource) -> None:
    """The application answers for `audit` too."""
    app[AUDIT] = audit
    app.router.add_get("/api/v1/audit", _entries)
    app.router.add_get("/api/v1/audit/raw", _raw)
    app.router.add_get("/api/v1/audit/anchors", _anchors)


async def _entries(request: web.Request) -> web.Response:
    asked, since = request.query.get("limit", "50"), request.query.get("since", "")
    if len(asked) > 9 or not asked.isdecimal() or not 1 <= int(asked) <= LIMIT_MAX:
        raise NotAsked(400, f"limit must be a number from 1 to {LIMIT_MAX}, not {asked[:20]!r}")
    if len(since) > SINCE_LENGTH_MAX:
        raise NotAsked(400, f"since must be a time like 2026-11-21T10:00:00, not {since[:40]!r}")
    found = await request.app[AUDIT].entries(request.query.get("service"), since, int(asked))
    return web.Response(text=found.model_dump_json(), content_type="application/json")


async def _raw(request: web.Request) -> web.Response:
    log = await request.app[AUDIT].raw()
    return web.Response(body=log, content_type="application/octet-stream")


async def _anchors(request: web.Request) -> web.Response:
    found = await request.app[AUDIT].anchors()
    return web.Response(text=found.model_dump_json(), content_type="application/json")
