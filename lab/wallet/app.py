"""The wallet's HTTP face. A transfer is answered 200 only when both databases have committed it.

The journal comes first. If the ledger then fails, what is left is a note that somebody asked,
and no money has moved; the other order would leave moved money that no journal knows of. Either
way the retry under the same key completes what is missing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Final

import psycopg
import pymysql.err
from aiohttp import web

from lab.wallet.journal import Journal
from lab.wallet.ledger import Ledger
from lab.wallet.transfer import (
    BadTransfer,
    KeyReused,
    NotDone,
    Origin,
    Unknown,
    parse_transfer,
)

_PAGE: Final = 5000
_PING_S: Final = 0.3
_LARGEST_BODY: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """The two databases of this server's own site; pings have connections of their own."""

    ledger: Ledger
    journal: Journal
    ledger_health: Ledger
    journal_health: Journal


def build_app(origin: Origin, service: str, databases: Databases | None) -> web.Application:
    """The application; without databases it only says who it is and that it lives."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    face = _Face(origin, service)
    app.add_routes([web.get("/", face.whoami), web.get("/whoami", face.whoami)])
    if databases is None:
        app.add_routes([web.get("/healthz", face.alive)])
        return app
    wallet = _Wallet(origin, databases)
    app.add_routes(
        [
            web.get("/healthz", wallet.health),
            web.post("/transfer", wallet.transfer),
            web.get("/ledger", wallet.summary),
            web.get("/reports/ledger", wallet.summary),
            web.get("/ledger/keys", wallet.ledger_keys),
            web.get("/journal/keys", wallet.journal_keys),
        ]
    )
    return app


class _Face:
    def __init__(self, origin: Origin, service: str) -> None:
        self._words = {"service": service, "site": origin.site, "server": origin.server}

    async def whoami(self, _request: web.Request) -> web.Response:
        return web.json_response(self._words)

    async def alive(self, _request: web.Request) -> web.Response:
        return web.json_response({**self._words, "chain": [{"link": "wallet", "ok": True}]})


class _Wallet:
    def __init__(self, origin: Origin, databases: Databases) -> None:
        self._origin = origin
        self._databases = databases
        self._words = {"site": origin.site, "server": origin.server}

    async def transfer(self, request: web.Request) -> web.Response:
        committed = False
        try:
            transfer = parse_transfer(request.headers.get("Idempotency-Key"), await _body(request))
            await self._databases.journal.record(transfer, self._origin)
            committed = True
            row = await self._databases.ledger.record(transfer, self._origin)
        except BadTransfer as error:
            return self._problem(400, "failed", error)
        except KeyReused as error:
            return self._problem(409, "failed", error)
        except NotDone as error:
            return self._problem(503, "unknown" if committed else "failed", error)
        except Unknown as error:
            return self._problem(503, "unknown", error)
        return web.json_response({**self._words, "id": row, "key": transfer.key})

    async def health(self, _request: web.Request) -> web.Response:
        """The chain in the order in which a transfer needs it, up to the link that is broken."""
        pings: list[tuple[str, Callable[[float], Awaitable[None]]]] = [
            ("postgres", self._databases.ledger_health.ping),
            ("mysql", self._databases.journal_health.ping),
        ]
        chain: list[dict[str, object]] = [{"link": "wallet", "ok": True}]
        for link, ping in pings:
            why = await _broken(ping)
            chain.append({"link": link, "ok": why is None} | ({"why": why} if why else {}))
            if why:
                answer = {**self._words, "broken": link, "why": why, "chain": chain}
                return web.json_response(answer, status=503)
        return web.json_response({**self._words, "chain": chain})

    async def summary(self, request: web.Request) -> web.Response:
        after = _after(request)
        try:
            count, total, last = await self._databases.ledger.summary(after)
        except (NotDone, Unknown) as error:
            return self._problem(503, "failed", error)
        return web.json_response({**self._words, "count": count, "sum": total, "last_id": last})

    async def ledger_keys(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, self._databases.ledger.keys)

    async def journal_keys(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, self._databases.journal.keys)

    async def _stream(
        self,
        request: web.Request,
        keys: Callable[[int, int], Awaitable[list[tuple[int, str]]]],
    ) -> web.StreamResponse:
        """Every key, one a line. A stream that breaks off is cut without its last chunk."""
        try:
            rows = await keys(_after(request), _PAGE)
        except (NotDone, Unknown) as error:
            return self._problem(503, "failed", error)
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=ascii"})
        await response.prepare(request)
        while rows:
            await response.write("".join(f"{key}\n" for _, key in rows).encode())
            rows = await keys(rows[-1][0], _PAGE)
        await response.write_eof()
        return response

    def _problem(self, status: int, outcome: str, error: Exception) -> web.Response:
        body = {**self._words, "outcome": outcome, "error": str(error)}
        return web.json_response(body, status=status)


async def _body(request: web.Request) -> object:
    try:
        return await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        raise BadTransfer("the body is not JSON") from None


async def _broken(ping: Callable[[float], Awaitable[None]]) -> str | None:
    try:
        await ping(_PING_S)
    except TimeoutError:
        return f"no answer within {_PING_S:g} s"
    except (NotDone, Unknown, psycopg.Error, pymysql.err.Error, OSError, EOFError) as error:
        return str(error) or type(error).__name__
    return None


def _after(request: web.Request) -> int:
    text = request.query.get("after", "0")
    if not text.isdecimal():
        raise web.HTTPBadRequest(text=f"after: {text!r} is not a row id\n")
    return int(text)
