"""A history to read: one line an event, one column a site."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from controller.core.intents import name
from controller.core.model import SiteName
from tests.sim import truth
from tests.sim.truth import Event

WIDTH = 44
REST = "elsewhere"

Line = Callable[[Any], str]


def _holds(writes: Iterable[int]) -> str:
    found = sorted(writes)
    return f"{len(found)} writes" + (f" to {found[-1]}" if found else "")


def _intent(intent: object) -> str:
    fields = getattr(intent, "__dataclass_fields__", {})
    shown = (f"{f}={_value(getattr(intent, f))}" for f in fields if f not in ("database", "reason"))
    return f"{type(intent).__name__}({' '.join(shown)})"


def _value(value: object) -> str:
    return "+".join(sorted(map(str, value))) if isinstance(value, frozenset) else str(value)


def _call(event: truth.FaultBegan | truth.FaultEnded) -> str:
    return f"{event.fault}({', '.join(event.args)})"


LINES: dict[type[Event], Line] = {
    truth.Promoted: lambda e: f"WRITABLE under {e.epoch}, {_holds(e.holds)}",
    truth.Closed: lambda e: f"{'FELL' if e.fell else 'closed'}, was of {e.epoch}",
    truth.GateSet: lambda e: "gate open" if e.opened else "gate closed",
    truth.Admitted: lambda e: f"admits {_value(e.voters) or 'nobody'}",
    truth.LogCut: lambda e: f"CUT {_holds(e.lost)}: {e.why}{'' if e.saved else ' (not saved)'}",
    truth.CommitCancelled: lambda e: f"wait for {e.write} cancelled",
    truth.PromiseKept: lambda e: f"promises {e.epoch}",
    truth.PromiseRead: lambda e: f"started, promise {e.epoch}",
    truth.Sealed: lambda e: f"sealed for {e.epoch} at {e.end}",
    truth.Following: lambda e: (
        f"follows {e.upstream} of {e.epoch}{'' if e.voter else ' in quarantine'}"
    ),
    truth.LossStated: lambda e: f"LOSS: {e.statement}",
    truth.Directed: lambda e: f"traffic to {e.to or 'nobody'}",
    truth.LeaseServed: lambda e: f"serves by lease of {e.epoch}",
    truth.RouteSeen: lambda e: f"{e.provider}: {e.stance or 'no route'} ({e.epoch})",
    truth.Decided: lambda e: (
        f"rule {e.rule}, {e.role}{' PAUSED' if e.paused else ''}"
        f"{'; refused: ' + '; '.join(e.refused) if e.refused else ''}"
        f"{'; yields: ' + e.yielding if e.yielding else ''}"
    ),
    truth.IntentBegan: lambda e: f"> {_intent(e.intent)}",
    truth.IntentEnded: lambda e: f"< {name(e.intent)} {e.outcome} {e.detail}".rstrip(),
    truth.Alarmed: lambda e: f"! {e.text}",
    truth.LearnersSet: lambda e: f"LEARNERS {'+'.join(sorted(e.learners)) or 'none'}",
    truth.EpochChanged: lambda e: f"EPOCH {e.epoch} to {e.holder} ({e.kind}, rule {e.rule})",
    truth.PauseSet: lambda e: f"PAUSED: {e.reason}",
    truth.PauseCleared: lambda e: "pause over",
    truth.RequestMade: lambda e: f"REQUEST {e.request}: {e.kind} {e.target}",
    truth.SiteFenced: lambda e: "FENCED" if e.stands else "unfenced",
    truth.RequestEnded: lambda e: f"request {e.request} {e.state}: {e.why}",
    truth.FaultBegan: lambda e: f"*** {_call(e)}",
    truth.FaultEnded: lambda e: f"*** mended: {_call(e)}",
    truth.AllHealed: lambda e: "*** everything is mended",
    truth.Note: lambda e: e.text,
}
COUNTED = (truth.Acknowledged, truth.ClientTold, truth.ClientRead, truth.WriteAsked)


def _column(event: Event) -> str:
    if isinstance(event, truth.EpochChanged):
        return event.by
    return getattr(event, "site", None) or REST


def render(events: Sequence[Event], sites: Sequence[SiteName]) -> list[str]:
    """The lines. Acknowledgements between two other events are one line, counted."""
    columns = (*sites, REST)
    head = " " * 9 + "".join(f"{column:<{WIDTH}}" for column in columns)
    lines = [head.rstrip()]
    acked: dict[str, list[truth.Acknowledged]] = {}
    for event in events:
        if isinstance(event, truth.Acknowledged):
            acked.setdefault(event.site, []).append(event)
        line = LINES.get(type(event))
        if line is None:
            continue
        lines.extend(_acknowledgements(event.at, acked, columns))
        acked.clear()
        service = getattr(event, "service", "")
        database = getattr(event, "database", "")
        what = f"{database or service} {line(event)}".strip()
        lines.append(_line(event.at, _column(event), what, columns))
    if events:
        lines.extend(_acknowledgements(events[-1].at, acked, columns))
    return lines


def _acknowledgements(
    at: float, acked: dict[str, list[truth.Acknowledged]], columns: Sequence[str]
) -> list[str]:
    lines = []
    for site, found in sorted(acked.items()):
        by = "+".join(sorted(frozenset().union(*(event.by for event in found))))
        writes = f"{found[0].write}" + (f"..{found[-1].write}" if len(found) > 1 else "")
        text = f"= {len(found)} acknowledged ({writes}) with {by or 'nobody'}"
        lines.append(_line(at, site, text, columns))
    return lines


def _line(at: float, column: str, text: str, columns: Sequence[str]) -> str:
    place = columns.index(column) if column in columns else len(columns) - 1
    return f"{at:8.3f} " + " " * (WIDTH * place) + text
