"""A pair of PostgreSQL servers that change places under clients of every kind."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, LiteralString

import psycopg

from lab.holding import haproxy, pgbouncer
from lab.holding.clients import Client, Pooled, Session, Sql
from lab.holding.world import EACH_KIND, Act, World
from lab.netns.error import LabError
from lab.rehearsal.pair import PORTS, USER, Pair, running_pair

WAYS: Final = ("several hosts", "none", "gate", "pgbouncer, transaction", "pgbouncer, session")
_FRONT_PORT: Final = 6431  # of haproxy's Unix socket
_WITHIN_S: Final = 5.0
_SYNCHRONOUS: Final = {"primary": ("synchronous_standby_names='*'",)}


@asynccontextmanager
async def sql_world(way: str) -> AsyncIterator[World]:
    """Clients reach the primary in one of WAYS."""
    async with running_pair(Path(tempfile.gettempdir()), _SYNCHRONOUS) as pair:
        await asyncio.to_thread(_prepare, pair)
        async with _front(pair, way) as (conninfo, hold, let_go):
            yield World(
                clients=_clients(conninfo),
                hold=hold,
                let_go=let_go,
                close=lambda: asyncio.to_thread(close_primary, pair),
                open=lambda: asyncio.to_thread(open_standby, pair),
                keys=lambda: asyncio.to_thread(_keys, pair),
            )


def close_primary(pair: Pair) -> None:
    """It takes no more writes and has no clients, and the standby has all that it had: what a
    hand-over does, in its order.
    """
    with pair.session("primary") as old, pair.session("standby") as new:
        old.execute("alter system set default_transaction_read_only = on")
        old.execute("select pg_reload_conf()")
        old.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        ended = old.execute("select pg_current_wal_lsn()").fetchone()
        assert ended is not None
        _until(new, "select pg_last_wal_replay_lsn() >= %s::pg_lsn", str(ended[0]))


def open_standby(pair: Pair) -> None:
    """It is the primary."""
    with pair.session("standby") as new:
        new.execute("select pg_promote(false)")
        _until(new, "select not pg_is_in_recovery()")


def _until(
    session: psycopg.Connection[tuple[object, ...]], query: LiteralString, *values: str
) -> None:
    until = time.monotonic() + _WITHIN_S
    while time.monotonic() < until:
        row = session.execute(query, values).fetchone()
        if row is not None and row[0]:
            return
        time.sleep(0.002)
    raise LabError(f"not within {_WITHIN_S:g} s: {query}")


def _prepare(pair: Pair) -> None:
    with pair.session("primary") as session:
        session.execute("create table taken (key text primary key)")


def _keys(pair: Pair) -> Sequence[str]:
    with pair.session("standby") as session:
        return [str(row[0]) for row in session.execute("select key from taken")]


def _clients(conninfo: str) -> list[tuple[str, Client]]:
    pool: list[Session] = []
    clients: list[tuple[str, Client]] = []
    for _ in range(EACH_KIND):
        clients += [
            ("new session", Sql(conninfo, kept=False)),
            ("kept session", Sql(conninfo, kept=True)),
            ("pool that looks", Pooled(conninfo, pool)),
        ]
    return clients


@asynccontextmanager
async def _front(pair: Pair, way: str) -> AsyncIterator[tuple[str, Act, Act]]:
    if way == "several hosts":
        ports = ",".join(str(port) for port in PORTS.values())
        hosts = ",".join(str(pair.directory) for _ in PORTS)
        several = f"host={hosts} port={ports} user={USER} dbname=postgres"
        yield f"{several} target_session_attrs=read-write", _at_once, _at_once
    elif way.startswith("pgbouncer"):
        pooling = way.split()[1]
        async with (
            pgbouncer.running(pair.directory, pooling) as bouncer,
            asyncio.TaskGroup() as group,
        ):
            pause = Pause(bouncer, group)
            yield bouncer.conninfo, pause.hold, pause.let_go
    else:
        places = haproxy.Places(
            bind=f"unix@{pair.directory}/.s.PGSQL.{_FRONT_PORT} mode 666",
            plug_bind=f"unix@{pair.directory}/plug.sock",
            old=f"unix@{pair.directory}/.s.PGSQL.{PORTS['primary']}",
            new=f"unix@{pair.directory}/.s.PGSQL.{PORTS['standby']}",
            plug="127.0.0.1:9",
        )
        async with haproxy.running(pair.directory, "tcp", way, places) as front:
            host = f"host={pair.directory} port={_FRONT_PORT}"
            yield f"{host} user={USER} dbname=postgres", front.hold, front.let_go


async def _at_once() -> None:
    return


class Pause:
    """PgBouncer's way to hold: PAUSE, and RESUME towards the other server."""

    def __init__(self, bouncer: pgbouncer.PgBouncer, group: asyncio.TaskGroup) -> None:
        self._bouncer = bouncer
        self._group = group
        self._pausing: asyncio.Task[None] | None = None

    async def hold(self) -> None:
        """Every query waits; or clients in session pooling did not leave within PAUSE_S."""
        console = await self._bouncer.console()

        async def pause() -> None:
            await console.execute("PAUSE wallet")
            await console.close()

        self._pausing = self._group.create_task(pause())
        await asyncio.wait([self._pausing], timeout=pgbouncer.PAUSE_S)

    async def let_go(self) -> None:
        """Queries go to the other server."""
        assert self._pausing is not None
        async with asyncio.timeout(_WITHIN_S):
            await self._pausing  # the sessions that it waited for have been ended by now
        self._bouncer.write("standby")
        console = await self._bouncer.console()
        await console.execute("RELOAD")
        await console.execute("RESUME wallet")
        await console.close()
