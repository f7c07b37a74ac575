"""Scenario files in the simulated world: `python -m tests.sim.scenario FILE...`.

Every checker watches every scenario, whatever its text asks for.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from controller.core.model import DatabaseKind, Durability
from controller.core.requests import Kind
from lab.scenario.arguments import DATA_SITES, SERVICES
from lab.scenario.language import Scenario
from lab.scenario.matching import Phrase
from lab.scenario.play import Figures, Look, StageError, Verdict, play
from lab.scenario.problem import ScenarioError
from lab.scenario.suite import choose, read_all, table, write_report
from lab.scenario.words import World as Worlds
from tests.sim.checkers import Checker, Violation, every_checker
from tests.sim.scenario_acts import Acts
from tests.sim.scenario_people import ACTS
from tests.sim.scenario_sight import Chronicle, Sight
from tests.sim.shape import ServiceShape, Shape
from tests.sim.world import World

BEGIN_WITHIN_S = 40.0
WHOLE_WITHIN_S = 60.0
SETTLE_S = 5.0  # at the end everything must be as it should be for so long
EVERY_S = 0.05
PATIENT_S = 4.0
FLAP_WINDOW_S = 3600.0
PACE_S = 0.2


def shape(holders: dict[str, str]) -> Shape:
    """The lab's cluster: the wallet with two databases, the lobby with none."""
    first = {"wallet": "dc1", "lobby": "dc2", **holders}
    kinds = (("ledger", DatabaseKind.POSTGRES), ("journal", DatabaseKind.MARIADB))
    return Shape(
        services=(
            ServiceShape(name="wallet", databases=kinds, holder=DATA_SITES.index(first["wallet"])),
            ServiceShape(
                name="lobby",
                databases=(),
                durability=Durability.LEASE,
                holder=DATA_SITES.index(first["lobby"]),
            ),
        ),
        clients_pace_s=PACE_S,
        calm=1.0,
        flap_window_s=FLAP_WINDOW_S,
    )


@dataclass(slots=True)
class SimStage:
    """One scenario in a world of its own."""

    seed: int
    patience: float = 1.0
    every_s: float = EVERY_S
    checkers: tuple[Checker, ...] = field(default_factory=every_checker)
    chronicle: Chronicle = field(default_factory=Chronicle)
    redundancy_s: float | None = None
    world: World = field(init=False)
    acts: Acts = field(init=False)
    sight: Sight = field(init=False)

    async def begin(self, scenario: Scenario) -> None:
        """The world is whole, every service is where it is wanted."""
        holders = {g.text("SERVICE"): g.text("DC") for g in scenario.givens if g.key == "holds"}
        self.world = World(self.seed, shape(holders), (*self.checkers, self.chronicle))
        self.acts = Acts(self.world, self._run)
        self.sight = Sight(self.world, self.chronicle, self.acts.audits)
        for phrase in scenario.givens:
            self._given(phrase)
        self._until_whole(BEGIN_WITHIN_S)
        self._run(1.0)
        self.sight.began_at = self.sight.acted_at = self.world.now
        for service in SERVICES:
            self.sight.first[service] = self.sight.record(service)

    def _given(self, phrase: Phrase) -> None:
        match phrase.key:
            case "patient":
                for client in self.world.clients:
                    client.timeout_s = PATIENT_S
            case "four_eyes":
                self.world.approvals[Kind(phrase.text("MOVE"))] = 1
            case "shared_payments":
                self.world.payments = replace(self.world.payments, shared=True)

    def now(self) -> float:
        """Seconds since the beginning."""
        return self.world.now - self.sight.began_at

    async def wait(self, seconds: float) -> None:
        """So much true time has passed."""
        self._run(seconds)

    async def act(self, phrase: Phrase) -> None:
        """It has been done."""
        try:
            ACTS[phrase.key](self.acts, phrase)
        except Violation as found:
            raise StageError(str(found)) from found
        self.sight.acted_at = self.world.now
        self.redundancy_s = None

    async def look(self, phrase: Phrase) -> Look:
        """How it is now, in truth."""
        found = self.sight.look(phrase)
        if phrase.key == "whole" and found.true:
            self._note_whole()
        return found

    async def end(self) -> None:
        """Everything is mended and stays whole; no checker has anything against it."""
        self.acts.mend()
        self._until_whole(WHOLE_WITHIN_S)
        self._note_whole()
        self.sight.ended_at = self.world.now
        for client in self.world.clients:
            client.stopped = True
        self._run(SETTLE_S)
        try:
            for checker in self.checkers:
                checker.end(self.world.final())
        except Violation as found:
            raise StageError(str(found)) from found

    async def figures(self) -> Figures:
        """What was measured."""
        answers = [
            answer
            for told in self.chronicle.clients("wallet").values()
            for answer in told
            if answer.ok and answer.sent_at >= self.sight.began_at
        ]
        last = max(answers, key=lambda answer: answer.at, default=None)
        return Figures(
            outage_s=self.sight.outages(),
            acked=len({answer.write for answer in answers}),
            lost=len(self.sight.lost()) if self.sight.ended_at < float("inf") else 0,
            served_by="" if last is None else last.site,
            redundancy_s=self.redundancy_s,
        )

    def _run(self, seconds: float) -> None:
        try:
            self.world.run(seconds)
        except Violation as found:
            raise StageError(str(found)) from found

    def _until_whole(self, within_s: float) -> None:
        until = self.world.now + within_s
        while missing := [said for name in SERVICES if (said := self.sight.unsettled(name))]:
            if self.world.now > until:
                raise StageError(f"not whole within {within_s:g} s: {'; '.join(missing)}")
            self._run(self.every_s)

    def _note_whole(self) -> None:
        if self.redundancy_s is None:
            self.redundancy_s = round(self.world.now - self.sight.acted_at, 3)


def simulate(scenario: Scenario, seed: int, *, aloud: bool = False) -> tuple[Verdict, SimStage]:
    """How the scenario goes under a seed, and the stage it was played on."""
    stage = SimStage(seed)

    def say(text: str) -> None:
        if aloud:
            print(f"  {text}", file=sys.stderr)  # noqa: T201

    return asyncio.run(play(scenario, stage, say)), stage


def main() -> int:
    """Every scenario of the files, under every seed; 1 when one does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.scenario", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE|FOLDER")
    parser.add_argument("--row", type=int, action="append", default=[], metavar="N")
    parser.add_argument("--only", default="", metavar="TEXT", help="only with this in the title")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many")
    parser.add_argument("--quiet", action="store_true", help="only the table")
    parser.add_argument("--trace", action="store_true", help="the history of what does not hold")
    parser.add_argument("--report", type=Path, default=None, metavar="FILE")
    options = parser.parse_args()
    try:
        chosen = choose(read_all(options.files), Worlds.SIM, options.row, options.only)
    except (ScenarioError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    verdicts: list[Verdict] = []
    for scenario in chosen:
        for seed in range(options.seed, options.seed + options.seeds):
            if not options.quiet:
                print(f"=== {scenario.title} (seed {seed})", file=sys.stderr)  # noqa: T201
            verdict, stage = simulate(scenario, seed, aloud=not options.quiet)
            verdicts.append(verdict)
            if options.trace and not verdict.passed:
                print(stage.world.trace())  # noqa: T201
    print(table(verdicts))  # noqa: T201
    if options.report:
        write_report(verdicts, options.report)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
