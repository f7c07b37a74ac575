"""Clients that write through a whole soak: each phase sees its own part, the keys are kept."""

from dataclasses import dataclass, field

from lab.client.attempts import Outcome
from lab.netns.lab import Lab
from lab.scenario.crowd import Crowd


@dataclass(slots=True)
class StandingCrowd(Crowd):
    """Clients that go on writing when a phase ends."""

    keys: dict[str, None] = field(default_factory=dict)  # acknowledged in earlier phases

    async def start(self, lab: Lab, *nodes: str, timeout_s: float) -> None:
        """They write, and each has had writes acknowledged since the last phase."""
        if not self.clients:
            await Crowd.start(self, lab, *nodes, timeout_s=timeout_s)
            return
        self.turn_the_page()
        await self.answered()

    def turn_the_page(self) -> None:
        """What they were told until now is of the past; only the acknowledged keys are known."""
        self.keys |= dict.fromkeys(self.acked_keys())
        for client in self.clients.values():
            client.attempts.clear()

    async def settle(self) -> None:
        """What was acknowledged until now can be looked for; they go on."""
        self.current()

    def acked_keys(self) -> list[str]:
        """Every key that was acknowledged since they began."""
        fresh = (a.key for a in self.everything() if a.outcome is Outcome.OK)
        return list(self.keys | dict.fromkeys(fresh))
