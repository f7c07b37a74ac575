"""A mutant in a fork that has all tests collected: only what it changes is planted anew.

What only runs in tests: the functions whose code the mutant changes get the changed code, wherever
they are held. That is the same as importing the mutant if none of them has been called before the
tests begin: what was called while modules were imported and tests collected is seen.

What is made while modules are imported, a table: its module is executed once more, and those that
are made from it; who holds what they made holds the new. Only where there is no class in them.

A test counts only if it passes when the same is done without the mutant. The rest is for `cold`.
"""

import ast
import gc
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Final

import pytest

from tests.mutation.cold import OPTIONS, OURS, Planted
from tests.mutation.forks import CANNOT, DIES, SURVIVES, in_a_fork
from tests.mutation.operators import Mutant
from tests.mutation.tree import PACKAGE, TESTS, TOOK, kept_while_the_copy_is, planted_code

LEAST_S: Final = 5.0
ALL_TESTS_S: Final = 600.0
TIMES: Final = 20  # a mutant may take so many times what its tests take without it
Change = tuple[CodeType, CodeType]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a mutant is planted, and how the same is done without it."""

    plant: Callable[[], None]
    without: Callable[[], None]
    name: str  # of what is done without it
    everything: bool  # any test may notice


class Kept(Planted):
    """Remembers in which order modules were done."""

    def __init__(self, name: str, code: CodeType, order: list[str]) -> None:
        super().__init__(name, code)
        self._order = order

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        self._order.append(module.__name__)


class Warm:
    """A pytest plugin: when all tests are collected, `work` is done instead of running them."""

    def __init__(self, paths: dict[str, Path], work: Callable[["Warm"], None]) -> None:
        self._paths = paths
        self._work = work
        self._original = {name: planted_code(path, -1) for name, path in paths.items()}
        self._files = {str(path) for path in paths.values()}
        self._order: list[str] = []
        self._classless = {name for name, path in paths.items() if not _has_classes(path)}
        self._called: set[CodeType] = set()
        self._held: dict[CodeType, list[FunctionType]] = defaultdict(list)
        self._items: dict[str, pytest.Item] = {}
        self._passing: dict[tuple[str, str], bool] = {}
        self._failed = ""
        self.took: dict[str, float] = {}  # of each test that passes, in seconds

    def serve(self) -> None:
        """Collects, and does the work. For a process that has imported nothing of ours."""
        for name, code in self._original.items():
            if name != "__init__":
                sys.meta_path.insert(0, Kept(f"{PACKAGE}.{name}", code, self._order))
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
        self.took = kept_while_the_copy_is(TOOK, self._measured)

    def _measured(self) -> dict[str, float]:
        def run(tell: Callable[[str], object]) -> int:
            took = {}
            for test in self._items:
                began = time.process_time()
                if self._passes(test):
                    took[test] = time.process_time() - began
                self._failed = ""
            tell(json.dumps(took))
            return SURVIVES

        _, told = in_a_fork(run, ALL_TESTS_S)
        found: dict[str, float] = json.loads(told)
        return found

    def _passes(self, test: str) -> bool:
        item = self._items[test]
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self._failed

    def way(self, mutant: Mutant) -> Way | None:
        """How to plant it; None when only importing everything would do."""
        try:
            planted = planted_code(self._paths[mutant.module], mutant.number)
        except (SyntaxError, ValueError):
            return None
        original = self._original[mutant.module]
        changes = differences(original, planted)
        if all(self._exchangeable(*change) for change in changes):
            return Way(
                plant=lambda: self._exchange(changes),
                without=lambda: None,
                name="",
                everything=False,
            )
        if mutant.module not in self._classless:
            return None
        return Way(
            plant=lambda: self._execute(mutant.module, planted),
            without=lambda: self._execute(mutant.module, original),
            name=mutant.module,
            everything=True,
        )

    def _exchangeable(self, old: CodeType, new: CodeType) -> bool:
        if old in self._held and old.co_freevars != new.co_freevars:
            return False
        if not _own(old, new):
            return True  # only what stands in it has changed
        lost = not _alike(old, new) and any(code in self._held for code in _inner(old))
        return not lost and old not in self._called

    def _exchange(self, changes: list[Change]) -> None:
        for old, new in changes:
            for function in self._held.get(old, ()):
                function.__code__ = new

    def _execute(self, name: str, code: CodeType) -> None:
        """The module once more, then those without classes that were done after it."""
        first = f"{PACKAGE}.{name}"
        stale: dict[str, list[tuple[object, object]]] = defaultdict(list)
        for each in self._order[self._order.index(first) :]:
            short = each.rpartition(".")[2]
            if short not in self._classless:
                continue
            there = vars(sys.modules[each])
            before = dict(there)
            exec(code if each == first else self._original[short], there)
            for held, old in before.items():
                if there[held] is not old:
                    stale[held].append((old, there[held]))
        for module in [found for key, found in sys.modules.items() if key.startswith(OURS)]:
            for held, value in list(vars(module).items()):
                for old, new in stale.get(held, ()):
                    if value is old:
                        setattr(module, held, new)

    def verdict(self, way: Way, tests: Sequence[str]) -> tuple[int, str]:
        """How the fork ends that runs these tests in this order, and the first that fails."""
        left = list(tests)
        while True:
            code, test = self._run(way.plant, left)
            if code != DIES or self._passes_without(way, test):
                return code, test
            if not test:
                return CANNOT, test
            left.remove(test)  # it says nothing: it fails without the mutant as well

    def _run(self, plant: Callable[[], None], tests: Sequence[str]) -> tuple[int, str]:
        def run(tell: Callable[[str], object]) -> int:
            plant()
            for test in tests:
                if not self._passes(test):
                    tell(test)
                    return DIES
            return SURVIVES

        return in_a_fork(run, LEAST_S + TIMES * sum(self.took[test] for test in tests))

    def _passes_without(self, way: Way, test: str) -> bool:
        """The test; or what is done before any test, if that is what failed."""
        if (way.name, test) not in self._passing:
            code, _ = self._run(way.without, [test] if test else [])
            self._passing[way.name, test] = code == SURVIVES
        return self._passing[way.name, test]


def _has_classes(path: Path) -> bool:
    return any(isinstance(node, ast.ClassDef) for node in ast.walk(ast.parse(path.read_text())))


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


def differences(old: CodeType, new: CodeType) -> list[Change]:
    """Every pair of code that is not the same, the outer ones first."""
    return list(_different(old, new))


def _different(old: CodeType, new: CodeType) -> Iterator[Change]:
    """What does not make the same functions is one change."""
    if old == new:
        return
    yield old, new
    if _alike(old, new):
        for before, after in zip(_inner(old), _inner(new), strict=True):
            yield from _different(before, after)
