"""Connections that began at another edge: where their packets go on to.

When routes move, planned or not, packets of a connection that began at one edge come in at another,
whose host knows nothing of it and would reset it. A data site that does not hold the epoch sends
them on to the one that does. The holder sends them to the edge that takes the service over, or to
the one it came from, for `linger_s` after any new epoch; later it answers them itself. A site whose
controller is not heard gets none: a reset tells clients sooner than silence.
"""

from collections.abc import Iterator

from controller.core import guards
from controller.core.model import SiteName
from controller.core.view import View


def other_edge(view: View) -> SiteName | None:
    """Where connections unknown here most likely began; None when nobody there is heard."""
    return next((site for site in _likely(view) if _heard(view, site)), None)


def _likely(view: View) -> Iterator[SiteName]:
    """The edges at which they may have begun, the likeliest first."""
    record, timings = view.record, view.spec.timings
    if record is None:
        return
    if guards.holder_hands_over(view, timings.hold_s):
        assert view.request is not None
        yield record.holder
        yield SiteName(view.request.request.target)
        return
    if record.previous is not None and view.record_unchanged_s <= timings.linger_s:
        yield record.previous
    yield record.holder


def _heard(view: View, site: SiteName) -> bool:
    found = view.others.get(site)
    return (
        site in view.spec.data_sites
        and found is not None
        and found.seen.control_s <= view.spec.timings.suspect_after_s
    )
