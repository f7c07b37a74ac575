"""Runs the tests of the deciding code against each mutant, in a copy of the tree.

    python -m tests.mutation.run --seconds 3600 [--module guards] [--fresh]

One process forks for every mutant; the fork loads the mutant in place of the module and runs the
tests that reach the mutated line, until one fails. What was found is kept in `build/mutation/` and
not tried again while the module is the same, and, of a survivor, while the tests are the same too.
The test that compares docs/rules.md with the code is only run for the reasons' sentences: it would
notice a changed row without anybody knowing what the row should say.
"""

import argparse
import ast
import gc
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from tests.mutation.operators import Mutant, mutants, mutated

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build" / "mutation"
COPY: Final = BUILD / "tree"
RESULTS: Final = BUILD / "results.jsonl"
LINES: Final = BUILD / "lines.json"
REPORT: Final = BUILD / "report.json"
EQUIVALENT: Final = ROOT / "tests" / "mutation" / "equivalent.txt"
PACKAGE: Final = "controller.core"
TESTS: Final = "tests/core"
WORDS: Final = "tests/core/test_words.py"  # pins what is written at the head of a module
PROSE: Final = "tests/core/test_docs.py"  # compares sentences; only for the module of sentences
COPIED: Final = ("controller", "bgp", "witness", "lab", "tests", "docs", "configs")
COPIED_FILES: Final = ("setup.cfg", "README.md", "Makefile", "CHANGELOG.md", "SECURITY.md")
TIMEOUT_S: Final = 60
NOTHING_RUN: Final = 5  # pytest's exit code
Reached = dict[str, dict[int, frozenset[str]]]  # module, line: tests ("" while importing)

KILLED, SURVIVED, NO_TEST, BROKEN = "killed", "survived", "no test", "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one mutant."""

    module_hash: str
    tests_hash: str
    module: str
    number: int
    name: str
    line: int
    verdict: str
    took_s: float


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a given tree instead of its file."""

    def __init__(self, name: str, path: Path, number: int) -> None:
        self._name = name
        self._path = path
        tree = mutated(path.read_text(), number) if number >= 0 else ast.parse(path.read_text())
        self._code = compile(tree, str(path), "exec")

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(self._path))

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)


def main() -> int:
    """The score and the survivors; 0 when every mutant that could be tried was killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--module", action="append", default=[])
    parser.add_argument("--fresh", action="store_true", help="forget what was found before")
    parser.add_argument("--same-tree", action="store_true", help="go on with the copy of last time")
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # so that a verdict is the same at every run
        arguments = [sys.executable, "-m", "tests.mutation.run", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, "PYTHONHASHSEED": "0"})
    if options.fresh:
        RESULTS.unlink(missing_ok=True)
    if not options.same_tree:
        _copy_tree()
    modules = _modules(options.module)
    known = dict(_known(modules))
    todo = [m for m in _all(modules) if (m.module, m.number) not in known]
    if todo:
        known |= dict(_tried(todo, modules, options.seconds))
    return _report(modules, known)


def _copy_tree() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    for name in (*COPIED, *COPIED_FILES):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, COPY / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, COPY / name)


def _modules(chosen: list[str]) -> dict[str, Path]:
    folder = COPY / PACKAGE.replace(".", "/")
    found = {path.stem: path for path in sorted(folder.glob("*.py"))}
    return {name: path for name, path in found.items() if not chosen or name in chosen}


def _all(modules: dict[str, Path]) -> list[Mutant]:
    return [mutant for name, path in modules.items() for mutant in mutants(name, path.read_text())]


