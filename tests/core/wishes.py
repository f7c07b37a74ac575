"""Requests of operators, as a view shows them."""

from dataclasses import replace
from typing import Any

from controller.core.intents import SettleRequest
from controller.core.model import Epoch, SiteName
from controller.core.requests import OF_A_SITE, Kind, Request, SeenRequest, State
from controller.core.view import View
from tests.core.views import WALLET


def wish(kind: Kind, **changes: Any) -> Request:
    """Ann asked at dc1, in epoch 2."""
    service = None if kind in OF_A_SITE else WALLET
    base = Request(
        number=4,
        kind=kind,
        service=service,
        asked_by="ann",
        asked_at="dc1",
        at="2026-01-02T03:04:05.678Z",
        epoch=Epoch(2),
        plan="plan",
    )
    return replace(base, **changes)


def seen(request: Request, *, age_s: float = 0.3, unchanged_s: float = 0.1) -> SeenRequest:
    """`request`, which this node has known for a moment."""
    return SeenRequest(request=request, revision=40, age_s=age_s, unchanged_s=unchanged_s)


def asked(
    view: View, kind: Kind, *, age_s: float = 0.3, unchanged_s: float = 0.1, **changes: Any
) -> View:
    """`view` with a request of `kind`."""
    found = seen(wish(kind, **changes), age_s=age_s, unchanged_s=unchanged_s)
    return replace(view, request=found)


def settling(
    number: int, revision: int, state: State, why: str, *, copied: bool = False
) -> SettleRequest:
    """A site says how far a request is."""
    return SettleRequest(
        number=number, expected_revision=revision, state=state, why=why, copied=copied
    )


def drained(view: View, site: SiteName, *, age_s: float = 1.0) -> View:
    """Somebody drains `site`."""
    order = wish(Kind.DRAIN, target=site, reason="new kernel", epoch=Epoch(0), state=State.OPEN)
    return replace(view, drains={site: seen(order, age_s=age_s)})


def fenced(view: View, site: SiteName, **changes: Any) -> View:
    """Somebody keeps `site` out."""
    order = wish(Kind.FENCE, target=site, reason="flooded", epoch=Epoch(0), **changes)
    return replace(view, fences={**view.fences, site: seen(order)})
