"""What the store says, kept current: epoch records, the sites' reports, operators' requests.

A watch is only a hint to read again; the read is linearizable. A value that cannot be decoded is
reported as a problem and treated as absent where that is safe (a report), never where it is not
(an epoch record: the last good one stays, and the problem is shown).
"""

from dataclasses import dataclass, field

from controller.core.model import (
    FOREVER_S,
    EpochRecord,
    Instant,
    Report,
    ServiceName,
    SiteName,
)
from controller.core.wire import (
    WEIGHTS,
    BadRecord,
    Change,
    change_of_key,
    decode_change,
    decode_epoch,
    decode_report,
    service_of_epoch_key,
)
from controller.drill.record import DRILLS, DrillRecord, decode_drill
from controller.ports import Clock, Entry, PortError, Store
from controller.runtime.requests import RequestBook

PAUSE = "pause/"
RECENT = "recent/"


@dataclass(slots=True)
class Known:
    """One value, and since when this node has seen it unchanged."""

    revision: int
    since: Instant


@dataclass(slots=True)
class _Marks:
    """What is only noted about services, in one snapshot."""

    pauses: dict[ServiceName, str] = field(default_factory=dict)
    recent: set[ServiceName] = field(default_factory=set)
    drills: dict[ServiceName, tuple[DrillRecord, int]] = field(default_factory=dict)

    def take(self, key: str, entry: Entry) -> None:
        """`key`, if it is one of them, is known. Raises BadRecord."""
        if key.startswith(PAUSE):
            service = ServiceName(key.removeprefix(PAUSE))
            self.pauses[service] = entry.value.decode(errors="replace")
        elif key.startswith(RECENT):
            self.recent.add(ServiceName(key.removeprefix(RECENT)))
        elif key.startswith(DRILLS):
            service = ServiceName(key.removeprefix(DRILLS))
            self.drills[service] = decode_drill(key, entry.value), entry.revision


@dataclass(slots=True)
class Records:
    """The newest snapshot of everything under the prefix."""

    store: Store
    prefix: str
    clock: Clock
    deadline_s: float
    epochs: dict[ServiceName, EpochRecord] = field(default_factory=dict)
    reports: dict[SiteName, Report] = field(default_factory=dict)
    changes: dict[ServiceName, list[Change]] = field(default_factory=dict)
    pauses: dict[ServiceName, str] = field(default_factory=dict)
    recent: set[ServiceName] = field(default_factory=set)
    drills: dict[ServiceName, tuple[DrillRecord, int]] = field(default_factory=dict)  # and revision
    problems: tuple[str, ...] = ()
    error: str = "the store has not been read yet"
    answered: Instant | None = None
    revision: int = 0  # of the store, as it was read last
    ok: bool = False
    requests: RequestBook = field(init=False)
    weights: RequestBook = field(init=False)  # requests of their own row
    _epochs_known: dict[ServiceName, Known] = field(default_factory=dict)
    _reports_known: dict[SiteName, Known] = field(default_factory=dict)
    _changes_known: dict[str, tuple[int, Change]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.requests = RequestBook(clock=self.clock)
        self.weights = RequestBook(clock=self.clock)

    async def refresh(self) -> bool:
        """Read again; whether the majority answered."""
        try:
            snapshot = await self.store.read(self.prefix, self.deadline_s)
        except PortError as error:
            self.ok, self.error = False, str(error)
            return False
        self.answered, self.ok, self.error = self.clock.monotonic(), True, ""
        self.revision = snapshot.revision
        problems: list[str] = []
        seen_epochs: set[ServiceName] = set()
        seen_reports: set[SiteName] = set()
        marks = _Marks()
        requests: set[str] = set()
        weights: set[str] = set()
        changes: dict[ServiceName, list[Change]] = {}
        for full, entry in snapshot.entries.items():
            key = full.removeprefix(self.prefix)
            try:
                if (service := service_of_epoch_key(key)) is not None:
                    seen_epochs.add(service)
                    self._take_epoch(service, decode_epoch(key, entry.value, entry.revision))
                elif key.startswith("sites/"):
                    site = SiteName(key.removeprefix("sites/"))
                    seen_reports.add(site)
                    self._take_report(site, key, entry.value, entry.revision)
                elif self.requests.take(key, entry):
                    requests.add(key)
                elif key.startswith(WEIGHTS):
                    self._take_weights(key.removeprefix(WEIGHTS), entry, weights)
                elif (change := change_of_key(key)) is not None:
                    changes.setdefault(change[0], []).append(self._change(key, entry))
                else:
                    marks.take(key, entry)
            except BadRecord as bad:
                problems.append(str(bad))
        for service in self.epochs.keys() - seen_epochs:
            del self.epochs[service]
        for site in self.reports.keys() - seen_reports:
            del self.reports[site]
            self._reports_known.pop(site, None)
        self.changes = {s: sorted(c, key=lambda x: x.epoch) for s, c in changes.items()}
        self.requests.keep_only(frozenset(requests))
        self.weights.keep_only(frozenset(weights))
        self.pauses, self.recent, self.drills = marks.pauses, marks.recent, marks.drills
        self.problems = tuple(problems)
        return True

    async def heed(self, hint: int) -> None:
        """What a watch has hinted at is known. Many hints that came together need one read."""
        if not self.ok or hint == 0 or hint > self.revision:
            await self.refresh()

    def _take_epoch(self, service: ServiceName, record: EpochRecord) -> None:
        known = self._epochs_known.get(service)
        if known is None or known.revision != record.revision:
            self._epochs_known[service] = Known(record.revision, self.clock.monotonic())
        self.epochs[service] = record

    def _take_report(self, site: SiteName, key: str, value: bytes, revision: int) -> None:
        known = self._reports_known.get(site)
        if known is not None and known.revision == revision and site in self.reports:
            return
        self.reports[site] = decode_report(key, value)
        self._reports_known[site] = Known(revision, self.clock.monotonic())

    def _take_weights(self, key: str, entry: Entry, found: set[str]) -> None:
        try:
            if self.weights.take(key, entry):
                found.add(key)
        except BadRecord as bad:
            raise BadRecord(f"{WEIGHTS}{bad.key}", bad.field, bad.problem) from None

    def _change(self, key: str, entry: Entry) -> Change:
        """History is long and does not change: each record is decoded once."""
        known = self._changes_known.get(key)
        if known is None or known[0] != entry.revision:
            known = (entry.revision, decode_change(key, entry.value))
            self._changes_known[key] = known
        return known[1]

    def took(self, service: ServiceName, record: EpochRecord) -> None:
        """This site has just written `record`: no need to read it back."""
        self._take_epoch(service, record)

    def silent_s(self) -> float:
        """Since the store last answered."""
        if self.answered is None:
            return FOREVER_S
        return self.clock.monotonic() - self.answered

    def unchanged_s(self, service: ServiceName) -> float:
        """For how long this node has seen the epoch record unchanged."""
        known = self._epochs_known.get(service)
        return 0.0 if known is None else self.clock.monotonic() - known.since

    def report_age_s(self, site: SiteName) -> float:
        """Since this node first saw the report of `site` as it is."""
        known = self._reports_known.get(site)
        return FOREVER_S if known is None else self.clock.monotonic() - known.since
