"""POST /api/v1/drills: a drill is over, and every site shall know it. Taken as requests are."""

from typing import Final

from aiohttp import web
from pydantic import ValidationError

from controller.web.drill_schema import DrillNote, DrillNoted
from controller.web.peer import who_asks
from controller.web.source import DrillDesk, NotAsked, StatusSource

DRILLS: Final = web.AppKey("drills", DrillDesk)
SOURCE: Final = web.AppKey("drills_source", StatusSource)


def add_drills(app: web.Application, source: StatusSource, drills: DrillDesk) -> None:
    """The application takes notes of drills too."""
    app[DRILLS], app[SOURCE] = drills, source
    app.router.add_post("/api/v1/drills", _note)


async def _note(request: web.Request) -> web.Response:
    who = who_asks(request)
    try:
        note = DrillNote.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotAsked(400, f"{where or 'body'}: {first['msg']}") from None
    last = await request.app[DRILLS].note(note, who)
    status = await request.app[SOURCE].status()
    found = DrillNoted(cluster=status.cluster, site=status.site, last=last)
    return web.Response(text=found.model_dump_json(), content_type="application/json")
