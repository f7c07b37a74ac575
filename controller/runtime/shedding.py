"""Switches low-priority backends of this site's haproxy off and on again: a task beside the loops.

It has its own deadlines, and no loop waits for it. What is off is read back from haproxy and not
remembered, so a restarted daemon goes on from there, and one that is dead leaves it as it is.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from controller.core.model import Instant, ServiceName
from controller.core.shed import Look, ShedRule, Standing, after, found_off, wanted_off
from controller.ports import Clock, PortError, ShedGate, ShedGates
from controller.runtime import beat
from controller.runtime.following import Following

JUDGE_S: Final = 0.1
LOOK_S: Final = 1.0
DEADLINE_S: Final = 1.0
_NEVER: Final = Instant(float("-inf"))

log = structlog.get_logger()

RuleKey = tuple[ServiceName, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shed:
    """One backend that may be switched off, for people."""

    backend: str
    off: bool | None  # None: not known
    for_s: float | None
    why: str
    calm_left_s: float | None  # until it is switched on again, if nothing happens


@dataclass(slots=True, kw_only=True)
class Shedding:
    """Every service's rules at this site."""

    gates: ShedGates
    rules: Mapping[ServiceName, tuple[ShedRule, ...]]
    looks: Callable[[], Mapping[ServiceName, Look]]
    clock: Clock
    following: Following
    standings: dict[RuleKey, Standing] = field(default_factory=dict)
    found: Mapping[str, ShedGate] | None = None  # None: haproxy has not answered
    found_at: Instant = _NEVER
    failed: dict[str, str] = field(default_factory=dict)  # by backend, what the last try said
    _tried: dict[str, Instant] = field(default_factory=dict)  # by backend, when in vain
    _stale: bool = True
    _naming: dict[str, list[tuple[RuleKey, ShedRule]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for service, number, rule in self._each():
            for backend in rule.backends:
                self._naming.setdefault(backend, []).append(((service, number), rule))

    async def run(self) -> None:
        """For ever, while the daemon runs."""
        while True:
            await self.following.turn()
            await self.turn()
            await beat.rest(JUDGE_S)

    async def turn(self) -> None:
        """Looks when it is time, judges, and switches what differs."""
        if self._stale or self.clock.monotonic() - self.found_at >= LOOK_S:
            await self._look()
        if self.found is None:
            return
        self._judge(self.found)
        for backend in self._naming:
            gate, wanted = self.found.get(backend), self._wanted(backend)
            if gate is None or wanted is None or gate.off == wanted:
                self.failed.pop(backend, None)
            elif self.clock.monotonic() - self._tried.get(backend, _NEVER) >= LOOK_S:
                await self._switch(backend, off=wanted)

    async def _look(self) -> None:
        self.found_at, self._stale = self.clock.monotonic(), False
        try:
            self.found = await self.gates.shed_gates(DEADLINE_S)
        except PortError:
            self.found = None

    def _judge(self, found: Mapping[str, ShedGate]) -> None:
        now, looks = self.clock.monotonic(), self.looks()
        for service, number, rule in self._each():
            look = looks.get(service)
            before = self.standings.get((service, number))
            if before is None:
                off = any(backend in found and found[backend].off for backend in rule.backends)
                before = found_off(now) if off else Standing()
            self.standings[service, number] = (
                replace(before, blind=f"the loop of {service} has not turned yet")
                if look is None
                else after(rule, look, before, now)
            )

    async def _switch(self, backend: str, *, off: bool) -> None:
        """A try that fails is repeated after a while."""
        self._tried[backend] = self.clock.monotonic()
        try:
            await self.gates.shed(backend, off=off, deadline_s=DEADLINE_S)
        except PortError as error:
            if self.failed.get(backend) != str(error):
                log.warning("shed_failed", backend=backend, off=off, error=str(error))
            self.failed[backend] = str(error)
            return
        del self._tried[backend]
        self._stale = True
        log.info("shed" if off else "shed_no_more", backend=backend, why=self._why(backend))

    def _each(self) -> Iterator[tuple[ServiceName, int, ShedRule]]:
        for service, rules in self.rules.items():
            for number, rule in enumerate(rules):
                yield service, number, rule

    def _standings(self, backend: str) -> list[Standing]:
        return [self.standings.get(key, Standing()) for key, _ in self._naming[backend]]

    def _wanted(self, backend: str) -> bool | None:
        return wanted_off(self._standings(backend))

    def _why(self, backend: str) -> str:
        shedding = [standing for standing in self._standings(backend) if standing.sheds]
        blind = [f"left as it is: {standing.blind}" for standing in shedding if standing.blind]
        return "; ".join(dict.fromkeys([*(standing.why for standing in shedding), *blind]))

    # --- for people --------------------------------------------------------------------------

    def shown(self, service: ServiceName) -> tuple[Shed, ...]:
        """What `service` may shed, as haproxy had it when it was asked last."""
        rules = self.rules.get(service, ())
        backends = dict.fromkeys(backend for rule in rules for backend in rule.backends)
        return tuple(self._shown(backend) for backend in backends)

    def _shown(self, backend: str) -> Shed:
        gate = None if self.found is None else self.found.get(backend)
        now = self.clock.monotonic()
        left = [
            rule.calm_s - (now - standing.strained_at)
            for (_, rule), standing in zip(
                self._naming[backend], self._standings(backend), strict=True
            )
            if standing.strained_at is not None and not standing.blind
        ]
        return Shed(
            backend=backend,
            off=None if gate is None else gate.off,
            for_s=None if gate is None else gate.for_s + now - self.found_at,
            why=self._why(backend),
            calm_left_s=max(0.0, *left) if left and gate is not None and gate.off else None,
        )

    def warnings(self, service: ServiceName) -> tuple[str, ...]:
        """Which backends of `service` cannot be switched as they should."""
        if self.found is None:
            return ()  # that haproxy does not answer is said elsewhere
        shown = [shed.backend for shed in self.shown(service)]
        return (
            *(
                f"{backend} cannot be switched off: haproxy here has no server "
                f"tricast_shed/{backend}, see configs/haproxy.cfg"
                for backend in shown
                if backend not in self.found
            ),
            *(
                f"{name}: {failed[name]}"
                for failed in (self.failed, self.following.failed)
                for name in shown
                if name in failed
            ),
        )
