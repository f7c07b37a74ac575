"""Connections that outlive a planned move of their service.

While routes move, packets of a connection that began at one edge come in at the other, whose host
knows nothing of it and would reset it. For as long as a move is on, and `linger_s` after it, each
data site sends such packets on to the other edge. A site whose controller is not heard gets none:
a reset tells clients sooner than silence.
"""

from controller.core import guards
from controller.core.model import SiteName
from controller.core.view import View


def other_edge(view: View) -> SiteName | None:
    """Where connections that are unknown here may have begun; None while nothing moves as planned.

    A site that neither gives nor takes the service sends them to the one that gives it.
    """
    moving = _move(view)
    if moving is None:
        return None
    giver, taker = moving
    found = view.others.get(taker if view.me == giver else giver)
    if found is None or found.seen.control_s > view.spec.timings.suspect_after_s:
        return None
    return taker if view.me == giver else giver


def _move(view: View) -> tuple[SiteName, SiteName] | None:
    """From where to where: announced by the holder, or handed over not long ago."""
    record, timings = view.record, view.spec.timings
    if record is None:
        return None
    if guards.holder_hands_over(view, timings.hold_s):
        assert view.request is not None
        return record.holder, SiteName(view.request.request.target)
    fresh = view.record_unchanged_s <= timings.linger_s
    if guards.handed_over(view) and record.previous is not None and fresh:
        return record.previous, record.holder
    return None
