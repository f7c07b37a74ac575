"""How long requests will wait while a service moves, by what has been measured before."""

from collections.abc import Iterator
from typing import Final

from controller.web.schema import HistoryEntry, ServiceView

SERVING: Final = ("serving", "opened")  # the last step that a request waits for
LOOKED_BACK: Final = 5
WORDS: Final = {"handover": "switchover", "failover": "failover"}
BEFORE: Final = {
    "handover": ", from the epoch on; up to drain_s comes before it",
    "failover": ", from the decision on",
}


def expected_stall(
    service: ServiceView, history: tuple[HistoryEntry, ...], kind: str = "handover"
) -> tuple[float | None, str]:
    """How long requests will wait at a move of this kind of epoch, and where that is from."""
    last = service.drill.last if service.drill else None
    if kind == "handover" and last is not None and last.gap_s is not None:
        return last.gap_s, f"as in the drill of {last.at}"
    found = list(_times(service, history, kind))[:LOOKED_BACK]
    word = WORDS[kind]
    if not found:
        return None, f"no {word} is in the history yet"
    moves = f"the last {word}" if len(found) == 1 else f"the last {len(found)} {word}s"
    return max(found), f"the longest of {moves}{BEFORE[kind]}"


def _times(service: ServiceView, history: tuple[HistoryEntry, ...], kind: str) -> Iterator[float]:
    for entry in history:
        if entry.service == service.name and entry.kind == kind:
            took = _until_served(entry)
            if took is not None:
                yield took


def _until_served(entry: HistoryEntry) -> float | None:
    for name in SERVING:
        times = [step.took_s for step in entry.steps if step.name == name]
        if times and None not in times:
            return max(took for took in times if took is not None)
    return entry.took_s
