"""The log keeper of a MariaDB or MySQL database: a stock replica that is never promoted.

It acknowledges what stands in its relay log, fsynced, and applies it at once into a log of its own,
from which a site that must catch up takes it by ordinary replication. Its true end is the end of
that own log, and is told only when nothing received waits to be applied. The server itself is
started by its host, closed and whole; it follows nobody until it is told to.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from controller.adapters.mysql_dialect import DIALECTS
from controller.adapters.mysql_look import Look, Source
from controller.adapters.mysql_replica import Replica, log_end_at
from controller.adapters.mysql_report import Credential, VoterLink, start_and_log_problems
from controller.adapters.mysql_session import Deadline, Login, Session
from controller.core.model import DatabaseKind, DatabaseName, Epoch, SiteName, VoterState
from controller.core.position import Position
from controller.ports import PortError, Refused
from witness.mysql_probation import Probation

PROBATION_S: Final = 0.5
PROBATION_LOOK_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MysqlKeeperSpec:
    """The keeper's own server, and the databases it may follow."""

    name: DatabaseName
    kind: DatabaseKind
    site: SiteName
    address: str
    port: int
    user: str  # the daemon's own login
    password: str = field(repr=False)
    voter: Credential  # what it shows to a primary
    upstreams: Mapping[SiteName, VoterLink]  # the data sites' servers


class MysqlKeeper:
    """`ports.Keeper` over one server. Looking and acting have a connection each."""

    def __init__(self, spec: MysqlKeeperSpec) -> None:
        self._spec = spec
        dialect = DIALECTS[spec.kind]
        login = Login(address=spec.address, port=spec.port, user=spec.user, password=spec.password)
        self._eyes, self._hand = Session(login), Session(login)
        self._looks = Replica(spec.name, self._eyes, dialect)
        self._replica = Replica(spec.name, self._hand, dialect)
        self._followed: tuple[SiteName, Epoch] | None = None
        self._marks = Session(login)
        self._probation = Probation(spec.name)

    async def observe(self, deadline_s: float) -> VoterState:
        """One look; PortError when the server does not answer in time."""
        async with self._deadline("look", deadline_s):
            return self._report(await self._looks.look())

    def _deadline(self, what: str, deadline_s: float) -> Deadline:
        return Deadline(f"keeper of {self._spec.name}: {what}", deadline_s)

    def _report(self, seen: Look) -> VoterState:
        source = seen.source
        receiving = source is not None and source.receiving
        following = self._site_at(source) if receiving else None
        problems = (*start_and_log_problems(seen), *_keeper_problems(seen))
        doubt = self._probation.saw(seen)
        if doubt:
            problems = (*problems, f"{self._spec.name}: {doubt}; until it does, it does not vote")
        position = _proved(seen, doubt)
        return VoterState(
            database=self._spec.name,
            promised=Epoch(0),
            sealed=not receiving and position is not None and seen.read_only,
            position=position,
            following=following,
            following_epoch=self._epoch_followed(following),
            streaming=source is not None and source.streaming,
            whole=_is_whole(seen) and not doubt,
            problems=problems,
        )

    def _site_at(self, source: Source | None) -> SiteName | None:
        for site, link in self._spec.upstreams.items():
            if source and (link.address, link.port) == (source.address, source.port):
                return site
        return None

    def _epoch_followed(self, following: SiteName | None) -> Epoch:
        """Known only to whoever was told: a restarted daemon is told again."""
        if self._followed is None or following != self._followed[0]:
            return Epoch(0)
        return self._followed[1]

    async def seal(self, epoch: Epoch, deadline_s: float) -> Position:
        """No receiver is alive or configured; the end of the own log, which holds all received."""
        async with self._deadline(f"seal at epoch {epoch}", deadline_s):
            self._followed = None
            seen = await self._replica.seal()
            position = _proved(seen, self._probation.saw(seen))
            if position is None:
                raise Refused(f"keeper of {self._spec.name} cannot tell the end of its log")
            return position

    async def follow(self, upstream: SiteName, epoch: Epoch, deadline_s: float) -> None:
        """Streams from `upstream`, and acknowledges what is on its disk."""
        async with self._deadline(f"follow {upstream} of epoch {epoch}", deadline_s):
            login = self._login_at(upstream)
            if self._followed != (upstream, epoch):
                # The same server may be primary again under a newer epoch: the old connection,
                # and whatever it still carries, belongs to the epoch that was sealed.
                await self._replica.seal()
            self._followed = (upstream, epoch)
            self._probation.attached()
            await self._replica.follow(login, voting=True)

    async def run(self) -> None:
        """A log that is new, or was shorter than before, counts once it holds everything again."""
        looks = Replica(self._spec.name, self._marks, DIALECTS[self._spec.kind])
        while True:
            await asyncio.sleep(PROBATION_S)
            with suppress(PortError):
                async with self._deadline("look whether its log is level", PROBATION_LOOK_S):
                    floor = self._probation.floor
                    seen = await looks.look()
                    if why := self._probation.why(seen, floor):
                        await self._review(seen, why)

    async def _review(self, seen: Look, why: str) -> None:
        await self._probation.note(self._marks, seen, why)
        followed = self._followed
        if followed is None or seen.source is None or not seen.source.streaming:
            return
        upstream, epoch = followed
        if self._probation.asks:
            end = await log_end_at(self._login_at(upstream), DIALECTS[self._spec.kind])
            if self._followed == followed:
                self._probation.must_hold(end)
        elif self._probation.reached(seen, epoch):
            await self._probation.note(self._marks, seen, "")

    def _login_at(self, upstream: SiteName) -> Login:
        link, credential = self._spec.upstreams[upstream], self._spec.voter
        return Login(
            address=link.address,
            port=link.port,
            user=credential.user,
            password=credential.password,
        )

    async def aclose(self) -> None:
        """Connections are closed; the server goes on."""
        self._marks.drop()
        self._eyes.drop()
        self._hand.drop()


def _is_whole(seen: Look) -> bool:
    """Its log has everything it acknowledged, and goes on growing."""
    source = seen.source
    if seen.started is None or seen.started.pending:
        return False
    return source is None or (source.applier_errno == 0 and source.applier == "Yes")


def _proved(seen: Look, doubt: str) -> Position | None:
    """The end of its log; nothing at all while that may be less than it acknowledged."""
    position = seen.position()
    if position is not None and doubt:
        return Position(epoch=0, format=seen.dialect.format, text="")
    return position


def _keeper_problems(seen: Look) -> tuple[str, ...]:
    found: list[str] = []
    if not seen.read_only:
        found.append("a log keeper is writable: somebody has set read_only off")
    if seen.source_side:
        found.append(f"{seen.dialect.source_side} is on at a log keeper: its applier will stop")
    return tuple(found)