def _hash(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _hashes(modules: dict[str, Path]) -> dict[str, str]:
    """What the number of a mutant means depends on its module and on the operators."""
    operators = ROOT / "tests" / "mutation" / "operators.py"
    return {name: _hash(path, operators) for name, path in modules.items()}


def _tests_hash() -> str:
    return _hash(*sorted((COPY / TESTS).rglob("*.py")))


def _known(modules: dict[str, Path]) -> Iterator[tuple[tuple[str, int], Result]]:
    """What was found before and still stands."""
    if not RESULTS.exists():
        return
    tests = _tests_hash()
    hashes = _hashes(modules)
    for line in RESULTS.read_text().splitlines():
        found = Result(**json.loads(line))
        current = hashes.get(found.module) == found.module_hash
        if current and (found.verdict == KILLED or found.tests_hash == tests):
            yield (found.module, found.number), found


# --- trying --------------------------------------------------------------------------------------


def _tried(
    todo: list[Mutant], modules: dict[str, Path], seconds: float
) -> Iterator[tuple[tuple[str, int], Result]]:
    reached = _tests_by_line()
    hashes = _hashes(modules)
    tests = _tests_hash()
    os.chdir(COPY)
    sys.path.insert(0, str(COPY))
    _import_what_is_not_mutated()
    _check_that_the_tests_pass_in_a_fork(todo, modules, reached)
    until = time.monotonic() + seconds
    with RESULTS.open("a") as out:
        for count, mutant in enumerate(todo):
            if time.monotonic() > until:
                _say(f"out of time: {len(todo) - count} mutants were not tried")
                return
            began = time.monotonic()
            path = modules[mutant.module]
            selected = _selected(mutant, path, reached)
            verdict = _verdict(mutant, path, selected) if selected else NO_TEST
            result = Result(
                module_hash=hashes[mutant.module],
                tests_hash=tests,
                module=mutant.module,
                number=mutant.number,
                name=mutant.name,
                line=mutant.line,
                verdict=verdict,
                took_s=round(time.monotonic() - began, 2),
            )
            out.write(json.dumps(asdict(result)) + "\n")
            out.flush()
            if verdict != KILLED:
                _say(f"[{count + 1}/{len(todo)}] {verdict}: line {mutant.line}, {mutant.name}")
            yield (mutant.module, mutant.number), result


def _check_that_the_tests_pass_in_a_fork(
    todo: list[Mutant], modules: dict[str, Path], reached: Reached
) -> None:
    """Else every mutant would seem to be killed."""
    for name in sorted({mutant.module for mutant in todo}):
        none = Mutant(module=name, number=-1, line=1, what="", source_line="")
        everything = set().union(*reached[name].values(), set()) - {""}
        tests = [test for test in sorted(everything) if not test.startswith(PROSE)]
        if tests and _verdict(none, modules[name], [tests]) != SURVIVED:
            raise SystemExit(f"the tests of {name} fail in a fork without any mutant")


def _import_what_is_not_mutated() -> None:
    """Forks start with it. Of our own, only the modules whose import reaches no mutated one."""
    ours = ("tests", "controller", "bgp", "witness", "lab")
    for name in [name for name in sys.modules if name.split(".")[0] in ours]:
        del sys.modules[name]
    for name in (
        "pytest",
        "hypothesis",
        "_hypothesis_pytestplugin",
        "pytest_asyncio.plugin",
        "bgp.policy",
        "hypothesis.strategies",
        "hypothesis.stateful",
        "_pytest.python",
        "_pytest.assertion.rewrite",
        "_pytest.junitxml",
        "_pytest.pastebin",
        "json",
        "hypothesis.strategies._internal.core",
        "zlib",
        "coverage",
        "pytest_cov.plugin",
        "hypothesis.internal.conjecture.engine",
    ):
        importlib.import_module(name)
    gc.freeze()


def _tests_by_line() -> Reached:
    """Which tests run which line, from one run of all of them with the tree as it is."""
    state = _hash(*sorted((COPY / PACKAGE.replace(".", "/")).glob("*.py"))) + _tests_hash()
    if LINES.exists() and (kept := json.loads(LINES.read_text()))["state"] == state:
        return {
            module: {int(line): frozenset(tests) for line, tests in lines.items()}
            for module, lines in kept["reached"].items()
        }
    reached = _run_all_tests()
    plain = {
        module: {line: sorted(tests) for line, tests in lines.items()}
        for module, lines in reached.items()
    }
    LINES.write_text(json.dumps({"state": state, "reached": plain}))
    return reached


def _run_all_tests() -> Reached:
    modules = _modules([])
    data = BUILD / "coverage"
    data.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider", TESTS]
    command += [f"--cov={PACKAGE}", "--cov-context=test", "--cov-report=", "--cov-fail-under=0"]
    done = subprocess.run(
        command,
        cwd=COPY,
        env={**os.environ, "COVERAGE_FILE": str(data)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    failed = set(re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE))
    if done.returncode not in (0, 1):
        raise SystemExit(f"the tests cannot be run:\n{done.stdout[-4000:]}{done.stderr}")
    for test in sorted(failed):
        _say(f"left out, because it fails without any mutant: {test}")
    from coverage import CoverageData  # noqa: PLC0415  (the only part that needs it)

    found = CoverageData(basename=str(data))
    found.read()
    reached: Reached = {}
    for name, path in modules.items():
        by_line = found.contexts_by_lineno(str(path))
        reached[name] = {
            line: frozenset(context.rpartition("|")[0] for context in contexts) - failed
            for line, contexts in by_line.items()
        }
    return reached


def _selected(mutant: Mutant, path: Path, reached: Reached) -> list[list[str]]:
    """The tests that reach the statement of the mutant: those of its own module, then others."""
    lines = reached[mutant.module]
    tests: set[str] = set()
    for line in _statement(path, mutant.line):
        tests |= lines.get(line, frozenset())
    if "" in tests:  # it runs while the module is imported: any test may notice
        tests = {t for found in reached.values() for line in found.values() for t in line}
        tests.add(WORDS)
    if mutant.module != "reason":
        tests = {test for test in tests if not test.startswith(PROSE)}
    own = {test for test in tests if f"/test_{mutant.module}.py::" in test or test == WORDS}
    groups = [sorted(own), _by_file(tests - own - {""}, reached)]
    return [group for group in groups if group]


def _by_file(tests: set[str], reached: Reached) -> list[str]:
    """Whole files where most of their tests are meant: collecting is what costs."""
    everything = {test for lines in reached.values() for found in lines.values() for test in found}
    chosen: list[str] = []
    for file in sorted({test.partition("::")[0] for test in tests}):
        wanted = sorted(test for test in tests if test.startswith(f"{file}::"))
        there = sum(test.startswith(f"{file}::") for test in everything)
        chosen += [file] if len(wanted) * 2 > there else wanted
    return chosen


def _statement(path: Path, line: int) -> range:
    smallest = range(line, line + 1)
    width = sys.maxsize
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            size = (node.end_lineno or 0) - node.lineno
            if size <= width:
                smallest, width = range(node.lineno, (node.end_lineno or 0) + 1), size
    return smallest


def _verdict(mutant: Mutant, path: Path, selected: list[list[str]]) -> str:
    """Runs `selected` in a fork. What hangs is killed: a test would have noticed."""
    child = os.fork()
    if child == 0:
        os._exit(_run_in_fork(mutant, path, selected))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return KILLED if os.WTERMSIG(status) == signal.SIGALRM else BROKEN
    code = os.WEXITSTATUS(status)
    return {0: SURVIVED, NOTHING_RUN: BROKEN}.get(code, KILLED)


def _run_in_fork(mutant: Mutant, path: Path, selected: list[list[str]]) -> int:
    import pytest  # noqa: PLC0415

    signal.alarm(TIMEOUT_S)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    try:
        sys.meta_path.insert(0, Planted(f"{PACKAGE}.{mutant.module}", path, mutant.number))
    except (SyntaxError, ValueError):
        return 1
    options = ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:cov"]
    options += ["-p", "no:unraisableexception", "-p", "no:threadexception"]
    options += ["--hypothesis-profile", "few"]
    code = 0
    for group in selected:
        try:
            code = int(pytest.main([*options, *group]))
        except BaseException:
            code = 1
        if code:
            break
    return code


# --- telling -------------------------------------------------------------------------------------


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def equivalent() -> dict[str, str]:
    """Mutants that no test can tell from the original, and why: name, tab, reason."""
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    pairs = [line.split("\t", 1) for line in lines if line and not line.startswith("#")]
    return {name.strip(): reason.strip() for name, reason in pairs}


def _report(modules: dict[str, Path], known: dict[tuple[str, int], Result]) -> int:
    excused = equivalent()
    total = {name: len(mutants(name, path.read_text())) for name, path in modules.items()}
    rows = []
    survivors: list[str] = []
    for name in modules:
        found = [result for result in known.values() if result.module == name]
        killed = sum(result.verdict == KILLED for result in found)
        same = sum(result.verdict != KILLED and result.name in excused for result in found)
        left = [r for r in found if r.verdict != KILLED and r.name not in excused]
        survivors += [f"{name}.py:{r.line}: {r.verdict}: {r.name}" for r in left]
        rows.append((name, total[name], len(found), killed, same, len(left)))
    sums = [sum(int(row[column]) for row in rows) for column in range(1, 6)]
    for row in (("module", "mutants", "tried", "killed", "equivalent", "survived"), *rows):
        _say("{:<14}{:>9}{:>9}{:>9}{:>12}{:>10}".format(*row))
    _say("{:<14}{:>9}{:>9}{:>9}{:>12}{:>10}".format("all", *sums))
    score = sums[2] / max(1, sums[1] - sums[3])
    _say(f"score {score:.2%} of those tried")
    for survivor in survivors:
        _say(survivor)
    REPORT.write_text(
        json.dumps(
            {
                "mutants": sums[0],
                "tried": sums[1],
                "killed": sums[2],
                "equivalent": sums[3],
                "survived": survivors,
                "score": score,
            },
            indent=1,
        )
    )
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
