"""What one daemon knows of the store: its last snapshot, and since when it has seen each record.

As `controller.runtime.records`: ages are counted by this node from the first sight of a revision;
a watch is only a hint to read again.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from controller.core.model import FOREVER_S, EpochRecord, Report, ServiceName, SiteName
from controller.core.requests import Kind, Request, in_force
from controller.core.wire import WEIGHTS, is_request_key
from controller.runtime.requests import RequestBook
from tests.sim.engine import Process
from tests.sim.store import Contents, Stored

if TYPE_CHECKING:
    from tests.sim.world import World

DEADLINE_S = 1.0
NEVER = float("-inf")


class Knowledge:
    """One node's copy of the records."""

    def __init__(self, world: "World", site: SiteName, process: Process) -> None:
        self._world, self._site, self._process = world, site, process
        self.watching = True
        self.forget()

    def forget(self) -> None:
        """A daemon that has just started has read nothing."""
        self.contents: Contents = {}
        self.answered = NEVER  # by its own clock
        self.answered_at = NEVER  # in truth
        self.ok = self.reading = False
        self._since: dict[str, tuple[int, float]] = {}  # key -> revision, first seen
        self.book = RequestBook(clock=self._process.clock)
        self.weights = RequestBook(clock=self._process.clock)
        self._waiting: list[Callable[[], None]] = []
        self._hinted = False
        self._news: object = None
        self._newest_of: Contents | None = None
        self._newest: tuple[int, ...] = ()

    # --- reading -----------------------------------------------------------------------------

    def read(self, then: Callable[[], None]) -> None:
        """`then` when the store has answered, or has not for the whole deadline."""
        self._waiting.append(then)
        if not self.reading:
            self.reading = True
            store = self._world.store
            store.ask(self._process, self._site, DEADLINE_S, store.read, self._answer)

    def read_within(self, patience_s: float, then: Callable[[], None]) -> None:
        """`then` when it has answered, or when patience is over."""
        called = False

        def once() -> None:
            nonlocal called
            if not called:
                called = True
                then()

        self._process.after(patience_s, once)
        self.read(once)

    def _answer(self, result: object) -> None:
        self.reading = False
        if isinstance(result, dict):
            self.ok = True
            self.take(result)
        else:
            self.ok = False
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()

    def take(self, contents: Contents) -> None:
        """This is what the store holds."""
        now = self._process.clock.now()
        self.answered, self.answered_at = now, self._world.engine.now
        if contents is self.contents:
            return
        known = self._since
        for key, stored in contents.items():
            found = known.get(key)
            if found is None or found[0] != stored.revision:
                known[key] = (stored.revision, now)
                if isinstance(stored.value, Request):
                    self._book(key).took(key, stored.value, stored.revision)
        if self.contents.keys() - contents.keys():
            for key in self.contents.keys() - contents.keys():
                known.pop(key, None)
            self.book.keep_only(frozenset(k for k in contents if is_request_key(k)))
            self.weights.keep_only(frozenset(k for k in contents if k.startswith(WEIGHTS)))
        self.contents = contents

    def glance(self, key: str, before: Contents, contents: Contents) -> None:
        """Nothing new but that whoever puts `key` is alive."""
        if not self.ok or self.reading or not self.watching:
            return
        if self.contents is not before:
            self.take(contents)
            return
        now = self._process.clock.now()
        self.answered, self.answered_at = now, self._world.engine.now
        self._since[key] = (contents[key].revision, now)
        self.contents = contents
        if self._newest_of is before:
            self._newest_of = contents

    def took(self, key: str, value: object, revision: int) -> None:
        """This node has just written it: no need to read it back."""
        told = self.news() == self._news
        self.contents = {**self.contents, key: Stored(value, revision, revision)}
        if told:
            self._news = self.news()
        self._since[key] = (revision, self._process.clock.now())
        if isinstance(value, Request):
            self._book(key).took(key, value, revision)

    def _book(self, key: str) -> RequestBook:
        return self.weights if key.startswith(WEIGHTS) else self.book

    # --- watching ----------------------------------------------------------------------------

    def hint(self, delay_s: float, then: Callable[[], None]) -> None:
        """The watch says that something may have changed; `then` if something has."""
        if self._hinted or not self.watching:
            return
        self._hinted = True
        self._process.after(delay_s, self._look, then)

    def _look(self, then: Callable[[], None]) -> None:
        self._hinted = False

        def compare() -> None:
            news = self.news()
            if self.ok and news != self._news:
                self._news = news
                then()

        store = self._world.store
        if self.reading or not store.ready(self._site):
            self.read(compare)
        else:
            self.ok = True
            self.take(store.read())
            compare()

    # --- what is known -----------------------------------------------------------------------

    def news(self) -> tuple[int, ...]:
        """Changes when something does that others decide on; this site's own words do not count."""
        if self._newest_of is not self.contents:
            self._newest_of = self.contents
            mine = f"sites/{self._site}"
            self._newest = tuple(s.news for key, s in self.contents.items() if key != mine)
        return self._newest

    def silent_s(self) -> float:
        """Since the store last answered."""
        return self._process.clock.now() - self.answered

    def record(self, service: ServiceName) -> EpochRecord | None:
        """Who owns the service."""
        found = self.contents.get(f"services/{service}/epoch")
        return found.value if found and isinstance(found.value, EpochRecord) else None

    def unchanged_s(self, key: str) -> float:
        """For how long this node has seen that revision."""
        found = self._since.get(key)
        return 0.0 if found is None else self._process.clock.now() - found[1]

    def report(self, site: SiteName) -> Report | None:
        """What a site says."""
        found = self.contents.get(f"sites/{site}")
        return found.value if found and isinstance(found.value, Report) else None

    def report_age_s(self, site: SiteName) -> float:
        """Since this node first saw that report as it is."""
        found = self._since.get(f"sites/{site}")
        return FOREVER_S if found is None else self._process.clock.now() - found[1]

    def pause(self, service: ServiceName) -> str:
        """The reason of a pause that stands as a key of its own."""
        found = self.contents.get(f"pause/{service}")
        return str(found.value) if found else ""

    def recent(self, service: ServiceName) -> bool:
        """A role change happened within the flap window."""
        return f"recent/{service}" in self.contents

    def paused(self, service: ServiceName) -> bool:
        """It has read of a pause of either form."""
        seen = self.book.newest(service)
        asked = seen is not None and seen.request.kind is Kind.PAUSE and in_force(seen)
        return bool(self.pause(service)) or asked
