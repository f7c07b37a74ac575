"""A mutant of what runs while modules are imported: the fork imports everything anew.

It starts from a process that has imported only what depends on no mutated module.
"""

import gc
import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

import pytest

from tests.mutation.forks import CANNOT, DIES, SURVIVES, in_a_fork
from tests.mutation.operators import Mutant
from tests.mutation.tree import PACKAGE, planted_code

LIMIT_S: Final = 60
NOTHING_RUN: Final = 5  # pytest's exit code
OPTIONS: Final = (
    *("-x", "-qq", "-s", "--tb=no", "--assert=plain"),
    *("-p", "no:cacheprovider", "-p", "no:cov"),
    *("-p", "no:unraisableexception", "-p", "no:threadexception"),
    *("--hypothesis-profile", "few"),
)
OURS: Final = ("tests", "controller", "bgp", "witness", "lab")
FIRST: Final = (
    "_hypothesis_pytestplugin",
    "_pytest.assertion.rewrite",
    "_pytest.junitxml",
    "_pytest.pastebin",
    "_pytest.python",
    "bgp.policy",
    "coverage",
    "hypothesis.internal.conjecture.engine",
    "hypothesis.stateful",
    "hypothesis.strategies._internal.core",
    "pytest_asyncio.plugin",
    "pytest_cov.plugin",
    "zlib",
)


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the module of this name from given code instead of its file."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name = name
        self._code = code

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=self._code.co_filename)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)


class First:
    """Tells which test failed first."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._tell(report.nodeid)


def import_what_is_not_mutated() -> None:
    """Forks start with it. Of our own, only the modules whose import reaches no mutated one."""
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]
    for name in FIRST:
        importlib.import_module(name)
    gc.freeze()


def verdict(
    mutant: Mutant, path: Path, groups: Sequence[Sequence[str]], failing: Sequence[str]
) -> tuple[int, str]:
    """How the fork ends that runs these tests, group by group, and the first that fails; but for
    those that fail anyhow.
    """
    options = [*OPTIONS, *(f"--deselect={test}" for test in failing)]

    def run(tell: Callable[[str], object]) -> int:
        try:
            code = planted_code(path, mutant.number)
        except (SyntaxError, ValueError):
            return DIES
        sys.meta_path.insert(0, Planted(f"{PACKAGE}.{mutant.module}", code))
        for group in groups:
            ended = int(pytest.main([*options, *group], plugins=[First(tell)]))
            if ended == NOTHING_RUN:
                return CANNOT
            if ended:
                return DIES
        return SURVIVES

    return in_a_fork(run, LIMIT_S)


def check_that_the_tests_pass(
    mutant: Mutant, path: Path, groups: Sequence[Sequence[str]], failing: Sequence[str]
) -> None:
    """Else every mutant would seem to be killed."""
    none = replace(mutant, number=-1)
    if verdict(none, path, groups, failing)[0] != SURVIVES:
        raise SystemExit(f"the tests of {mutant.module} fail in a fork without any mutant")
