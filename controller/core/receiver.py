"""The site that was given the epoch in a hand-over, as the one that gave it sees it."""

from controller.core import guards
from controller.core.requests import closed
from controller.core.view import View

SHARE = 2 / 3  # of the time for the whole hand-over


def holder_controller_silent(view: View) -> bool:
    """Its controller has been silent for the suspicion time, to this site and every witness heard;
    what its data path does is another matter.
    """
    return guards.controller_silent_for(view, view.spec.timings.suspect_after_s)


def handed_by_me(view: View) -> bool:
    """This site handed the record's epoch over, and nothing has been raised since."""
    record = view.record
    return record is not None and record.previous == view.me and guards.handed_over(view)


def receiver_late(view: View) -> bool:
    """Who was given the epoch has had its time, says that it cannot, or has fallen silent.

    Once it serves, it closes the request: a daemon of it that stops or starts later is not late.
    Nor is who has taken its lease: that has to run out first.
    """
    seen, record = view.request, view.record
    if seen is None or record is None or closed(seen.request):
        return False
    if guards.lease_durability(view) and record.renewal > 0:
        return False
    late = view.record_unchanged_s > view.spec.timings.hand_over_s * SHARE
    lost = holder_controller_silent(view) or guards.holder_yields(view)
    return (late or lost) and seen.request.number == record.request


def due_back(view: View) -> bool:
    """What this site gave away it takes back, once its own databases can be promoted again."""
    return handed_by_me(view) and receiver_late(view) and guards.holder_climbing(view)
