"""How a MariaDB or MySQL server takes a log from another one: seal, follow, fetch.

Invariant: nothing received is ever forgotten. Configuring replication anew throws relay logs away,
so it happens only when all that was received stands, applied, in the server's own log. The caller's
timeout is the deadline of everything here.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from controller.adapters.mysql_dialect import Dialect
from controller.adapters.mysql_gtid import includes
from controller.adapters.mysql_look import Look, Source, look, look_at_sessions, look_at_source
from controller.adapters.mysql_place import Place, place_of
from controller.adapters.mysql_session import Deadline, Login, Row, Session, quoted
from controller.core.position import Position
from controller.ports import Refused

KILL: Final = "KILL CONNECTION {id:d}"
_POLL_S: Final = 0.005
_ENDING_S: Final = 0.002
_RETRY_S: Final = 0.05
_ASK_S: Final = 10.0
_KILL_S: Final = 0.1
_SETTLE_TRIES: Final = 200
_NO_SUCH_SESSION: Final = "(1094)"
_FATAL: Final = frozenset({1236, 1593, 1595, 13114, 13117})


class Diverged(Refused):
    """The upstream's history does not hold the end of this server's log."""


class Replica:
    """The receiving side of one server."""

    def __init__(self, name: str, session: Session, dialect: Dialect) -> None:
        self._name = name
        self._session = session
        self._dialect = dialect

    async def look(self) -> Look:
        """One look at the server."""
        return await look(self._session, self._dialect)

    async def seal(self, seen: Look | None = None) -> Look:
        """No receiver is alive, none is configured, and the own log holds all that was received.
        `seen` is a look of a moment ago; the answer is one from afterwards.
        """
        if seen is None:
            seen = await self.look()
        elif seen.source is None:
            return seen
        if seen.source is not None:
            await self._take_in(seen, seen.source)
            await self._session.run((self._dialect.stop, self._dialect.forget_source))
            seen = await self.look()
        if seen.source is not None:
            raise Refused(f"{self._name} still has replication configured after it was removed")
        return seen

    async def _take_in(self, seen: Look, source: Source) -> Look:
        """The own log holds everything received; receiver and applier can be stopped at once."""
        seen = await self._drain(await self._stop_receiving(seen, source))
        left = seen.source
        if self._dialect.appliers and left is not None and left.read != left.done:
            rows = await self._session.rows(self._dialect.appliers)
            await kill_sessions(self._session, [int(row["id"]) for row in rows])
        return seen

    async def _stop_receiving(self, seen: Look, source: Source) -> Look:
        if source.applier != "Yes" and source.receiving:
            # Started while the receiver lives, the applier keeps the relay logs.
            await self._session.rows(f"{self._dialect.start} SQL_THREAD")
        await self._kill_receiver(seen)
        await self._session.rows(self._dialect.stop_receiver)
        seen = await self.look()
        while seen.source is not None and seen.source.receiving:
            await asyncio.sleep(_POLL_S)
            seen = await self.look()
        return seen

    async def _kill_receiver(self, seen: Look) -> None:
        """The receiver has ended, or has had its chance.

        One that acknowledges and is told to stop first tells its source, and waits a second for a
        source that is a black hole; one that is killed just ends, unless it is told to stop too.
        """
        victims = [s.id for s in seen.sessions if s.receiver]
        await kill_sessions(self._session, victims)
        left, alive = _KILL_S, bool(victims)
        while left > 0 and alive:
            await asyncio.sleep(_ENDING_S)
            left -= _ENDING_S
            sessions = await look_at_sessions(self._session, self._dialect)
            alive = any(s.receiver for s in sessions)

    async def _drain(self, seen: Look) -> Look:
        """The own log holds everything received; a broken applier is a refusal."""
        while not seen.drained:
            source = seen.source
            if source is None:
                return seen
            if source.applier != "Yes":
                raise Refused(
                    f"{self._name} has received records that its applier has not applied "
                    f"(error {source.applier_errno}: {source.applier_error or 'stopped'})"
                )
            await asyncio.sleep(_POLL_S)
            seen = await self.look()
        return seen

    async def _applied_to(self, gtids: str, seconds: float) -> bool:
        statement = self._dialect.wait_applied.format(target=quoted(gtids), seconds=f"{seconds:g}")
        return int((await self._session.row(statement))["late"] or 0) == 0

    async def _set_acknowledging(self, *, on: bool) -> None:
        await self._session.rows(f"SET GLOBAL {self._dialect.replica_side}={int(on)}")

    def follows(self, seen: Look, upstream: Login, *, voting: bool) -> bool:
        """Whether it already replicates from `upstream` in the wanted way, or tries to."""
        source = seen.source
        if source is None or not source.receiving or source.applier != "Yes":
            return False
        if (source.address, source.port, source.user) != (
            upstream.address,
            upstream.port,
            upstream.user,
        ):
            return False
        return seen.replica_side == voting and source.by_gtid != voting

    async def follow(self, upstream: Login, *, voting: bool) -> None:
        """Streams from `upstream`; acknowledges commits there only when `voting`."""
        seen = await self.look()
        self._refuse_unsettled(seen)
        if not self.follows(seen, upstream, voting=voting):
            seen = await self.seal(seen)
            place = await self._begins_there(seen, upstream) if voting else None
            # MySQL hears the second connection of a voter only a second after its first one.
            heard = place is not None or not self._dialect.log_place
            await self._set_acknowledging(on=voting and heard)
            await self._point_at(upstream, place)
            await self._session.rows(self._dialect.start)
            await self._until_streaming(upstream)
            if voting and place is None:
                await self._say_what_it_has(upstream)
        await self._until_streaming(upstream)

    async def _begins_there(self, seen: Look, upstream: Login) -> Place | None:
        """Where it goes on, if the upstream can say at once where its own log ends."""
        there = Session(upstream)
        try:
            return await place_of(there, self._dialect, seen.log_end)
        except Refused:
            return None  # not let in yet, or without the right to ask
        finally:
            there.drop()

    async def _say_what_it_has(self, upstream: Login) -> None:
        """It asks the same upstream for what comes after the very record it ends with."""
        there = Session(upstream)
        exact = bool(self._dialect.gtids_at)
        try:
            until = self._until_past_its_end if exact else self._until_level
            seen = await until(there, upstream)
            if seen.source is None:
                raise Refused(f"{self._name} lost its replication while it was starting")
            seen = await self._take_in(seen, seen.source)
            file, offset = await self._place_of_its_end(seen, there)
        finally:
            there.drop()
        await self._set_acknowledging(on=True)
        change = self._dialect.change_to_exact.format(file=quoted(file), offset=offset)
        await self._session.run((self._dialect.stop, change, self._dialect.start))

    async def _until_level(self, there: Session, upstream: Login) -> Look:
        """The receiver is where the upstream was a moment ago, so little is sent it twice."""
        row = await there.row(self._dialect.log_place)
        end = (str(row["File"]), int(row["Position"]))
        seen = await self.look()
        while seen.source is not None and (seen.source.read < end or not seen.source.done[0]):
            await asyncio.sleep(_POLL_S)
            seen = await self._look_at_stream(upstream)
        return seen

    async def _until_past_its_end(self, there: Session, upstream: Login) -> Look:
        """The receiver has been told where it is in the upstream's files, not only in which one."""
        seen = await self.look()
        while seen.source is not None:
            known = await self._gtids_at(there, seen.source.read)
            if known and includes(self._dialect.format, known, seen.log_end):
                break
            await asyncio.sleep(_POLL_S)
            seen = await self._look_at_stream(upstream)
        return seen

    async def _look_at_stream(self, upstream: Login) -> Look:
        """Another look. A receiver that was refused for good, after all, is not waited for."""
        seen = await self.look()
        if seen.source is not None and seen.source.receiver_errno in _FATAL:
            await self._give_up(upstream, seen.source)
        return seen

    async def _gtids_at(self, there: Session, place: tuple[str, int]) -> str:
        if not place[0]:
            return ""
        question = self._dialect.gtids_at.format(file=quoted(place[0]), offset=place[1])
        return one_line(await there.row(question))

    async def _place_of_its_end(self, seen: Look, there: Session) -> tuple[str, int]:
        """File and offset at which the upstream has the very record this log ends with.

        The log is ahead of the applier's own account of itself until a commit is through; where the
        upstream cannot say which record it is, that account, which is never too far, has to do.
        """
        if not self._dialect.gtids_at and seen.source is not None:
            return seen.source.done
        known = ""
        for _ in range(_SETTLE_TRIES):
            if seen.source is None:
                break
            known = await self._gtids_at(there, seen.source.done)
            if set(known.split(",")) == set(seen.log_end.split(",")):
                return seen.source.done
            await asyncio.sleep(_POLL_S)
            seen = await self.look()
        await self._session.run((self._dialect.stop, self._dialect.forget_source))
        raise Refused(
            f"{self._name} ends at {seen.log_end or 'nothing'}, but at the same place "
            f"its upstream has {known or 'nothing'}"
        )

    def _refuse_unsettled(self, seen: Look) -> None:
        if seen.started is None or seen.started.pending:
            raise Refused(f"{self._name} was started without its host agent: it must finish first")
        if seen.tail_missing:
            raise Refused(
                f"{self._name} has a saved tail up to {seen.started.tail} to settle first"
            )
        if not seen.read_only:
            raise Refused(f"{self._name} is writable: it must be closed before it follows")

    async def _point_at(self, upstream: Login, place: Place | None = None) -> None:
        words = self._dialect.change_source if place is None else self._dialect.change_source_exact
        file, offset = place or ("", 0)
        change = words.format(
            host=quoted(upstream.address),
            port=upstream.port,
            user=quoted(upstream.user),
            password=quoted(upstream.password),
            file=quoted(file),
            offset=offset,
        )
        await self._session.run((*self._dialect.adopt_own_log, change))

    async def _until_streaming(self, upstream: Login) -> None:
        """The receiver is connected. It tries again faster than the server would by itself."""
        while True:
            source = await look_at_source(self._session, self._dialect)
            if source is None:
                raise Refused(f"{self._name} lost its replication while it was starting")
            if source.streaming:
                return
            if source.receiver_errno in _FATAL:
                await self._give_up(upstream, source)
            if source.receiver_errno or not source.receiving:
                await asyncio.sleep(_RETRY_S)
                statements = (
                    self._dialect.stop_receiver,
                    f"{self._dialect.start} IO_THREAD",
                )
                await self._session.run(statements)
            await asyncio.sleep(_POLL_S)

    async def _give_up(self, upstream: Login, source: Source) -> None:
        await self._session.run((self._dialect.stop, self._dialect.forget_source))
        reason = f"{self._name} cannot follow {upstream}: {source.receiver_error}"
        if any(words in source.receiver_error for words in self._dialect.history_differs):
            raise Diverged(reason)
        raise Refused(reason)

    async def fetch(self, upstream: Login, target: Position) -> None:
        """The own log reaches `target`, taken from `upstream` without ever acknowledging."""
        seen = await self.seal()
        self._refuse_unsettled(seen)
        await self._set_acknowledging(on=False)
        await self._point_at(upstream)
        start = self._dialect.start_until.format(target=quoted(target.text))
        await self._session.rows(start)
        while not includes(self._dialect.format, seen.log_end, target.text):
            await self._applied_to(target.text, 0.2)
            seen = await self.look()
            source = seen.source
            if source is not None and source.receiver_errno in _FATAL:
                await self._give_up(upstream, source)
            if source is not None and source.applier_errno:
                raise Refused(
                    f"{self._name} cannot apply what {upstream} serves: {source.applier_error}"
                )
        await self._session.run((self._dialect.stop, self._dialect.forget_source))


async def kill_sessions(session: Session, victims: Iterable[int], kill: str = KILL) -> None:
    """Each of `victims` has been told to end, without an answer to what it was doing."""
    for victim in victims:
        try:
            await session.rows(kill.format(id=victim))
        except Refused as error:
            if _NO_SUCH_SESSION not in str(error):
                raise


async def log_state_at(upstream: Login, dialect: Dialect) -> str:
    """What the binary log of another server holds, by writer, as that server says."""
    return await _value_at(upstream, dialect.log_state)


async def log_end_at(upstream: Login, dialect: Dialect) -> str:
    """Where the binary log of another server ends, as that server says."""
    return await _value_at(upstream, dialect.log_end)


async def _value_at(upstream: Login, expression: str) -> str:
    session = Session(upstream)
    try:
        async with Deadline(f"{upstream}: look at its log", _ASK_S):
            return one_line(await session.row(f"SELECT {expression} AS value"))
    finally:
        session.drop()


def one_line(answer: Row) -> str:
    """The only value of a row, GTIDs, without the line ends that MySQL puts between them."""
    (value,) = answer.values()
    return str(value or "").replace("\n", "")
