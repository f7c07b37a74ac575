"""The PostgreSQL server of this site, as `ports.Database`.

What changes a process, or a file that SQL cannot reach, goes through the host agent; the rest is
SQL on a kept connection, so that a takeover costs milliseconds. The timeline is the epoch: a server
that becomes writable on any other timeline is closed again. A receiver is without a password
before it is seen to be gone, so that none that is started late can log in anywhere.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from controller.adapters import postgres_sql as sql
from controller.adapters.postgres_deadline import left, within
from controller.adapters.postgres_eyes import Eyes
from controller.adapters.postgres_link import Link, Row, SqlRefused, conninfo, same_server
from controller.adapters.postgres_look import Look
from controller.adapters.postgres_spec import NOBODY, PostgresSpec, slot_name
from controller.adapters.postgres_tail import Tail
from controller.core.model import DatabaseState, Epoch, SiteName, Sites
from controller.core.position import Position, holds
from controller.hostagent import wal
from controller.ports import HostAgent, PortError, Refused, TimedOut

POLL_S: Final = 0.002
STUCK_S: Final = 0.05  # a receiver that outlives its configuration this long is told to end
PATIENCE_S: Final = 0.3


class Postgres:
    """One PostgreSQL server, which belongs to one service."""

    def __init__(self, spec: PostgresSpec, agent: HostAgent) -> None:
        self._spec = spec
        self._agent = agent
        self._eyes = Eyes(spec)
        self.tell_of_loss = self._eyes.tell_of_loss
        self._link = Link(f"{spec.name} at {spec.site}", spec.target)
        self._tail = Tail(self._name, self._link, self._eyes)
        self._canary = Link(f"{spec.name} at {spec.site}, canary", spec.strict_target)

    async def observe(self, deadline_s: float) -> DatabaseState:
        """One look; what cannot be seen is UNKNOWN or DOWN."""
        return await self._eyes.observe(within(deadline_s))

    async def seal(self, epoch: Epoch, deadline_s: float) -> None:
        """Receives from nobody; a restart keeps it so; the receiver has been seen to be gone."""
        deadline = within(deadline_s)
        look = await self._eyes.look(deadline)
        if not look.recovering:
            raise Refused(f"{self._name} is writable: close it before it is sealed at {epoch}")
        await self._detach(look, deadline)

    async def catch_up(self, source: SiteName, target: Position, deadline_s: float) -> None:
        """Holds and has applied everything up to `target`, fetched from the voter of `source`."""
        deadline = within(deadline_s)
        look = await self._look_sealed(deadline)
        if not look.sealed:
            raise Refused(f"{self._name} is not sealed: it cannot catch up from {source}")
        mine = self._eyes.position(look)
        if mine is None:
            raise Refused(f"{self._name} is still replaying its own log; its end is not known")
        if holds(mine, target):
            await self._tail.settled(deadline)
            return
        found = await self._agent.call(
            "wal-fetch",
            {
                "database": self._spec.name,
                "source": source,
                "start": look.replayed or mine.text,
                "timeline": str(self._eyes.at(look, look.replayed or mine.text).epoch),
                "target": target.text,
                "epoch": str(target.epoch),
                "end": mine.text,
                "end_timeline": str(mine.epoch),
            },
            left(deadline),
        )
        if forked_at := found["forked_at"]:
            raise self._eyes.parted(source, mine, target, forked_at)
        try:
            await self._set({"restore_command": f'cp "{found["spool"]}/%f" "%p"'}, deadline)
            await self._tail.replayed_to(target.text, deadline)
        finally:
            # A restore command that is still set would be asked again at promotion.
            await self._set({"restore_command": ""}, max(deadline, within(1.0)))
        # A file that is still being restored has no name yet that tells its timeline.
        await self._tail.settled(deadline)

    async def close(self, deadline_s: float) -> None:
        """Every session was cut unanswered; runs as a closed standby of nobody."""
        deadline = within(deadline_s)
        if not await self._is_closed(deadline):
            await self._agent.call("postgres-close", self._named(), left(deadline))
        await self._up(deadline)

    async def start(self, deadline_s: float) -> None:
        """A server that was down runs as after `close`."""
        deadline = within(deadline_s)
        found = await self._agent.call("postgres-status", self._named(), left(deadline))
        if found.get("rebuilding") == "true":
            self._eyes.half_rebuilt = True
            raise Refused(f"{self._name}: its files are half rebuilt; only a rejoin mends them")
        await self._agent.call("postgres-start", self._named(), left(deadline))
        await self._up(deadline)

    async def promote(
        self, epoch: Epoch, deadline_s: float, *, voters: Sites = frozenset(), waits: bool = True
    ) -> None:
        """Writable on timeline `epoch`, closed to clients and to everybody but `voters`. They are
        let in while the server opens its timeline: until it has, nothing waits for them.
        """
        del waits  # a timeline waits for nobody
        deadline = within(deadline_s)
        look = await self._look_sealed(deadline)
        if not look.recovering:
            if int(look.wal_file[:8], 16) == epoch:
                await self.admit(voters, left(deadline))
                return
            raise Refused(
                f"{self._name} is writable on timeline {int(look.wal_file[:8], 16)}: close it"
                f" before it is promoted to {epoch}"
            )
        if not look.sealed:
            raise Refused(f"{self._name} is not sealed: it cannot be promoted to {epoch}")
        await self._lock_out(look, deadline)
        look, end = await self._tail.settled(deadline)
        if max(look.histories, default=0) > end.epoch:
            # A timeline of which it has no log would become the parent of the new one.
            await self._lock_out(await self._restarted(deadline), deadline)
            look, end = await self._tail.settled(deadline)
        await self._plant(epoch, look, end, deadline)
        await self._do(sql.PROMOTE, deadline)
        await self._let_in(voters, look, deadline)
        reached = await self._promoted(deadline)
        if reached != epoch:
            await self.close(deadline_s=max(left(deadline), 10.0))
            raise Refused(f"{self._name} came up on timeline {reached}, not {epoch}; closed again")

    async def admit(self, voters: Sites, deadline_s: float) -> None:
        """Exactly these voters replicate under their credential; others were cut."""
        deadline = within(deadline_s)
        look = await self._eyes.look(deadline)
        if look.recovering and voters:
            raise Refused(f"{self._name} is not a primary: it admits no voter")
        await self._let_in(voters, look, deadline)
        while unwanted := self._spec.unwanted((await self._eyes.look(deadline)).walsenders, voters):
            await self._do(sql.cut_walsenders(unwanted), deadline)
            await asyncio.sleep(POLL_S)

    async def set_gate(self, *, opened: bool, deadline_s: float) -> None:
        """Clients may log in, or may not and none is in."""
        deadline = within(deadline_s)
        look = await self._eyes.look(deadline)
        if opened and look.recovering:
            raise Refused(f"{self._name} is not a primary: its gate stays closed")
        if opened and self._eyes.claimed:
            raise Refused(
                f"{self._name}: a voter claimed {wal.to_lsn(self._eyes.claimed)}, which is not"
                " written here: the gate stays closed"
            )
        wanted = frozenset({NOBODY, *(self._spec.clients if opened else ())})
        if look.clients != wanted:
            roles = wanted - {NOBODY}
            await self._do(sql.write_list(look.gate_dir, "clients", roles), deadline)
            await self._reload(deadline, longer=opened)
        if not opened:
            await self._cut_clients(deadline)

    async def follow(
        self, upstream: SiteName, epoch: Epoch, *, quarantine: bool, deadline_s: float
    ) -> None:
        """Replicates from `upstream`; as a voter, or under the rejoin credential."""
        deadline = within(deadline_s)
        look = await self._eyes.look(deadline)
        if not look.recovering:
            raise Refused(f"{self._name} is writable: close it before it follows {upstream}")
        wanted = conninfo(self._spec.upstream(upstream, look.gate_dir, quarantine=quarantine))
        slot = "" if quarantine else slot_name(self._spec.site)
        kind = "rejoin" if quarantine else "voter"
        if look.upstream == wanted and look.slot == slot:
            # A seal that was cut short may have taken the password away.
            await self._do(sql.use_pass(look.gate_dir, kind), deadline)
            return
        mine = self._eyes.position(look)
        newest = max(look.histories, default=1)
        if not same_server(look.upstream, wanted) and newest > (mine.epoch if mine else newest):
            # A history that was planted or fetched, and never reached, would be followed.
            look = await self._restarted(deadline)
        await self._do(sql.DROP_SLOTS, deadline)
        await self._do(sql.use_pass(look.gate_dir, kind), deadline)
        await self._set({"primary_slot_name": slot, "primary_conninfo": wanted}, deadline)

    async def rejoin(
        self, upstream: SiteName, epoch: Epoch, deadline_s: float, *, fresh: bool = False
    ) -> str:
        """Its log is a prefix of the primary's and it follows in quarantine; what was discarded."""
        deadline = within(deadline_s)
        state = await self._eyes.observe(deadline)
        if state.writable:
            raise Refused(f"{self._name} is writable: close it before it rejoins {upstream}")
        there = (state.upstream, state.quarantined, state.streaming) == (upstream, True, True)
        if there and state.epoch == epoch and not state.diverged and not fresh:
            return ""
        args = {
            "database": self._spec.name,
            "site": self._spec.site,
            "epoch": str(epoch),
            "host": self._spec.voters[upstream].address,
            "port": str(self._spec.voters[upstream].port),
            "user": self._spec.rejoin_user(self._spec.site),
            **({"fresh": "1"} if fresh else {}),
        }
        answer = await self._agent.call("postgres-rejoin", args, left(deadline))
        self._eyes.forget_histories()
        self._eyes.half_rebuilt = self._eyes.forked = False
        return answer.get("discarded", "")

    async def commit_alone(self, *, alone: bool, deadline_s: float) -> None:
        """Commits wait for nobody; or again as the server's own file says."""
        deadline = within(deadline_s)
        if (await self._eyes.look(deadline)).recovering:
            raise Refused(f"{self._name} is not a primary: it has no commits to wait for")
        await self._do(sql.COMMIT_ALONE if alone else sql.COMMIT_BY_QUORUM, deadline)
        await self._reload(deadline)

    async def canary(self, token: str, deadline_s: float) -> None:
        """A write of our own was acknowledged. One that waits is not cancelled, but waited for."""
        deadline = within(deadline_s)
        if not await self._canary.begin(sql.CANARY, self._spec.site, token, deadline=deadline):
            await self._canary.finish(deadline)
            await self._canary.begin(sql.CANARY, self._spec.site, token, deadline=deadline)
        await self._canary.finish(deadline)

    async def aclose(self) -> None:
        """Connections are closed."""
        for each in (self._eyes, self._link, self._canary):
            each.drop()
        await self._agent.aclose()

    # --- the steps those are made of -----------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"{self._spec.name} at {self._spec.site}"

    def _named(self) -> Mapping[str, str]:
        return {"database": self._spec.name}

    async def _do(self, statement: str, deadline: float) -> list[Row]:
        return await self._link.again(statement, deadline=deadline)

    async def _ask(self, statement: str, deadline: float) -> str | None:
        return (await self._do(statement, deadline))[0][0]

    async def _set(self, parameters: Mapping[str, str], deadline: float) -> None:
        for name, value in parameters.items():
            await self._do(sql.set_parameter(name, value), deadline)
        await self._do(sql.RELOAD, deadline)

    async def _reload(self, deadline: float, *, longer: bool = False) -> None:
        """Whoever logs in now meets the new files; lists that became `longer` need no proof."""
        if longer:
            await self._set({}, deadline)
            return
        asked = await self._ask(sql.CLOCK, deadline)
        await self._do(sql.RELOAD, deadline)
        while True:
            # A new session inherits the time at which the postmaster last read its files.
            fresh = Link(self._name, self._spec.target)
            try:
                rows = await fresh.query(sql.LOADED_SINCE, asked, deadline=deadline)
            finally:
                fresh.drop()
            if rows[0][0] == "t":
                return
            await asyncio.sleep(POLL_S)

    async def _detach(self, look: Look, deadline: float) -> None:
        await self._do(sql.use_pass(look.gate_dir, None), deadline)
        if look.upstream:
            await self._set({"primary_conninfo": ""}, deadline)
        stuck = within(STUCK_S)
        while await self._ask(sql.RECEIVERS, deadline) != "0":
            await asyncio.sleep(POLL_S)
            if within(0) > stuck:
                # The startup process is busy replaying and will not stop its receiver for long.
                await self._agent.call("postgres-kill-receiver", self._named(), left(deadline))
                stuck = within(1.0)
        await self._look_sealed(deadline)

    async def _look_sealed(self, deadline: float) -> Look:
        """A look at a server that was sealed, once every process of it knows.

        Until the startup process has read the new configuration it may start one more receiver,
        which has no password and ends at once.
        """
        patience = min(deadline, within(PATIENCE_S))
        while True:
            look = await self._eyes.look(deadline)
            if look.sealed or not look.recovering or within(0) >= patience:
                return look
            await asyncio.sleep(POLL_S)

    async def _lock_out(self, look: Look, deadline: float) -> None:
        """Nobody is let in when it becomes writable, and its commits will wait."""
        lists = {"clients": look.clients, **look.voters}
        stale = [name for name, roles in lists.items() if roles != {NOBODY}]
        for name in stale:
            await self._do(sql.write_list(look.gate_dir, name, ()), deadline)
        if look.alone:
            await self._do(sql.COMMIT_BY_QUORUM, deadline)
        if stale or look.alone:
            await self._reload(deadline)

    async def _plant(self, epoch: Epoch, look: Look, end: Position, deadline: float) -> None:
        """Every number below `epoch` is taken, so that promotion opens timeline `epoch`."""
        if end.epoch >= epoch:
            raise Refused(f"{self._name} already ends on timeline {end.epoch}, not below {epoch}")
        missing = sorted(set(range(2, epoch)) - look.histories)
        if missing:
            await self._do(sql.plant(missing, epoch), deadline)

    async def _let_in(self, voters: Sites, look: Look, deadline: float) -> None:
        """Every voter finds a slot that keeps its log; then exactly these may log in."""
        for site in self._spec.others:
            await self._do(sql.keep_slot(slot_name(site)), deadline)
        lists = self._spec.voter_lists(voters).items()
        stale = {name: to for name, to in lists if look.voters.get(name) != to | {NOBODY}}
        for name, users in stale.items():
            await self._do(sql.write_list(look.gate_dir, name, users), deadline)
        if stale:
            await self._reload(deadline, longer=all(stale.values()))

    async def _promoted(self, deadline: float) -> int:
        while (reached := await self._ask(sql.PROMOTED, deadline)) is None:
            pass
        self._eyes.forget_histories()
        return int(reached[:8], 16)

    async def _cut_clients(self, deadline: float) -> None:
        while True:
            if await self._ask(sql.cut_clients(self._spec.clients), deadline) == "0":
                return
            await asyncio.sleep(POLL_S)

    async def _restarted(self, deadline: float) -> Look:
        """Closed and up again, with no history in its log directory that it never reached."""
        await self._agent.call("postgres-restart", self._named(), left(deadline))
        return await self._up(deadline)

    async def _is_closed(self, deadline: float) -> bool:
        try:
            look = await self._eyes.look(min(deadline, within(0.25)))
        except PortError:
            return False
        lists = (look.clients, *look.voters.values())
        return look.sealed and all(roles == {NOBODY} for roles in lists)

    async def _up(self, deadline: float) -> Look:
        while True:
            try:
                look = await self._eyes.look(deadline)
            except SqlRefused:
                raise
            except PortError as error:
                if left(deadline) <= POLL_S:
                    raise TimedOut(f"{self._name} is not up yet: {error}") from None
            else:
                if look.recovering:
                    return look
            await asyncio.sleep(POLL_S)
