"""The copy of the tree that is mutated, and which tests reach which of its lines."""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Final

from tests.mutation.operators import Mutant, mutants, mutated

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build" / "mutation"
COPY: Final = BUILD / "tree"
LINES: Final = BUILD / "lines.json"
TOOK: Final = BUILD / "took.json"
PACKAGE: Final = "controller.core"
TESTS: Final = "tests/core"
WORDS: Final = "tests/core/test_words.py"  # pins what is written at the head of a module
PROSE: Final = "tests/core/test_docs.py"  # compares sentences; only for the module of sentences
COPIED: Final = ("controller", "bgp", "witness", "lab", "tests", "docs", "configs")
COPIED_FILES: Final = (
    "setup.cfg",
    "README.md",
    "Makefile",
    "CHANGELOG.md",
    "LICENSE",
    "SECURITY.md",
)
Lines = dict[str, dict[int, frozenset[str]]]  # module, line: tests ("" while importing)

KILLED, SURVIVED, NO_TEST, BROKEN = "killed", "survived", "no test", "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one mutant."""

    key: str
    module: str
    name: str
    line: int
    definition: str
    verdict: str
    by: str  # the test that killed it; empty when it hung
    state: str  # of the deciding code and its tests
    took_s: float


def copy_tree() -> None:
    """The copy is as the tree is now."""
    shutil.rmtree(COPY, ignore_errors=True)
    for name in (*COPIED, *COPIED_FILES):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, COPY / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, COPY / name)


def modules(chosen: list[str]) -> dict[str, Path]:
    """Every module of the deciding code in the copy, or the chosen ones."""
    folder = COPY / PACKAGE.replace(".", "/")
    found = {path.stem: path for path in sorted(folder.glob("*.py"))}
    return {name: path for name, path in found.items() if not chosen or name in chosen}


def every_mutant(paths: dict[str, Path]) -> list[Mutant]:
    """The mutants of all these modules."""
    return [mutant for name, path in paths.items() for mutant in mutants(name, path.read_text())]


def planted_code(path: Path, number: int) -> CodeType:
    """The module with this mutant in it; with none when the number is below zero."""
    source = path.read_text()
    tree = mutated(source, number) if number >= 0 else ast.parse(source)
    return compile(tree, str(path), "exec")


def state_of_the_copy() -> str:
    """Digest of the deciding code and its tests."""
    digest = hashlib.sha256()
    code = (COPY / PACKAGE.replace(".", "/")).glob("*.py")
    for path in (*sorted(code), *sorted((COPY / TESTS).rglob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Every test that passes without any mutant, and which of them run which line."""

    tests: frozenset[str]
    failing: tuple[str, ...]
    lines: Lines


def tests_by_line() -> Reach:
    """From one run of all tests with the tree as it is, or from the last one if it still is."""
    state = state_of_the_copy()
    if not LINES.exists() or json.loads(LINES.read_text())["state"] != state:
        LINES.write_text(json.dumps({"state": state, **_run_all_tests()}))
    kept = json.loads(LINES.read_text())
    names = kept["tests"]
    return Reach(
        tests=frozenset(names) - {""},
        failing=tuple(kept["failing"]),
        lines={
            module: {int(line): frozenset(names[n] for n in found) for line, found in lines.items()}
            for module, lines in kept["lines"].items()
        },
    )


def kept_while_the_copy_is(path: Path, find: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What `find` finds, or has found in this state of the copy."""
    state = state_of_the_copy()
    if not path.exists() or json.loads(path.read_text())["state"] != state:
        path.write_text(json.dumps({"state": state, "found": find()}))
    found: dict[str, float] = json.loads(path.read_text())["found"]
    return found


def _run_all_tests() -> dict[str, object]:
    data = BUILD / "coverage"
    data.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-rfEp", "-p", "no:cacheprovider", TESTS]
    command += [f"--cov={PACKAGE}", "--cov-context=test", "--cov-report=", "--cov-fail-under=0"]
    command += ["--hypothesis-profile", "few"]
    done = subprocess.run(
        command,
        cwd=COPY,
        env={**os.environ, "COVERAGE_FILE": str(data)},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"the tests cannot be run:\n{done.stdout[-4000:]}{done.stderr}")
    failing = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    for test in failing:
        say(f"left out, because it fails without any mutant: {test}")
    tests = ["", *sorted(re.findall(r"^PASSED (.+)$", done.stdout, re.MULTILINE))]
    number = {test: n for n, test in enumerate(tests)}
    from coverage import CoverageData  # noqa: PLC0415  (the only part that needs it)

    found = CoverageData(basename=str(data))
    found.read()
    lines: dict[str, dict[int, list[int]]] = {}
    for name, path in modules([]).items():
        by_line = found.contexts_by_lineno(str(path))
        lines[name] = {
            line: sorted({number[t] for c in contexts if (t := c.rpartition("|")[0]) in number})
            for line, contexts in by_line.items()
        }
    return {"tests": tests, "failing": failing, "lines": lines}


def reaching(mutant: Mutant, path: Path, reach: Reach) -> frozenset[str]:
    """The tests that run the statement of the mutant; "" among them if its import does."""
    lines = reach.lines[mutant.module]
    first, last = _statement(path, mutant.line)
    tests = frozenset().union(*(lines.get(line, frozenset()) for line in range(first, last + 1)))
    return frozenset(test for test in tests if meant_for(mutant, test))


def meant_for(mutant: Mutant, test: str) -> bool:
    """The page that is made from the code would notice a row that nobody knows to be wrong."""
    return mutant.module == "reason" or not test.startswith(PROSE)


def of_its_own(mutant: Mutant, test: str) -> bool:
    """The tests of a module stand in the file of its name."""
    return test.startswith((f"{TESTS}/test_{mutant.module}.py", WORDS))


def files_for(mutant: Mutant) -> tuple[list[str], list[str]]:
    """Every file of tests: those of its module, then the others."""
    files = [f"{TESTS}/{path.name}" for path in sorted((COPY / TESTS).glob("test_*.py"))]
    meant = [file for file in files if meant_for(mutant, file)]
    own = [file for file in meant if of_its_own(mutant, file)]
    return own, [file for file in meant if file not in own]


def _statement(path: Path, line: int) -> tuple[int, int]:
    """First and last line of the smallest statement around `line`."""
    around = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in _statements(path)
        if node.lineno <= line <= (node.end_lineno or 0)
    ]
    return min(reversed(around), key=lambda lines: lines[1] - lines[0], default=(line, line))


_PARSED: Final[dict[Path, list[ast.stmt]]] = {}


def _statements(path: Path) -> list[ast.stmt]:
    if path not in _PARSED:
        tree = ast.parse(path.read_text())
        _PARSED[path] = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    return _PARSED[path]


def say(text: str) -> None:
    """One line to the terminal, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
