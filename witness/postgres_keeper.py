"""The log keeper of one PostgreSQL database, as `ports.Keeper`.

pg_receivewal writes and syncs every record before it acknowledges it. The keeper decides whom it
follows: only a server whose timeline is the epoch it was told, checked anew at every start. A
daemon that dies leaves its receiver working, for commits must not wait for daemons; the next daemon
finds it. `run` must be kept running beside the other calls: it starts the receiver again when it
ends, and follows the end of the log, so that a seal finds it in milliseconds.

A keeper that has lost some of its log, or cannot read it, mends itself once it is told to follow:
what is there is put aside, and it counts again when it holds what everybody has (`probation`).
Not guaranteed: that it notices the loss of its newest files while neither it nor a receiver ran,
unless it was sealed. One that finds no log at all says that it holds nothing.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from controller.adapters.postgres_link import conninfo
from controller.adapters.postgres_spec import VoterLink, slot_name
from controller.core.model import NO_EPOCH, DatabaseName, Epoch, SiteName, VoterState
from controller.core.position import LogFormat, Position
from controller.hostagent import wal
from controller.hostagent.contract import AgentError, account, write_file
from controller.hostagent.wal_end import LogEnd, Reader, Unreadable, saved_end
from controller.hostagent.wal_transfer import END_HINT
from controller.ports import PortError, Refused, TimedOut
from witness.postgres_upstream import Upstream
from witness.probation import Probation
from witness.wal_directory import WalDirectory
from witness.wal_receiver import Receiver

NOTHING: Final = Position(epoch=0, format=LogFormat.LSN, text="0/0")
TICK_S: Final = 0.02
SCAN_S: Final = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
ATTACH_S: Final = 2.0
SHORTER_LOOKS: Final = 5  # a file may be renamed while it is read
GONE_AT_PRIMARY: Final = ("has already been removed", "can no longer", "invalidated")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperSpec:
    """One keeper of this witness site."""

    database: DatabaseName
    site: SiteName  # ours, and the name under which we acknowledge
    directory: Path
    voters: Mapping[SiteName, VoterLink]  # where the databases are
    user: str = ""  # default voter_<site>
    password: str = field(default="", repr=False)
    bin_dir: Path = Path("/usr/lib/postgresql/15/bin")


@dataclass(frozen=True, slots=True)
class Following:
    """Whom the keeper was told to receive from."""

    upstream: SiteName
    epoch: Epoch


class PostgresKeeper:
    """Receives, keeps and, once sealed, can tell the end of one database's log."""

    def __init__(self, spec: KeeperSpec) -> None:
        self._spec = spec
        self._files = WalDirectory(spec.directory)
        self._files.create()
        self._receiver = Receiver(self._files.state)
        self._reader = Reader(spec.directory, str(spec.bin_dir / "pg_waldump"), account(""))
        self._wanted: Following | None = None
        self._turn = asyncio.Lock()
        self._copying = asyncio.Lock()
        self._sealed_at: LogEnd | None = None  # where the next timeline most likely forks
        self._end: LogEnd | None = None
        self._scanned_at = float("-inf")
        self._damage: list[str] = []
        self._trouble = ""
        self._asking: asyncio.Timeout | None = None  # a primary that may never answer
        self._probation = Probation(self._files.state)
        self._floor = saved_end(self._files.state / END_HINT)  # it must not end before this
        self._all_hold = 0  # every data site holds the log up to here
        self._unreadable = False

    async def observe(self, deadline_s: float) -> VoterState:
        """One look, of what `run` last saw."""
        if self._scanned_at == float("-inf"):
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline_s), self._turn:
                    await self._look_again()
        alive = self._receiver.alive()
        about = self._receiver.about() if alive else {}
        problems = [f"{self._spec.database}: {why}" for why in self._damage]
        problems += [f"{self._spec.database}: {why}" for why in self._reasons()]
        return VoterState(
            database=self._spec.database,
            promised=NO_EPOCH,
            sealed=not alive and self._wanted is None,
            position=self._position(),
            following=SiteName(about["upstream"]) if "upstream" in about else None,
            following_epoch=Epoch(int(about.get("epoch", "0"))),
            streaming=alive and self._receiver.streaming(),
            whole=not self._damage and self._end is not None and not self._probation.why,
            problems=tuple(problems),
        )

    async def seal(self, epoch: Epoch, deadline_s: float) -> Position:
        """Receives from nobody; the true end of its log."""
        deadline = _now() + deadline_s
        self._wanted, self._trouble = None, ""
        if self._asking is not None:
            self._asking.reschedule(_now())
        async with self._turn:
            await self._look_for_lost_files()
            await self._receiver.kill(deadline)
            await self._scan()
            if self._end is not None:
                self._end.save(self._files.state / END_HINT)
                self._sync(self._end)
                self._sealed_at = self._end
        del epoch  # the caller has made the promise durable; here nothing is below or above it
        return self._position()

    async def follow(self, upstream: SiteName, epoch: Epoch, deadline_s: float) -> None:
        """Receives from `upstream`, primary of `epoch`, and acknowledges durably."""
        deadline = _now() + deadline_s
        wanted = Following(upstream, epoch)
        async with self._turn:
            if self._receiver.alive() and self._follows() != wanted:
                await self._receiver.kill(deadline)
            self._wanted = wanted
            if not self._receiver.alive():
                await self._attach(wanted, deadline)
        while not self._receiver.streaming():
            if not self._receiver.alive():
                raise Refused(f"{self._spec.database}: {self._receiver.complaint()}")
            if _now() >= deadline:
                raise TimedOut(f"{self._spec.database}: not streaming from {upstream} yet")
            await asyncio.sleep(0.002)

    async def run(self) -> None:
        """The receiver is started again whenever it ends, for the epoch it was told; for ever."""
        pause, again = FIRST_PAUSE_S, 0.0
        while True:
            await asyncio.sleep(TICK_S)
            await self._prepare()
            async with self._turn:
                wanted = self._wanted
                if wanted is None or self._receiver.alive():
                    if _now() - self._scanned_at >= SCAN_S and self._receiver.alive():
                        await self._mend()
                    if wanted is not None and self._receiver.streaming():
                        pause, self._trouble = FIRST_PAUSE_S, ""
                    if _now() - self._scanned_at >= SCAN_S:
                        await self._look_again()
                elif _now() >= again:
                    await self._try_again(wanted)
                    again, pause = _now() + pause, min(pause * 2, LONGEST_PAUSE_S)

    def all_hold(self, position: int) -> None:
        """Every data site is known to hold the log up to `position`; 0 for not known."""
        self._all_hold = position

    def prune(self, below: Position) -> list[str]:
        """Nothing is kept that every standby has: `below` is the least of their positions."""
        return self._files.prune(wal.to_bytes(below.text))

    async def aclose(self) -> None:
        """What it started has ended."""
        self._wanted = None
        async with self._turn:
            await self._receiver.kill(_now() + 2.0)

    # --- inside ------------------------------------------------------------------------------

    def _follows(self) -> Following | None:
        about = self._receiver.about()
        if "upstream" not in about:
            return None
        return Following(SiteName(about["upstream"]), Epoch(int(about.get("epoch", "0"))))

    def _position(self) -> Position:
        if self._end is None or self._probation.why:
            return NOTHING
        return Position(
            epoch=self._end.timeline, format=LogFormat.LSN, text=wal.to_lsn(self._end.position)
        )

    def _sync(self, end: LogEnd) -> None:
        """What the seal promises would survive a crash of this host."""
        try:
            self._files.sync(end.file_timeline, end.position)
        except OSError as error:
            raise Refused(f"{self._spec.database}: not durable: {error.strerror}") from None

    async def _scan(self) -> None:
        """The end of the log and what is wrong with its files are known as of now."""
        self._scanned_at = _now()
        try:
            self._files.create()
            found = await self._read_end()
            self._damage = self._files.damage()
            begins = self._files.begins()
        except (AgentError, OSError) as error:
            self._unreadable = isinstance(error, Unreadable)
            self._damage = [f"its log cannot be read: {error}"]
            raise Refused(f"{self._spec.database}: {self._damage[0]}") from None
        self._end = self._floor = found
        self._unreadable = False
        if self._probation.end(found, begins, self._all_hold):
            log.info("keeper", database=self._spec.database, votes_again=str(self._position()))

    async def _prepare(self) -> None:
        """After a seal, what the next timeline needs is copied before its primary is promoted."""
        end, self._sealed_at = self._sealed_at, None
        if end is None or self._wanted is not None:
            return
        async with self._copying:
            with suppress(OSError):  # who needs it copies it, and says what stands against it
                await asyncio.to_thread(self._files.prepare, end)

    async def _read_end(self) -> LogEnd | None:
        """The end of the log; when it was further before, its loss is noted."""
        found, known, floor = None, self._end, self._floor
        for _ in range(SHORTER_LOOKS):
            found = await asyncio.to_thread(self._reader.log_end, known)
            if floor is None or (found is not None and not floor.further_than(found)):
                return found
            known = None
            await asyncio.sleep(TICK_S)
        assert floor is not None
        now = "is empty" if found is None else f"ends at {wal.to_lsn(found.position)}"
        self._begin_anew(f"its log ended at {wal.to_lsn(floor.position)}, and now {now}")
        return found

    async def _look_for_lost_files(self) -> bool:
        """Whether the receiver writes to a file that is not in the directory any more.

        One that finds the disk full removes its file by itself, and ends.
        """
        for pause in (TICK_S, 0.0):
            if not self._receiver.alive() or not self._receiver.lost(self._spec.directory):
                return False
            await asyncio.sleep(pause)
        self._begin_anew("its log was removed while it was received")
        return True

    def _begin_anew(self, why: str) -> None:
        """It counts as holding nothing from now on."""
        if self._probation.begin(why):
            log.warning("keeper", database=self._spec.database, begins_anew=why)

    def _reasons(self) -> list[str]:
        """What else there is to say of it."""
        why = self._probation.why
        doubt = f"{why}; it does not vote before it holds what the data sites hold" if why else ""
        return [said for said in (self._trouble, doubt) if said]

    async def _mend(self) -> None:
        """What a living receiver cannot mend is left behind, or the receiver is ended for it."""
        lost = await self._look_for_lost_files()
        if lost or (self._probation.why and not self._probation.under_way):
            await self._receiver.kill(_now() + ATTACH_S)
            return
        about = self._follows()
        if self._damage and about is not None:
            self._said(self._files.leave_damage_behind(self._all_hold, about.epoch))

    def _forget(self, wanted: Following) -> None:
        """It holds nothing, and says why; what it held is aside."""
        self._begin_anew(f"{wanted.upstream} no longer has the log that comes next")
        self._said(self._files.put_everything_aside(wanted.epoch))
        self._end, self._floor, self._damage = None, None, []

    def _said(self, moved: list[str]) -> None:
        if moved:
            log.warning("keeper", database=self._spec.database, put_aside=moved)

    async def _look_again(self) -> None:
        with suppress(Refused):  # the next look says it
            await self._scan()

    async def _try_again(self, wanted: Following) -> None:
        ended = self._receiver.complaint()
        try:
            await self._attach(wanted, _now() + ATTACH_S)
        except PortError as error:
            self._trouble = str(error)
        else:
            self._trouble = f"the receiver was started again; it had ended: {ended}"

    async def _attach(self, wanted: Following, deadline: float) -> None:
        upstream = self._upstream(wanted.upstream)
        async with self._unless_sealed(upstream):
            found = await upstream.log(wanted.epoch, deadline)
        try:
            self._files.create()
            self._check_system(upstream.name, found.system)
            if self._follows() == wanted and self._is_left_behind():
                self._forget(wanted)
                async with self._unless_sealed(upstream):
                    await upstream.renew_slot(slot_name(self._spec.site), deadline)
            self._look_what_is_left()
            async with self._copying:
                pass  # what is being prepared is needed now
            self._said(self._files.make_ready(wanted.epoch, found.ancestry, self._end))
            # From here on it may end earlier than it did: at the fork.
            (self._files.state / END_HINT).unlink(missing_ok=True)
            self._floor = None
            passwords = self._files.state / "receiver.pgpass"
            write_file(passwords, upstream.password_line(), account(""))
            self._receiver.start(
                [
                    str(self._spec.bin_dir / "pg_receivewal"),
                    *("--synchronous", "--no-loop", "--verbose", "--no-password", "-s", "1"),
                    *("-D", str(self._spec.directory), "-S", slot_name(self._spec.site)),
                    *("-d", conninfo(upstream.target)),
                ],
                {"PGPASSFILE": str(passwords)},
                {"upstream": wanted.upstream, "epoch": str(wanted.epoch)},
            )
        except OSError as error:
            full = "the disk is full: " if error.errno == errno.ENOSPC else ""
            raise Refused(f"{full}cannot make the log ready: {error.strerror}") from None
        self._probation.attached(wanted.epoch, found.ends)

    def _look_what_is_left(self) -> None:
        """A log that is not there, or that is of no use, is begun anew."""
        if self._files.begins() is None:
            self._begin_anew("it began without a log")
            self._end = None
        elif self._unreadable:
            self._begin_anew("its log could not be read")

    def _is_left_behind(self) -> bool:
        """Its primary has not what comes next, and no data site lacks what it would forget."""
        ended = self._receiver.complaint()
        if not any(words in ended for words in GONE_AT_PRIMARY):
            return False
        return bool(self._probation.why or (self._end and self._all_hold >= self._end.position))

    @asynccontextmanager
    async def _unless_sealed(self, upstream: Upstream) -> AsyncIterator[None]:
        """A question to a server that may never answer: a seal does not wait for it."""
        try:
            async with asyncio.timeout(None) as self._asking:
                yield
        except TimeoutError:
            raise Refused(f"sealed before {upstream.name} answered") from None
        finally:
            self._asking = None

    def _upstream(self, site: SiteName) -> Upstream:
        spec = self._spec
        return Upstream(
            name=f"{spec.database} at {site}",
            link=spec.voters[site],
            site=spec.site,
            user=spec.user or f"voter_{spec.site}",
            password=spec.password,
        )

    def _check_system(self, name: str, system: str) -> None:
        """The log we hold and the upstream's were made by one initdb."""
        file = self._files.state / "system"
        if not file.exists():
            write_file(file, system, account(""))
        known = file.read_text(encoding="utf-8").strip()
        if known != system:
            raise Refused(f"{name} has system identifier {system}, the keeper's log {known}")


def _now() -> float:
    return asyncio.get_running_loop().time()
