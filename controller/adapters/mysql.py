"""A MariaDB or MySQL server of this site, as `ports.Database`.

Guaranteed: nothing the server ever acknowledged is forgotten by anything done here; it becomes
writable only under an epoch whose row is the first record after everything it held; whoever waits
for an acknowledgement when it is closed gets no answer.

How the epoch row goes in: the source side of semi-synchronous replication is turned on first, then
the row is written over a connection of its own, which waits. It stands in the log from then on,
the session that waits shows it to `observe`, and the row becomes visible when the first voter of
the epoch acknowledges. If this server falls before that, crash recovery takes the row back; written
before, it would be a record that no other history has, and the server would need a rebuild.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from controller.adapters.mysql_accounts import Accounts
from controller.adapters.mysql_copy import Primary, copy_afresh, fetch_afresh
from controller.adapters.mysql_dialect import (
    CANARY,
    CANARY_BEGINS,
    DIALECTS,
    EPOCH_INSERT,
    NEW_FILE,
    NOTE_DIVERGED,
    WRITTEN,
)
from controller.adapters.mysql_gtid import includes, missing_at
from controller.adapters.mysql_look import Look, look_at_log_end
from controller.adapters.mysql_replica import Diverged, Replica, log_state_at
from controller.adapters.mysql_report import Credential, MysqlSpec, VoterLink, report, silent
from controller.adapters.mysql_session import Deadline, Login, Session, quoted
from controller.core.model import DatabaseState, Epoch, Liveness, SiteName, Sites
from controller.core.position import Position
from controller.ports import HostAgent, PortError, Refused, TimedOut, Unreachable

__all__ = ["Credential", "Mysql", "MysqlSpec", "VoterLink"]

_POLL_S: Final = 0.003
_AGENT_S: Final = 90.0


class Mysql:
    """One server. Looking, acting and the canary each have a connection of their own."""

    def __init__(
        self,
        spec: MysqlSpec,
        agent: HostAgent,
        agents: Mapping[SiteName, HostAgent] | None = None,
    ) -> None:
        self._spec = spec
        self._agent = agent
        self._agents = agents or {}  # of other data sites, to have a saved tail put back there
        self._dialect = DIALECTS[spec.kind]
        self._eyes = Session(spec.login())
        self._hand = Session(spec.login())
        self._canary = Session(spec.login())
        self._canary_id = 0  # of a canary that was left waiting
        self._looks = Replica(spec.name, self._eyes, self._dialect)
        self._replica = Replica(spec.name, self._hand, self._dialect)
        self._accounts = Accounts(spec, self._hand, self._dialect)

    # --- looking ---------------------------------------------------------------------------------

    def tell_of_loss(self, told: Callable[[], None]) -> None:
        """`told` is called when the server ends the connection that looks are made over."""
        self._eyes.tell_of_loss(told)

    async def observe(self, deadline_s: float) -> DatabaseState:
        """One look over the kept connection."""
        try:
            async with self._deadline("look", deadline_s):
                return report(self._spec, await self._looks.look())
        except Unreachable as error:
            return silent(self._spec, Liveness.DOWN, str(error))
        except TimedOut as error:
            return silent(self._spec, Liveness.UNKNOWN, str(error))
        except Refused as error:
            return silent(self._spec, Liveness.RUNNING, str(error))

    def _deadline(self, what: str, deadline_s: float) -> Deadline:
        return Deadline(f"{self._spec.name} at {self._spec.site}: {what}", deadline_s)

    # --- the receiving side ----------------------------------------------------------------------

    async def seal(self, epoch: Epoch, deadline_s: float) -> None:
        """No receiver is alive or configured, and everything received stands in the own log."""
        async with self._deadline(f"seal at epoch {epoch}", deadline_s):
            seen = await self._replica.look()
            if not seen.read_only:
                raise Refused(f"{self._spec.name} is writable: it must be closed, not sealed")
            await self._replica.seal(seen)

    async def catch_up(self, source: SiteName, target: Position, deadline_s: float) -> None:
        """The own log holds everything up to `target`; nothing was acknowledged meanwhile."""
        async with self._deadline(f"catch up to {target} from {source}", deadline_s) as deadline:
            seen = await self._closed_look()
            if seen.epoch >= target.epoch and not seen.tail_missing and self._holds(seen, target):
                return
            await self._replica.seal()
            if source in self._agents:
                args = {"database": self._spec.name, "keep": "all"}
                await self._agents[source].call("mysql-settle", args, deadline.left_s)
            upstream = self._spec.towards(source, self._spec.rejoin)
            await self._become_prefix_of(upstream, deadline)
            await self._replica.fetch(upstream, target)
            reached = await self._replica.look()
            if reached.epoch < target.epoch or not self._holds(reached, target):
                raise Refused(f"{self._spec.name} is at {reached.applied()} after it got {target}")

    def _holds(self, seen: Look, target: Position) -> bool:
        return includes(self._dialect.format, seen.log_end, target.text)

    async def follow(
        self, upstream: SiteName, epoch: Epoch, *, quarantine: bool, deadline_s: float
    ) -> None:
        """Streams from `upstream`; only outside quarantine are its acknowledgements sent."""
        what = f"follow {upstream} of epoch {epoch}"
        async with self._deadline(what, deadline_s) as deadline:
            credential = self._spec.rejoin if quarantine else self._spec.voter
            login = self._spec.towards(upstream, credential)
            if (await self._closed_look()).tail_missing:
                await self._become_prefix_of(
                    self._spec.towards(upstream, self._spec.rejoin), deadline
                )
            try:
                await self._replica.follow(login, voting=not quarantine)
            except Diverged as error:
                await self._note_diverged(str(error))
                raise

    async def rejoin(
        self, upstream: SiteName, epoch: Epoch, deadline_s: float, *, fresh: bool = False
    ) -> str:
        """Follows in quarantine, as a copy if need be; answers which records were thrown away."""
        what = f"rejoin {upstream} of epoch {epoch}"
        async with self._deadline(what, deadline_s) as deadline:
            login = self._spec.towards(upstream, self._spec.rejoin)
            if fresh and (await self.observe(deadline.left_s)).liveness is Liveness.DOWN:
                await self.start(deadline.left_s)
            await self._closed_look()
            await self._replica.seal()
            try:
                if fresh:
                    raise Diverged("an operator wants it made anew")
                return await self._rejoin_as_it_is(login, deadline)
            except Diverged as error:
                primary = Primary(site=upstream, login=login, epoch=epoch)
                told = await self._become_copy_of(primary, deadline)
                await self._rejoin_as_it_is(login, deadline)
                return f"{error}; it is now a copy of that server{told}"

    async def _become_copy_of(self, primary: Primary, deadline: Deadline) -> str:
        name, agent = self._spec.name, self._agent
        if self._dialect.copies_itself:
            await copy_afresh(self._hand, agent, name, primary, deadline)
            return ""
        dropped = await fetch_afresh(self._dialect, agent, name, primary, deadline)
        return f": {dropped}"

    async def _rejoin_as_it_is(self, upstream: Login, deadline: Deadline) -> str:
        dropped = await self._become_prefix_of(upstream, deadline)
        try:
            await self._replica.follow(upstream, voting=False)
        except Diverged as error:
            await self._note_diverged(str(error))
            raise
        await self._note_diverged("")
        return dropped

    async def _closed_look(self) -> Look:
        seen = await self._replica.look()
        if not seen.read_only:
            raise Refused(f"{self._spec.name} is writable: it must be closed first")
        if seen.started is None or seen.started.pending:
            raise Refused(f"{self._spec.name}: its host agent has not finished the start")
        return seen

    async def _become_prefix_of(self, upstream: Login, deadline: Deadline) -> str:
        """The own log is a beginning of the upstream's, or this is refused with nothing changed.

        What a log lacks of another is told by writer and number, never by the number alone; the
        upstream then checks the very last record once more when the receiver asks it for more.
        """
        theirs = await log_state_at(upstream, self._dialect)
        seen = await self._replica.look()
        errant = missing_at(self._dialect.format, seen.log_state, theirs)
        if errant:
            reason = f"holds records that {upstream.address}:{upstream.port} does not: {errant}"
            await self._note_diverged(reason)
            raise Diverged(f"{self._spec.name} {reason}")
        if not seen.tail_missing:
            return ""
        answer = await self._settle(theirs or "0-0-0", deadline)
        if not answer.get("dropped"):
            return ""
        return f"transactions {answer['dropped']}; saved in {answer.get('aside', '')}"

    async def _settle(self, keep: str, deadline: Deadline) -> dict[str, str]:
        args = {"database": self._spec.name, "keep": keep}
        return await self._agent.call("mysql-settle", args, deadline.left_s)

    async def _note_diverged(self, reason: str) -> None:
        seen = await self._replica.look()
        if seen.started is not None and seen.started.diverged != reason[:500]:
            await self._hand.run(
                (
                    "SET SESSION sql_log_bin=0",
                    NOTE_DIVERGED.format(reason=quoted(reason[:500])),
                    "SET SESSION sql_log_bin=1",
                )
            )

    # --- the writing side ------------------------------------------------------------------------

    async def close(self, deadline_s: float) -> None:
        """Restarted closed, unless it is as closed as a restart would make it.

        Nothing is lost by it: the tail that recovery cuts is kept aside until it is
        known, record by record, what of it the next primary has.
        """
        async with self._deadline("close", deadline_s) as deadline:
            if await self._is_closed(deadline):
                return
            self._hand.drop()
            self._canary.drop()
            await self._agent.call("mysql-close", {"database": self._spec.name}, deadline.left_s)
            if not await self._is_closed(deadline):
                raise Refused(f"{self._spec.name} was restarted and is not closed")

    async def _is_closed(self, deadline: Deadline) -> bool:
        """Whether it is closed; a follower that never was primary is made so without a restart."""
        try:
            async with asyncio.timeout(min(1.0, deadline.left_s / 2)):
                seen = await self._replica.look()
                writer = not seen.read_only or seen.source_side or seen.waiting_commits
                if writer or seen.started is None or seen.started.pending:
                    return False
                seen = await self._replica.seal(seen)
                await self._accounts.lock_clients(seen)
                await self._accounts.admit(frozenset(), seen)
                return True
        except (PortError, TimeoutError):
            return False

    async def start(self, deadline_s: float) -> None:
        """The server runs, as after `close`."""
        async with self._deadline("start", deadline_s) as deadline:
            await self._agent.call("mysql-start", {"database": self._spec.name}, deadline.left_s)

    async def promote(
        self, epoch: Epoch, deadline_s: float, *, voters: Sites = frozenset(), waits: bool = True
    ) -> None:
        """Writable, gate closed, the epoch row in the log, and every commit from it on waits: the
        row itself too, if it `waits`.
        """
        async with self._deadline(f"promote at epoch {epoch}", deadline_s) as deadline:
            seen = await self._replica.look()
            if not seen.read_only and seen.epoch == epoch and seen.source_side:
                await self._accounts.admit(voters, seen)
                return
            self._refuse_promotion(seen, epoch)
            seen = await self._replica.seal(seen)
            if seen.tail_missing:
                await self._settle("all", deadline)
            await self._accounts.lock_clients(seen)
            if waits:
                await self._write_epoch(epoch, await self._wait_for_voters_from_now_on())
            else:
                await self._write_epoch_alone(epoch)
            await self._hand.run(self._dialect.open_writes)
            seen = await self._replica.look()
            if seen.read_only or seen.epoch != epoch or not seen.source_side:
                raise Refused(f"{self._spec.name} is not writable under epoch {epoch} after all")
            await self._accounts.admit(voters, seen)

    def _refuse_promotion(self, seen: Look, epoch: Epoch) -> None:
        """A server that is something else already is closed first; regaining is not resuming."""
        name = self._spec.name
        if not seen.read_only:
            raise Refused(f"{name} is writable under epoch {seen.epoch}: it must be closed first")
        if seen.started is None or seen.started.pending:
            raise Refused(f"{name}: its host agent has not finished the start")
        if seen.source is not None and seen.source.receiving:
            raise Refused(f"{name} still receives from {seen.source.address}: it must be sealed")
        if seen.epoch > epoch:
            raise Refused(f"{name} already holds records of epoch {seen.epoch}")
        if seen.epoch == epoch and not seen.waiting and seen.holder != self._spec.site:
            raise Refused(f"{name}: epoch {epoch} was written by {seen.holder}")
        strangers = [s for s in seen.waiting if not s.info.startswith("INSERT INTO tricast.epoch")]
        if strangers:
            raise Refused(f"{name}: {len(strangers)} commits of an older epoch still wait")

    async def _wait_for_voters_from_now_on(self) -> Look:
        dialect = self._dialect
        settings = (*dialect.durable_settings, *dialect.source_settings)
        wanted = [f"SET GLOBAL {name}={literal}" for name, literal, _ in settings]
        await self._hand.run((*wanted, f"SET GLOBAL {dialect.source_side}=1"))
        seen = await self._replica.look()
        for name, _, value in settings:
            if str(seen.settings[name]) != value:
                raise Refused(f"{self._spec.name}: {name} stays {seen.settings[name]}")
        if not seen.source_side:
            raise Refused(f"{self._spec.name}: {dialect.source_side} stays off")
        return seen

    async def _write_epoch(self, epoch: Epoch, before: Look) -> None:
        """The epoch row stands in the log; its session goes on waiting without us."""
        if before.epoch == epoch:
            return
        if not before.waiting_commits:  # an earlier attempt's row, for which a new file would wait
            await self._hand.run((NEW_FILE,))
        writer = Session(self._spec.login())
        statement = EPOCH_INSERT.format(epoch=epoch, holder=quoted(self._spec.site))
        try:
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(writer.rows(statement))
                await self._log_grown(before.log_end)
                waiting.cancel()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            writer.drop()

    async def _write_epoch_alone(self, epoch: Epoch) -> None:
        """The epoch row is committed, and nothing waits. Nobody else can write meanwhile: the
        server is closed, so what an acknowledgement would be missing for is this row alone.
        """
        before = await self._wait_for_voters_from_now_on()
        await self._hand.run((f"SET GLOBAL {self._dialect.source_side}=0",))
        if before.epoch < epoch:
            row = EPOCH_INSERT.format(epoch=epoch, holder=quoted(self._spec.site))
            await self._hand.run((NEW_FILE, row))
        await self._wait_for_voters_from_now_on()

    async def _log_grown(self, before: str) -> None:
        """The log is longer; on a closed, sealed server only by what we are writing."""
        while await look_at_log_end(self._hand, self._dialect) == before:
            await asyncio.sleep(_POLL_S)

    async def admit(self, voters: Sites, deadline_s: float) -> None:
        """Exactly these voters' accounts are unlocked; connections of the others were cut."""
        async with self._deadline("admit", deadline_s):
            await self._accounts.admit(voters)

    async def set_gate(self, *, opened: bool, deadline_s: float) -> None:
        """Client accounts are unlocked, or locked and their sessions cut without an answer."""
        async with self._deadline("open the gate" if opened else "close the gate", deadline_s):
            if opened:
                await self._accounts.unlock_clients()
            else:
                await self._accounts.lock_clients()

    async def commit_alone(self, *, alone: bool, deadline_s: float) -> None:
        """Commits wait for nobody; or for a voter again."""
        async with self._deadline("commit alone" if alone else "commit by quorum", deadline_s):
            if (await self._replica.look()).read_only:
                raise Refused(f"{self._spec.name} is not writable: no commit waits for anybody")
            if alone:
                await self._hand.run((f"SET GLOBAL {self._dialect.source_side}=0",))
            else:
                await self._wait_for_voters_from_now_on()

    async def canary(self, token: str, deadline_s: float) -> None:
        """One row was written, and a voter acknowledged it. Never more than one of them waits."""
        async with self._deadline("canary", deadline_s):
            await self._last_canary_gone()
            site = quoted(self._spec.site)
            write = CANARY.format(site=site, token=quoted(token))
            try:
                answers = await self._canary.many([write, WRITTEN])
            except BaseException:
                self._canary_id = self._canary.last_id
                raise
            self._canary_id = 0
            if int(answers[-1][0]["written"]) < 1:
                raise Refused(f"{self._spec.name} at {self._spec.site} is read-only: no canary")

    async def _last_canary_gone(self) -> None:
        """The session of a canary that nobody waited for to its end has ended on the server, or
        does something else: a server that was restarted gives its numbers out again.
        """
        mine = (
            f"{self._dialect.sessions} AND id = {self._canary_id:d}"
            f" AND info LIKE {quoted(CANARY_BEGINS + '%')}"
        )
        left = self._canary_id and await self._hand.rows(mine)
        while left:
            await asyncio.sleep(_POLL_S)
            left = await self._hand.rows(mine)

    async def aclose(self) -> None:
        """Connections are closed."""
        for session in (self._eyes, self._hand, self._canary):
            session.drop()
