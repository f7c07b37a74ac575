"""Situations to derive events from: two data sites, a witness, one service with one database."""

from dataclasses import replace
from typing import Any

from controller.notify.derive import Known, derive
from controller.notify.event import Event, EventKind
from controller.notify.situation import Asked, Copy, Moved, Serving, Situation

LIMIT = 16 * 1024 * 1024
WALLET = Serving(
    name="wallet", epoch=7, holder="dc1", kind="failover", reason="the holder is silent",
    asked_by="controller at dc1", at="then", overdue="",
    copies=tuple(
        Copy(site=site, database="ledger", votes=True, lag_bytes=0)
        for site in ("dc1", "dc2", "witness")
    ),
)  # fmt: skip
MOVED = Moved(
    service="wallet", epoch=7, previous="dc2", holder="dc1", kind="failover",
    reason="the holder is silent", took_s=0.7, began_at="then",
)  # fmt: skip
QUIET = Situation(
    cluster="tricast", me="dc1", at="t0", now_s=0.0, data_sites=("dc1", "dc2"), store_ok=True,
    heard={"dc2": True, "witness": True}, services=(WALLET,), moves=(MOVED,), audit_alarms=(),
    fenced={},
)  # fmt: skip
WISH = Asked(
    number=3, kind="switchover", state="open", asked_by="alice", service="wallet", target="dc2",
    reason="patches", missing=1,
)  # fmt: skip


def serving(situation: Situation, **changes: Any) -> Situation:
    return replace(situation, services=(replace(situation.services[0], **changes),))


def copies(situation: Situation, site: str, **changes: Any) -> Situation:
    found = situation.services[0].copies
    return serving(
        situation,
        copies=tuple(replace(copy, **changes) if copy.site == site else copy for copy in found),
    )


class Story:
    """Situations one after the other, and what each of them makes news."""

    def __init__(self, first: Situation = QUIET) -> None:
        self.known = Known()
        self.now_s = 0.0
        assert self.at(first) == []

    def at(self, situation: Situation, later_s: float = 0.0) -> list[Event]:
        self.now_s += later_s
        shown = replace(situation, now_s=self.now_s, at=f"t{self.now_s:g}")
        self.known, events = derive(self.known, shown, lag_bytes=LIMIT)
        return list(events)

    def kinds(self, situation: Situation, later_s: float = 0.0) -> list[EventKind]:
        return [event.kind for event in self.at(situation, later_s)]
