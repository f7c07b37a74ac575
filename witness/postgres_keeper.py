"""The log keeper of one PostgreSQL database, as `ports.Keeper`.

pg_receivewal writes and syncs every record before it acknowledges it. The keeper decides whom it
follows: only a server whose timeline is the epoch it was told, checked anew at every start. A
daemon that dies leaves its receiver working, for commits must not wait for daemons; the next daemon
finds it. `run` must be kept running beside the other calls: it starts the receiver again when it
ends, and follows the end of the log, so that a seal finds it in milliseconds.

Not guaranteed: a keeper whose directory was lost cannot know it. It says it holds nothing.
"""

import asyncio
import errno
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controller.adapters.postgres_link import Link, conninfo
from controller.adapters.postgres_spec import VoterLink, slot_name
from controller.core.model import NO_EPOCH, DatabaseName, Epoch, SiteName, VoterState
from controller.core.position import LogFormat, Position
from controller.hostagent import wal
from controller.hostagent.contract import AgentError, account, write_file
from controller.hostagent.wal_end import LogEnd, Reader
from controller.hostagent.wal_transfer import END_HINT
from controller.ports import PortError, Refused, TimedOut
from witness.wal_directory import WalDirectory
from witness.wal_receiver import Receiver

NOTHING: Final = Position(epoch=0, format=LogFormat.LSN, text="0/0")
TICK_S: Final = 0.02
SCAN_S: Final = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
ATTACH_S: Final = 2.0


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
        self._end: LogEnd | None = None
        self._scanned_at = float("-inf")
        self._damage: list[str] = []
        self._trouble = ""
        self._asking: asyncio.Timeout | None = None  # a primary that may never answer

    async def observe(self, deadline_s: float) -> VoterState:
        """One look, of what `run` last saw."""
        if self._scanned_at == float("-inf"):
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline_s), self._turn:
                    await self._look_again()
        alive = self._receiver.alive()
        about = self._receiver.about() if alive else {}
        problems = [f"{self._spec.database}: {why}" for why in self._damage]
        if self._trouble:
            problems.append(f"{self._spec.database}: {self._trouble}")
        return VoterState(
            database=self._spec.database,
            promised=NO_EPOCH,
            sealed=not alive and self._wanted is None,
            position=self._position(),
            following=SiteName(about["upstream"]) if "upstream" in about else None,
            following_epoch=Epoch(int(about.get("epoch", "0"))),
            streaming=alive and self._receiver.streaming(),
            whole=not self._damage and self._end is not None,
            problems=tuple(problems),
        )

    async def seal(self, epoch: Epoch, deadline_s: float) -> Position:
        """Receives from nobody; the true end of its log."""
        deadline = _now() + deadline_s
        self._wanted, self._trouble = None, ""
        if self._asking is not None:
            self._asking.reschedule(_now())
        async with self._turn:
            await self._receiver.kill(deadline)
            await self._scan()
            if self._end is not None:
                self._end.save(self._files.state / END_HINT)
                self._sync(self._end)
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
            async with self._turn:
                wanted = self._wanted
                if wanted is None or self._receiver.alive():
                    if wanted is not None and self._receiver.streaming():
                        pause, self._trouble = FIRST_PAUSE_S, ""
                    if _now() - self._scanned_at >= SCAN_S:
                        await self._look_again()
                elif _now() >= again:
                    await self._try_again(wanted)
                    again, pause = _now() + pause, min(pause * 2, LONGEST_PAUSE_S)

    async def start_anew(self, epoch: Epoch, deadline_s: float) -> None:
        """It holds nothing, and what it held is kept aside: the way out of a gap.

        To be asked for only when the standby has everything the keeper is about to forget.
        """
        async with self._turn:
            await self._receiver.kill(_now() + deadline_s)
            self._files.put_everything_aside(epoch)
            self._end, self._damage = None, []

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
        if self._end is None:
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
        try:
            found = await asyncio.to_thread(self._reader.log_end, self._end)
            self._damage = self._files.damage()
        except (AgentError, OSError) as error:
            self._damage = [f"its log cannot be read: {error}"]
            raise Refused(f"{self._spec.database}: {self._damage[0]}") from None
        self._end = found
        self._scanned_at = _now()

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
        link = self._spec.voters[wanted.upstream]
        target = {
            "host": link.address,
            "port": str(link.port),
            "user": self._spec.user or f"voter_{self._spec.site}",
            "application_name": self._spec.site,
            "connect_timeout": "3",
            "keepalives_idle": "3",
            "keepalives_interval": "1",
            "keepalives_count": "3",
            "tcp_user_timeout": "5000",
        }
        ancestry = await self._asked(wanted, target, deadline)
        try:
            self._files.make_ready(wanted.epoch, ancestry, self._end)
            self._write_password()
            self._receiver.start(
                [
                    str(self._spec.bin_dir / "pg_receivewal"),
                    *("--synchronous", "--no-loop", "--verbose", "--no-password", "-s", "1"),
                    *("-D", str(self._spec.directory), "-S", slot_name(self._spec.site)),
                    *("-d", conninfo(target)),
                ],
                {"PGPASSFILE": str(self._files.state / "receiver.pgpass")},
                {"upstream": wanted.upstream, "epoch": str(wanted.epoch)},
            )
        except OSError as error:
            full = "the disk is full: " if error.errno == errno.ENOSPC else ""
            raise Refused(f"{full}cannot make the log ready: {error.strerror}") from None

    async def _asked(
        self, wanted: Following, target: Mapping[str, str], deadline: float
    ) -> wal.Ancestry:
        """Its ancestry, unless a seal comes first."""
        try:
            async with asyncio.timeout(None) as self._asking:
                return await self._ancestry_of(wanted, target, deadline)
        except TimeoutError:
            name = self._spec.database
            raise Refused(f"{name}: sealed before {wanted.upstream} answered") from None
        finally:
            self._asking = None

    async def _ancestry_of(
        self, wanted: Following, target: Mapping[str, str], deadline: float
    ) -> wal.Ancestry:
        """Where the upstream's log comes from; refused when it is not the primary of that epoch."""
        name = f"{self._spec.database} at {wanted.upstream}"
        where = {key: value for key, value in target.items() if key != "host"}
        where |= {
            "hostaddr": target["host"],
            "replication": "true",
            "password": self._spec.password,
        }
        link = Link(name, where)
        try:
            rows = await link.query("IDENTIFY_SYSTEM", deadline=deadline)
            timeline = int(rows[0][1] or 0)
            if timeline != wanted.epoch:
                raise Refused(f"{name} is on timeline {timeline}, not {wanted.epoch}: not followed")
            self._check_system(name, rows[0][0] or "")
            if timeline == 1:
                return ()
            found = await link.query(f"TIMELINE_HISTORY {timeline}", deadline=deadline)
            return wal.parse_history(found[0][1] or "")
        finally:
            link.drop()

    def _check_system(self, name: str, system: str) -> None:
        """The log we hold and the upstream's were made by one initdb."""
        file = self._files.state / "system"
        if not file.exists():
            write_file(file, system, account(""))
        known = file.read_text(encoding="utf-8").strip()
        if known != system:
            raise Refused(f"{name} has system identifier {system}, the keeper's log {known}")

    def _write_password(self) -> None:
        user = self._spec.user or f"voter_{self._spec.site}"
        password = self._spec.password.replace("\\", "\\\\").replace(":", "\\:")
        path = self._files.state / "receiver.pgpass"
        write_file(path, f"*:*:*:{user}:{password}\n", account(""))


def _now() -> float:
    return asyncio.get_running_loop().time()
