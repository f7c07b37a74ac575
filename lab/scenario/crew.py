"""Scenarios are shared out among several labs; each lab plays one at a time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from lab.scenario.language import Scenario
from lab.scenario.play import Say, Verdict

Take = Callable[[Scenario], Awaitable[Verdict]]


def share(cores: int) -> int:
    """How many labs this many cores carry at a time: one lab's takeover keeps two cores busy."""
    return max(1, cores // 2)


@dataclass(slots=True)
class Crew:
    """Who plays what. No two labs share an address or a file, so no row disturbs another one but
    by the cores that they share.
    """

    takers: Sequence[Take]
    say: Say
    _verdicts: dict[int, Verdict] = field(default_factory=dict)

    async def play(self, scenarios: Sequence[Scenario]) -> None:
        """Each has been played, by whoever was free first. Raises what the first one raised whose
        lab failed; what was played until then is known.
        """
        left = deque(enumerate(scenarios, 1))

        async def work(take: Take) -> None:
            while left:
                number, scenario = left.popleft()
                rows = ", ".join(map(str, scenario.rows))
                self.say(f"=== {number} of {len(scenarios)}: {scenario.title} (rows {rows})")
                self._verdicts[number] = await take(scenario)

        try:
            async with asyncio.TaskGroup() as group:
                for take in self.takers:
                    group.create_task(work(take))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What has been played, in the order of the scenarios."""
        return tuple(verdict for _, verdict in sorted(self._verdicts.items()))

    @property
    def passed(self) -> bool:
        """Whether every one held."""
        return all(verdict.passed for verdict in self.verdicts)
