"""GET /api/v1/voters: who votes for each service. It asks for nothing."""

from typing import Final

from aiohttp import web

from controller.web.source import Desk, StatusSource
from controller.web.voters_schema import Voters

DESK: Final = web.AppKey("voters", Desk)
SOURCE: Final = web.AppKey("voters_source", StatusSource)


def add_voters(app: web.Application, source: StatusSource, desk: Desk) -> None:
    """The application tells who votes."""
    app[DESK], app[SOURCE] = desk, source
    app.router.add_get("/api/v1/voters", _voters)


async def _voters(request: web.Request) -> web.Response:
    services = await request.app[DESK].voters(request.query.get("service", ""))
    status = await request.app[SOURCE].status()
    found = Voters(cluster=status.cluster, site=status.site, services=services)
    return web.Response(text=found.model_dump_json(), content_type="application/json")
