"""GET /api/v1/notifications, and POST /api/v1/notifications/test, where it is known who asks."""

from typing import Final

from aiohttp import web
from pydantic import ValidationError

from controller.web.notify_schema import Notifications, NotifyAsk, NotifyTest
from controller.web.peer import who_asks
from controller.web.source import NotAsked, NotifySource, StatusSource

NOTIFY: Final = web.AppKey("notify", NotifySource)
SOURCE: Final = web.AppKey("notify_source", StatusSource)


def add_notify(app: web.Application, source: StatusSource, notify: NotifySource) -> None:
    """The application answers for `notify` too."""
    app[NOTIFY], app[SOURCE] = notify, source
    app.router.add_get("/api/v1/notifications", _view)
    app.router.add_post("/api/v1/notifications/test", _test)


async def _view(request: web.Request) -> web.Response:
    status = await request.app[SOURCE].status()
    found = Notifications(
        cluster=status.cluster, site=status.site, notifications=request.app[NOTIFY].view()
    )
    return web.Response(text=found.model_dump_json(), content_type="application/json")


async def _test(request: web.Request) -> web.Response:
    who_asks(request)
    try:
        asked = NotifyAsk.model_validate_json(await request.read())
    except ValidationError as error:
        raise NotAsked(400, f"body: {error.errors(include_url=False)[0]['msg']}") from None
    tested = await request.app[NOTIFY].test(asked.target)
    status = await request.app[SOURCE].status()
    found = NotifyTest(cluster=status.cluster, site=status.site, tested=tested)
    return web.Response(text=found.model_dump_json(), content_type="application/json")
