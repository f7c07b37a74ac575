"""GET /healthz, /readyz, /metrics and /api/v1/...: answered from the daemon's memory.

POST /api/v1/requests and its verdicts are taken where it is known who asks: on the unix socket, and
over mutual TLS, where a guard stands before every path (controller/web/access.py).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from controller.web.audit import add_audit
from controller.web.drill import add_drills
from controller.web.metrics import CONTENT_TYPE, Metrics
from controller.web.notify import add_notify
from controller.web.peer import who_asks
from controller.web.plan import add_plans
from controller.web.schema import (
    Ask,
    History,
    RequestAnswer,
    Requests,
    RequestView,
    Verdict,
    explain,
)
from controller.web.source import (
    AuditSource,
    Desk,
    DrillDesk,
    NotAsked,
    NotifySource,
    Pulse,
    StatusSource,
)
from controller.web.voters import add_voters

ANSWER_DEADLINE_S: Final = 2.0
HISTORY_LIMIT: Final = 1000

SOURCE: Final = web.AppKey("source", StatusSource)
DESK: Final = web.AppKey("desk", Desk)
METRICS: Final = web.AppKey("metrics", Metrics)

Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(
    source: StatusSource,
    metrics: Metrics | None = None,
    desk: Desk | None = None,
    audit: AuditSource | None = None,
    notify: NotifySource | None = None,
    drills: DrillDesk | None = None,
) -> web.Application:
    """An application that answers for `source`; `metrics` is the one the daemon counts in. Without
    a `desk` nothing can be asked here, without `audit` its log is not shown.
    """
    app = web.Application(middlewares=[_bounded], client_max_size=4096)
    app[SOURCE] = source
    app[METRICS] = metrics or Metrics()
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/api/v1/status", _status)
    app.router.add_get("/api/v1/explain", _explain)
    app.router.add_get("/api/v1/history", _history)
    app.router.add_get("/api/v1/requests", _requests)
    if audit is not None:
        add_audit(app, audit)
    if notify is not None:
        add_notify(app, source, notify)
    if drills is not None:
        add_drills(app, source, drills)
    if desk is not None:
        app[DESK] = desk
        add_plans(app, source, desk)
        add_voters(app, source, desk)
        app.router.add_post("/api/v1/requests", _ask)
        app.router.add_post("/api/v1/requests/approve", _approve)
        app.router.add_post("/api/v1/requests/decline", _decline)
    return app


@web.middleware
async def _bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every answer comes within the deadline, and every error is JSON with a sentence."""
    try:
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            return await handler(request)
    except TimeoutError:
        return _error(503, f"the daemon did not answer within {ANSWER_DEADLINE_S:g} s")
    except web.HTTPNotFound:
        return _error(404, f"there is no {request.path[:200]} here; see /api/v1/status")
    except web.HTTPMethodNotAllowed:
        refused = f"{request.path[:200]} takes no {request.method}"
        return _error(405, f"{refused}: this API only reads, but for requests")
    except NotAsked as error:
        return _error(error.status, str(error))
    except OSError as error:
        return _error(503, f"{error.filename or 'a file'}: {error.strerror or error}")


def _error(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)


def _answer(record: BaseModel) -> web.Response:
    return web.Response(text=record.model_dump_json(), content_type="application/json")


def _pulse(pulse: Pulse) -> web.Response:
    status = 200 if pulse.ok else 503
    return web.json_response({"ok": pulse.ok, "detail": pulse.detail}, status=status)


async def _healthz(request: web.Request) -> web.Response:
    return _pulse(request.app[SOURCE].alive())


async def _readyz(request: web.Request) -> web.Response:
    return _pulse(request.app[SOURCE].ready())


async def _metrics(request: web.Request) -> web.Response:
    metrics = request.app[METRICS]
    metrics.apply(await request.app[SOURCE].status())
    return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})


async def _status(request: web.Request) -> web.Response:
    return _answer(await request.app[SOURCE].status())


async def _explain(request: web.Request) -> web.Response:
    return _answer(explain(await request.app[SOURCE].status()))


async def _history(request: web.Request) -> web.Response:
    asked = request.query.get("limit", "20")
    if len(asked) > 9 or not asked.isdecimal() or not 1 <= int(asked) <= HISTORY_LIMIT:
        return _error(400, f"limit must be a number from 1 to {HISTORY_LIMIT}, not {asked[:20]!r}")
    source = request.app[SOURCE]
    changes = await source.history(request.query.get("service"), int(asked))
    status = await source.status()
    return _answer(History(cluster=status.cluster, site=status.site, changes=changes))


async def _requests(request: web.Request) -> web.Response:
    source = request.app[SOURCE]
    found = await source.requests(request.query.get("service"))
    status = await source.status()
    return _answer(Requests(cluster=status.cluster, site=status.site, requests=found))


async def _ask(request: web.Request) -> web.Response:
    order = await _body(request, Ask)
    return await _told(request, await request.app[DESK].ask(order, who_asks(request)))


async def _approve(request: web.Request) -> web.Response:
    verdict = await _body(request, Verdict)
    return await _told(request, await request.app[DESK].approve(verdict, who_asks(request)))


async def _decline(request: web.Request) -> web.Response:
    verdict = await _body(request, Verdict)
    return await _told(request, await request.app[DESK].decline(verdict, who_asks(request)))


async def _told(request: web.Request, view: RequestView) -> web.Response:
    status = await request.app[SOURCE].status()
    return _answer(RequestAnswer(cluster=status.cluster, site=status.site, request=view))


async def _body(request: web.Request, kind: type[Body]) -> Body:
    try:
        return kind.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotAsked(400, f"{where or 'body'}: {first['msg']}") from None
