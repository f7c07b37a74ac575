"""An `Announcer` without a network: what it was given it says, and every session sees it at once.

Held to the same cases as the real one in tests/contract/test_announcer.py.
"""

import time
from collections.abc import Callable, Mapping

from bgp.permit import Denied, Permit, Wish
from bgp.policy import Stance
from controller.core.model import Epoch
from controller.ports import AnnouncedService, AnnouncerState, Refused, Unreachable


class FakeAnnouncer:
    """Its clock is an argument, so that a simulation can own it."""

    def __init__(
        self,
        services: frozenset[str],
        sessions: Mapping[str, bool],
        permit_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sessions = dict(sessions)
        self.reachable = True
        self._clock = clock
        self._permit_s = permit_s
        self._services = services
        self.restart()

    def restart(self) -> None:
        """It has forgotten everything."""
        self._permit = Permit.at_start(self._services, self._clock(), self._permit_s)

    async def observe(self, deadline_s: float) -> AnnouncerState:
        """What it announces now."""
        self._check(deadline_s)
        now = self._clock()
        confirmed = any(self.sessions.values())
        return AnnouncerState(
            sessions=dict(self.sessions),
            services={
                name: AnnouncedService(
                    stance=wish.stance, epoch=Epoch(wish.epoch), confirmed=confirmed
                )
                for name, wish in self._permit.in_force(now).items()
            },
            permit_left_s=self._permit.left(now),
        )

    async def announce(
        self, wanted: Mapping[str, tuple[Stance, Epoch]], permit_s: float, deadline_s: float
    ) -> None:
        """The whole wanted set, service by service, good for `permit_s` from now."""
        self._check(deadline_s)
        now = self._clock()
        wishes = {name: Wish(stance, epoch) for name, (stance, epoch) in wanted.items()}
        try:
            self._permit = self._permit.renewed(wishes, now, permit_s, now)
        except Denied as error:
            raise Refused(f"the speaker refused: {error}") from None

    def _check(self, deadline_s: float) -> None:
        if not self.reachable or deadline_s <= 0:
            raise Unreachable("no speaker listens")
