"""Runs the tests of the deciding code against each mutant, in a copy of the tree.

    python -m tests.mutation.run --seconds 3600 [--module guards] [--fresh]

One fork for every mutant runs the tests that reach the mutated line until one fails: first those
that killed its neighbours, then those of its own module, the cheap ones before the dear ones. What
was found is kept in `build/mutation/`: a kill stands while the function, class or table of the
mutant is the same, a survivor while the deciding code and its tests are.
The test that compares docs/rules.md with the code is only run for the reasons' sentences: it would
notice a changed row without anybody knowing what the row should say.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Final

from tests.mutation import cold
from tests.mutation.forks import CANNOT, CRASHED, DIES, HUNG, SURVIVES
from tests.mutation.operators import Mutant
from tests.mutation.tree import (
    BROKEN,
    BUILD,
    COPY,
    KILLED,
    NO_TEST,
    ROOT,
    SURVIVED,
    Reach,
    Result,
    copy_tree,
    every_mutant,
    files_for,
    kept_while_the_copy_is,
    meant_for,
    modules,
    of_its_own,
    reaching,
    say,
    state_of_the_copy,
    tests_by_line,
)
from tests.mutation.warm import Warm

RESULTS: Final = BUILD / "results.jsonl"
REPORT: Final = BUILD / "report.json"
CHECKED: Final = BUILD / "checked.json"
EQUIVALENT: Final = ROOT / "tests" / "mutation" / "equivalent.txt"
VERDICTS: Final = {SURVIVES: SURVIVED, DIES: KILLED, HUNG: KILLED, CANNOT: BROKEN, CRASHED: BROKEN}
NEIGHBOURS: Final = 3
LITTLE_S: Final = 0.5
KINDS: Final = {
    "type": "what the type checker wants to be told, and another condition says already",
    "never": "the two differ only where no view, or no value, can be",
    "same": "another way to the same value",
}


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
        copy_tree()
    paths = modules(options.module)
    every = every_mutant(paths)
    known = _known(every)
    if len(known) < len(every):
        _try(every, paths, time.monotonic() + options.seconds)
        known = _known(every)
    return _report(every, known)


def _known(every: list[Mutant]) -> dict[str, Result]:
    """What was found, now or before, and still stands."""
    if not RESULTS.exists():
        return {}
    state = state_of_the_copy()
    keys = {mutant.key for mutant in every}
    found = [Result(**json.loads(line)) for line in RESULTS.read_text().splitlines()]
    return {
        result.key: result
        for result in found
        if result.key in keys and (result.verdict == KILLED or result.state == state)
    }


# --- trying --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Trial:
    """What is to be tried, until when, and which tests have killed what so far."""

    todo: list[Mutant]
    paths: dict[str, Path]
    reach: Reach
    until: float
    state: str
    killers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    excused: frozenset[str] = field(default_factory=lambda: frozenset(equivalent()))
    began: float = 0.0

    def each(self) -> Iterator[Mutant]:
        """Every mutant that there is time for."""
        for count, mutant in enumerate(self.todo):
            self.began = time.monotonic()
            if self.began > self.until:
                say(f"out of time: {len(self.todo) - count} mutants were not tried")
                return
            yield mutant

    def found(self, mutant: Mutant, verdict: str, by: str = "") -> None:
        """Writes it down."""
        result = Result(
            key=mutant.key,
            module=mutant.module,
            name=mutant.name,
            line=mutant.line,
            definition=mutant.definition,
            verdict=verdict,
            by=by,
            state=self.state,
            took_s=round(time.monotonic() - self.began, 2),
        )
        with RESULTS.open("a") as out:
            out.write(json.dumps(asdict(result)) + "\n")
        self.remember(result)
        if verdict != KILLED and mutant.name not in self.excused:
            say(f"{verdict}: line {mutant.line}, {mutant.name}")

    def remember(self, result: Result) -> None:
        """Who killed this one may kill its neighbours."""
        if result.by:
            self.killers[result.definition][result.by] += 1
            self.killers[result.module][result.by] += 1

    def likely(self, mutant: Mutant, tests: frozenset[str]) -> list[str]:
        """The tests that killed most of its neighbours, and most of its module."""
        found: list[str] = []
        may = self.reach.tests if "" in tests else tests
        for near in (mutant.definition, mutant.module):
            killers = [test for test, _ in self.killers[near].most_common() if test in may]
            found += [test for test in killers if test not in found][:NEIGHBOURS]
        return found


def _try(every: list[Mutant], paths: dict[str, Path], until: float) -> None:
    """Warm, in a process of its own that has imported everything; then cold what that leaves."""
    trial = _Trial([], paths, tests_by_line(), until, state_of_the_copy())
    os.chdir(COPY)
    sys.path.insert(0, str(COPY))
    cold.import_what_is_not_mutated()
    child = os.fork()
    if child == 0:
        _take_up(trial, every)
        Warm(modules([]), lambda warm: _try_warm(warm, trial)).serve()
        os._exit(0)
    os.waitpid(child, 0)
    _take_up(trial, every)
    if trial.todo and time.monotonic() < until:
        kept_while_the_copy_is(CHECKED, lambda: _check(every, trial))
        _try_cold(trial)


def _check(every: list[Mutant], trial: _Trial) -> dict[str, float]:
    """The tests pass in a fork that imports everything, those for each kind of module."""
    for mutant in {str(files_for(mutant)): mutant for mutant in every}.values():
        path = trial.paths[mutant.module]
        cold.check_that_the_tests_pass(mutant, path, files_for(mutant), trial.reach.failing)
    return {}


def _take_up(trial: _Trial, every: list[Mutant]) -> None:
    known = _known(every)
    trial.todo = [mutant for mutant in every if mutant.key not in known]
    trial.killers.clear()
    for result in known.values():
        trial.remember(result)


def _try_warm(warm: Warm, trial: _Trial) -> None:
    warm.measure()
    passing = frozenset(warm.took)
    for mutant in trial.each():
        way = warm.way(mutant)
        if way is None:
            continue
        tests = passing & reaching(mutant, trial.paths[mutant.module], trial.reach)
        if way.everything:
            tests = frozenset(test for test in passing if meant_for(mutant, test))
        if not tests:
            continue
        first = trial.likely(mutant, tests)
        rest = _cheap_first(mutant, tests.difference(first), warm.took)
        if way.everything:
            rest = _so_many(rest, warm.took)
        code, by = warm.verdict(way, [*first, *rest])
        excused = code == SURVIVES and mutant.name in trial.excused
        if VERDICTS[code] == KILLED or excused:
            trial.found(mutant, VERDICTS[code], by)


def _cheap_first(mutant: Mutant, tests: frozenset[str], took: dict[str, float]) -> list[str]:
    """Those of its own module before the others, the cheap ones before the dear ones."""
    return sorted(tests, key=lambda test: (not of_its_own(mutant, test), took[test]))


def _so_many(tests: list[str], took: dict[str, float]) -> list[str]:
    """Those that together take no longer than a little: what they miss is left to `cold`."""
    so_far = accumulate(took[test] for test in tests)
    return [test for test, sum_s in zip(tests, so_far, strict=True) if sum_s < LITTLE_S]


def _try_cold(trial: _Trial) -> None:
    for mutant in trial.each():
        tests = reaching(mutant, trial.paths[mutant.module], trial.reach)
        first = trial.likely(mutant, tests)[:NEIGHBOURS]
        own = sorted(test for test in tests if of_its_own(mutant, test))
        groups = [first, own, sorted(tests.difference(own))]
        if "" in tests:  # it runs while the module is imported: any test may notice
            groups = [first, *files_for(mutant)]
        if not tests:
            trial.found(mutant, NO_TEST)
            continue
        path, wanted = trial.paths[mutant.module], [group for group in groups if group]
        code, by = cold.verdict(mutant, path, wanted, trial.reach.failing)
        trial.found(mutant, VERDICTS[code], by)


# --- telling -------------------------------------------------------------------------------------


def equivalent() -> dict[str, tuple[str, str]]:
    """Mutants that no test can tell from the original, with the kind of reason, and the reason."""
    lines = EQUIVALENT.read_text().splitlines()
    rows = [line.split("\t", 2) for line in lines if line and not line.startswith("#")]
    return {name: (kind, reason) for name, kind, reason in rows}


def _report(every: list[Mutant], known: dict[str, Result]) -> int:
    excused = equivalent()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    survivors: list[str] = []
    for mutant in every:
        counts[mutant.module]["mutants"] += 1
        result = known.get(mutant.key)
        if result is None:
            continue
        counts[mutant.module]["tried"] += 1
        kind = "survived"
        if result.verdict == KILLED:
            kind = "killed"
        elif mutant.name in excused:
            kind = "equivalent"
        else:
            survivors.append(f"{mutant.module}.py:{mutant.line}: {result.verdict}: {mutant.name}")
        counts[mutant.module][kind] += 1
    _tell(counts, survivors)
    return 1 if survivors else 0


def _tell(counts: dict[str, Counter[str]], survivors: Sequence[str]) -> None:
    columns = ("mutants", "tried", "killed", "equivalent", "survived")
    sums = sum(counts.values(), Counter[str]())
    say("{:<14}{:>9}{:>9}{:>9}{:>12}{:>10}".format("module", *columns))
    for name, count in (*counts.items(), ("all", sums)):
        say("{:<14}{:>9}{:>9}{:>9}{:>12}{:>10}".format(name, *(count[c] for c in columns)))
    score = sums["killed"] / max(1, sums["tried"] - sums["equivalent"])
    say(f"score {score:.2%} of those tried")
    for survivor in survivors:
        say(survivor)
    found = {**{column: sums[column] for column in columns}, "survivors": survivors, "score": score}
    REPORT.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    sys.exit(main())
