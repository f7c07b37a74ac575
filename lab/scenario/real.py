"""The stage of the real lab: real processes in network namespaces, clients that really write."""

import asyncio
import time
from dataclasses import dataclass, field

from lab.client.attempts import missing, repeated
from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.rehearsal.eyes import DATA_SITES, EDGE, Eyes, wait_for
from lab.scenario.acts import do
from lab.scenario.arguments import CLIENTS, SERVICES
from lab.scenario.crowd import PATIENT_TIMEOUT_S, USUAL_TIMEOUT_S, Crowd
from lab.scenario.hands import Hands
from lab.scenario.language import Scenario
from lab.scenario.matching import Phrase
from lab.scenario.play import Figures, Look, NotDone, Say, StageError
from lab.scenario.settings import GIVEN
from lab.scenario.sight import Sight

WHOLE_WITHIN_S = 90.0
TAKEN_OVER_WITHIN_S = 30.0


@dataclass(slots=True)
class LabStage:
    """One scenario in one lab that is up."""

    lab: Lab
    say: Say
    patience: float = 1.0
    every_s: float = 0.1
    crowd: Crowd = field(default_factory=Crowd)
    lenient: bool = False  # an act that nothing is there for, or that is refused, is left out
    eyes: Eyes = field(init=False)
    hands: Hands = field(init=False)
    sight: Sight = field(init=False)
    redundancy_s: float | None = None
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.eyes = Eyes(self.lab)
        self.hands = Hands(self.lab, self.wait)
        self.sight = Sight(self.lab, self.eyes, self.crowd, self.hands)

    # --- the stage ---------------------------------------------------------------------------

    async def begin(self, scenario: Scenario) -> None:
        """The lab is whole, every service is where it is wanted, and both clients write."""
        try:
            await self.hands.mend()
            await self.whole()
            await self.hands.allow_moves()
            for phrase in scenario.givens:
                if phrase.key == "holds":
                    await self._move(phrase.text("SERVICE"), phrase.text("DC"))
            await self._set_up(scenario)
            await self.hands.allow_moves()
            patient = any(phrase.key == "patient" for phrase in scenario.givens)
            timeout_s = PATIENT_TIMEOUT_S if patient else USUAL_TIMEOUT_S
            await self.crowd.start(self.lab, *CLIENTS, timeout_s=timeout_s)
        except LabError as error:
            raise StageError(f"it cannot begin: {error}") from error
        self.hands.audits.begin()
        self._began = time.monotonic()
        self.sight.began_at = self.sight.acted_at = self._began
        self.sight.holders.clear()
        for service in SERVICES:
            self.sight.first[service] = await self.sight.record(service)
        for site in DATA_SITES:
            self.sight.logs[site] = self.lab.log(EDGE[site], "controller").stat().st_size

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    async def wait(self, seconds: float) -> None:
        """So much time has passed."""
        await asyncio.sleep(max(0.0, seconds))

    async def act(self, phrase: Phrase) -> None:
        """It has been done."""
        try:
            await do(self.hands, phrase)
        except NotDone as error:
            if not self.lenient:
                raise
            self.say(f"left out: {error}")
        self.sight.acted_at = time.monotonic()
        self.redundancy_s = None

    async def look(self, phrase: Phrase) -> Look:
        """How it is now."""
        try:
            found = await self.sight.look(phrase)
            if phrase.key == "whole" and found.true:
                self._note_whole()
            return found
        except LabError as error:  # a node that is off cannot be looked at
            return Look(true=False, seen=str(error))

    async def end(self) -> None:
        """Everything is mended and whole; the clients have settled; the databases were read."""
        try:
            await self.hands.mend()
            await self.whole()
            self._note_whole()
            await self.crowd.settle()
            await self._count()
        except LabError as error:
            raise StageError(f"it is not whole again: {error}") from error

    async def figures(self) -> Figures:
        """What was measured, once the clients have settled."""
        await self.crowd.settle()
        acks = [a for a in self.sight.attempts() if a.outcome == "ok"]
        return Figures(
            outage_s=self.crowd.outages(self.sight.began_at) if acks else {},
            acked=len({a.key for a in acks}),
            lost=len(self.sight.lost or ()),
            served_by=acks[-1].site if acks else "",
            redundancy_s=self.redundancy_s,
        )

    # --- what it needs -----------------------------------------------------------------------

    async def whole(self, *services: str) -> None:
        """Every service (or these) is healthy and redundant."""
        for service in services or SERVICES:

            async def look(service: str = service) -> str:
                return await self.sight.unsettled(service)

            what = f"{service} healthy and fully redundant"
            await wait_for(what, look, within_s=WHOLE_WITHIN_S, every_s=0.2)

    def _note_whole(self) -> None:
        if self.redundancy_s is None:
            self.redundancy_s = round(time.monotonic() - self.sight.acted_at, 3)

    async def _set_up(self, scenario: Scenario) -> None:
        """The data sites run with the configuration that the scenario begins with."""
        wanted = [GIVEN[given.key](given) for given in scenario.givens if given.key in GIVEN]
        for change in wanted:
            await self.hands.settings.change(change, DATA_SITES)
        if wanted:
            await self.whole()

    async def _move(self, service: str, site: str) -> None:
        """The service is held by the site, and whole."""
        holder, epoch = await self.sight.record(service)
        if holder == site:
            return
        self.say(f"moving {service} from {holder} to {site}")
        if service == "wallet":
            await self.lab.cut(holder)
        else:
            for server in ("app1", "app2"):
                self.lab.kill(f"{holder}-{server}", service, stay_down=True)

        async def look() -> str:
            side = await self.sight.side(site, site, service)
            now = await self.sight.record(service)
            if now[0] == site and now[1] > epoch and side.get("role") == "primary":
                return ""
            return f"{now}, {site} is {side.get('role')} ({side.get('rule')})"

        try:
            await wait_for(f"{service} at {site}", look, within_s=TAKEN_OVER_WITHIN_S)
        finally:
            await self.hands.mend()
        await self.whole()

    async def _count(self) -> None:
        holder, _ = await self.sight.record("wallet")
        keys = self.crowd.acked_keys()
        if not keys:
            raise StageError("no write was acknowledged at all: nothing has been shown")
        lost: list[str] = []
        for name, present in (
            ("ledger", await self.eyes.ledger_keys(holder)),
            ("journal", await self.eyes.journal_keys(holder)),
        ):
            lost += [f"{name}: {key}" for key in missing(keys, present)]
            if twice := repeated(present):
                raise StageError(f"in {name} more than once: {twice[:5]}")
        self.sight.lost = tuple(lost)
