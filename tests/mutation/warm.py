"""A mutant of what only runs in tests: the fork has all tests collected and exchanges code.

The functions whose code the mutant changes get the changed code, wherever they are held. That is
the same as importing the mutant if none of them has been called before the tests begin: what was
called while modules were imported and tests collected is seen, and left to `cold`.
"""

import gc
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Final

import pytest

from tests.mutation.cold import OPTIONS, Planted
from tests.mutation.forks import CANNOT, DIES, SURVIVES, in_a_fork
from tests.mutation.operators import Mutant
from tests.mutation.tree import PACKAGE, TESTS, planted_code

LEAST_S: Final = 5.0
ALL_TESTS_S: Final = 600.0
TIMES: Final = 20  # a mutant may take so many times what its tests take without it
Change = tuple[CodeType, CodeType]


class Warm:
    """A pytest plugin: when all tests are collected, `work` is done instead of running them."""

    def __init__(self, paths: dict[str, Path], work: Callable[["Warm"], None]) -> None:
        self._paths = paths
        self._work = work
        self._original = {name: planted_code(path, -1) for name, path in paths.items()}
        self._files = {str(path) for path in paths.values()}
        self._called: set[CodeType] = set()
        self._held: dict[CodeType, list[FunctionType]] = defaultdict(list)
        self._items: dict[str, pytest.Item] = {}
        self._alone: dict[str, bool] = {}
        self._failed = ""
        self.took: dict[str, float] = {}  # of each test that passes, in seconds

    def serve(self) -> None:
        """Collects, and does the work. For a process that has imported nothing of ours."""
        for name, code in self._original.items():
            package = PACKAGE if name == "__init__" else f"{PACKAGE}.{name}"
            if name != "__init__":
                sys.meta_path.insert(0, Planted(package, code))
        sys.setprofile(self._saw)
        pytest.main([*OPTIONS, TESTS], plugins=[self])

    def _saw(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename in self._files:
            self._called.add(frame.f_code)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """The work is all that is done."""
        sys.setprofile(None)
        self._items = {item.nodeid: item for item in session.items}
        for thing in gc.get_objects():
            if type(thing) is FunctionType and thing.__code__.co_filename in self._files:
                self._held[thing.__code__].append(thing)
        gc.freeze()
        self._work(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remembers the first that failed."""
        if report.failed and not self._failed:
            self._failed = report.nodeid

    def measure(self) -> None:
        """How long each test takes; one that fails without any mutant is left out."""

        def run(tell: Callable[[str], object]) -> int:
            took = {}
            for test in self._items:
                began = time.process_time()
                if self._passes(test):
                    took[test] = time.process_time() - began
                self._failed = ""
            tell(json.dumps(took))
            return SURVIVES

        _, found = in_a_fork(run, ALL_TESTS_S)
        self.took = json.loads(found)

    def _passes(self, test: str) -> bool:
        item = self._items[test]
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self._failed

    def changes(self, mutant: Mutant) -> list[Change] | None:
        """What code is to be exchanged; None when that is not the same as importing the mutant."""
        try:
            planted = planted_code(self._paths[mutant.module], mutant.number)
        except (SyntaxError, ValueError):
            return None
        found = list(_different(self._original[mutant.module], planted))
        return found if all(self._exchangeable(*change) for change in found) else None

    def _exchangeable(self, old: CodeType, new: CodeType) -> bool:
        if not _own(old, new):
            return True  # only what stands in it has changed
        if old in self._called:
            return False
        lost = not _alike(old, new) and any(code in self._held for code in _inner(old))
        return not lost and (old not in self._held or old.co_freevars == new.co_freevars)

    def verdict(self, changes: list[Change], tests: Sequence[str]) -> tuple[int, str]:
        """How the fork ends that runs these tests in this order, and the first that fails."""

        def run(tell: Callable[[str], object]) -> int:
            for old, new in changes:
                for function in self._held.get(old, ()):
                    if function.__code__.co_freevars != new.co_freevars:
                        return CANNOT
                    function.__code__ = new
            for test in tests:
                if not self._passes(test):
                    tell(test)
                    return DIES
            return SURVIVES

        limit = LEAST_S + TIMES * sum(self.took[test] for test in tests)
        code, test = in_a_fork(run, limit)
        return (code, test) if code != DIES or self._passes_alone(test) else (CANNOT, test)

    def _passes_alone(self, test: str) -> bool:
        """Else it says nothing: it needs another test to run before it."""
        if test not in self._alone:
            code, _ = in_a_fork(
                lambda _: SURVIVES if self._passes(test) else DIES,
                LEAST_S + TIMES * self.took[test],
            )
            self._alone[test] = code == SURVIVES
        return self._alone[test]


def _inner(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _alike(old: CodeType, new: CodeType) -> bool:
    """The same functions are made in both."""
    return [code.co_qualname for code in _inner(old)] == [code.co_qualname for code in _inner(new)]


def _own(old: CodeType, new: CodeType) -> bool:
    """It differs itself, not only in a function that it makes."""

    def without(code: CodeType) -> CodeType:
        kept = tuple("" if isinstance(c, CodeType) else c for c in code.co_consts)
        return code.replace(co_consts=kept)

    return not _alike(old, new) or without(old) != without(new)


def _different(old: CodeType, new: CodeType) -> Iterator[Change]:
    """Every pair that differs, the outer first; what is made in another way is one change."""
    if old == new:
        return
    yield old, new
    if _alike(old, new):
        for before, after in zip(_inner(old), _inner(new), strict=True):
            yield from _different(before, after)
