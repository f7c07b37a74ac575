"""GET /api/v1/plan: what a switchover, failover or drain would do now. It asks for nothing."""

from typing import Final

from aiohttp import web
from pydantic import ValidationError

from controller.web.plan_schema import Plan
from controller.web.schema import Ask
from controller.web.source import Desk, NotAsked, StatusSource

KINDS: Final = ("switchover", "failover", "drain")
WORDS: Final = ("kind", "service", "target", "allow_data_loss")
PLANS: Final = web.AppKey("plans", Desk)
SOURCE: Final = web.AppKey("plans_source", StatusSource)


def add_plans(app: web.Application, source: StatusSource, plans: Desk) -> None:
    """The application tells what asking would do."""
    app[PLANS], app[SOURCE] = plans, source
    app.router.add_get("/api/v1/plan", _plan)


async def _plan(request: web.Request) -> web.Response:
    found = await request.app[PLANS].plan(_order(request))
    status = await request.app[SOURCE].status()
    plan = Plan(
        cluster=status.cluster, site=status.site, now=status.now, **found.model_dump(mode="json")
    )
    return web.Response(text=plan.model_dump_json(), content_type="application/json")


def _order(request: web.Request) -> Ask:
    """What is meant. Raises NotAsked."""
    unknown = [word for word in request.query if word not in WORDS]
    if unknown:
        raise NotAsked(400, f"a plan takes no {unknown[0][:50]!r}; it takes {', '.join(WORDS)}")
    try:
        order = Ask.model_validate({"kind": "", **request.query})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotAsked(400, f"{where}: {first['msg']}") from None
    if order.kind not in KINDS:
        raise NotAsked(400, f"kind must be one of {', '.join(KINDS)}, not {order.kind[:50]!r}")
    return order
