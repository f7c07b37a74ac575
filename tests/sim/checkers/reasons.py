"""(h) Every change and every refusal has a rule number and evidence."""

from typing import ClassVar

from controller.core.intents import RaiseEpoch
from controller.core.model import ServiceName
from controller.core.reason import Reason
from controller.core.rules import RULES
from tests.sim.checkers.checker import Checker
from tests.sim.checkers.epochs import RESTORED
from tests.sim.truth import Decided, EpochChanged, Event, IntentBegan

KNOWN = {rule.number: rule for rule in RULES}
REFUSALS = frozenset({Reason.FAILOVER_REFUSED.value, Reason.FLAP_WINDOW.value})


class ReasonsGiven(Checker):
    """Nothing is done without a row of the table; every epoch was asked for by a decision."""

    name: ClassVar[str] = "reasons given"
    sees = (Decided, IntentBegan, EpochChanged)

    def __init__(self) -> None:
        self.raised: set[tuple[ServiceName, str, int]] = set()

    def see(self, event: Event) -> None:
        match event:
            case Decided():
                self._decided(event)
            case IntentBegan(intent=intent, service=service, site=site):
                if event.rule not in KNOWN:
                    self.broken(event.at, f"{site} does {intent} by rule {event.rule}: no such row")
                if isinstance(intent, RaiseEpoch):
                    self.raised.add((service, site, intent.epoch))
            case EpochChanged(by=by) if by != RESTORED:
                self._changed(event)
            case _:
                pass

    def _decided(self, event: Decided) -> None:
        rule = KNOWN.get(event.rule)
        if rule is None:
            self.broken(event.at, f"{event.site} decides by rule {event.rule}: no such row")
        if not event.reason or len(event.evidence) < len(rule.when):
            self.broken(
                event.at,
                f"rule {event.rule} at {event.site} gives {event.reason!r} and "
                f"{len(event.evidence)} of {len(rule.when)} guards as evidence",
            )
        if event.reason in REFUSALS and not event.refused:
            self.broken(event.at, f"{event.site} refuses by rule {event.rule} and does not say why")

    def _changed(self, event: EpochChanged) -> None:
        if (event.service, event.by, event.epoch) not in self.raised:
            self.broken(
                event.at,
                f"epoch {event.epoch} of {event.service} was written by {event.by}, "
                f"and no decision asked for it",
            )
        if not event.reason or event.rule not in KNOWN:
            self.broken(
                event.at,
                f"epoch {event.epoch} of {event.service} gives reason {event.reason!r}, "
                f"rule {event.rule}",
            )
