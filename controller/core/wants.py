"""What a rule wants of this site's role, routes and traffic.

The names are the words of the table's columns in docs/rules.md.
"""

from collections.abc import Callable
from enum import Enum

from bgp.policy import Stance
from controller.core import copies, guards, sequences, troubles
from controller.core.model import Role, SiteName
from controller.core.quorum import holder_report
from controller.core.view import View


class Keep(Enum):
    """Leave as it is; or let new requests wait while it stays as it is."""

    KEEP = "keep"
    HOLD = "hold"


KEEP = Keep.KEEP
HOLD = Keep.HOLD


# --- role ----------------------------------------------------------------------------------------


def acting_as(role: Role) -> Callable[[View], Role]:
    def fixed(view: View) -> Role:
        return role

    return fixed


def primary_once_serving(view: View) -> Role:
    serving = view.own.directed_to == frozenset({view.me})
    return Role.PRIMARY if serving else Role.TAKING_OVER


def isolated_once_let_go(view: View) -> Role:
    """The others may take over from a holder by a lease that is isolated."""
    return Role.PRIMARY if guards.traffic_here(view) else Role.ISOLATED


# --- routes --------------------------------------------------------------------------------------


def leave_routes(view: View) -> Stance | None:
    return None


def hold_routes(view: View) -> Stance | None:
    """The same again, so that the permit does not lapse; a silent speaker is left alone."""
    return view.own.stance


def hold_routes_while_committing(view: View) -> Stance | None:
    return view.own.stance if guards.commits_flow(view) else None


def backup(view: View) -> Stance | None:
    return Stance.BACKUP


def isolated(view: View) -> Stance | None:
    return Stance.ISOLATED


def drained(view: View) -> Stance | None:
    """Gracefully shut down; after a while gone, if the holder is known to attract traffic."""
    order = view.drains.get(view.me)
    report = holder_report(view)
    served = report is not None and report.stance in guards.ATTRACTING
    waited = order is not None and order.age_s > view.spec.timings.withdraw_after_s
    return Stance.WITHDRAWN if served and waited else Stance.DRAINED


def attracting_stance(view: View) -> Stance:
    """`override` while another site is not known to have left `preferred`, else `preferred`; where
    more-specifics go with it, also while traffic must not enter at another site.
    """
    settled = view.own.stance is Stance.PREFERRED and view.own.stance_epoch == view.own.promised
    first = view.record is not None and view.record.kind == "bootstrap"
    if settled or first or (guards.others_retired(view) and guards.entrances_serve(view)):
        return Stance.PREFERRED
    return Stance.OVERRIDE


def primary_routes(view: View) -> Stance | None:
    """Kept once pulled under this epoch; never pulled to a site that could not serve."""
    pulled = view.own.stance in guards.ATTRACTING and view.own.stance_epoch == view.own.promised
    ready = not troubles.service_reasons(view) and not guards.still_held_elsewhere(view)
    if pulled or ready:
        return attracting_stance(view)
    return Stance.BACKUP


def takeover_routes(view: View) -> Stance | None:
    """Routes are pulled as early as the seals prove the data, if nobody else is left to serve;
    never to a site that could not serve.
    """
    proved = all(sequences.database_proved(view, state) for state in view.own.databases)
    opened = all(
        copies.promoted_here(view, state) and state.gate_open for state in view.own.databases
    )
    alone = guards.previous_holder_silent(view)
    promised = view.record is not None and view.own.promised >= view.record.epoch
    servable = promised and not troubles.service_reasons(view)
    # What was proved under this epoch stays proved: no look that comes late takes routes back.
    pulled = view.own.stance in guards.ATTRACTING and view.own.stance_epoch == view.own.promised
    if servable and (pulled or opened or (proved and alone)):
        return attracting_stance(view)
    return Stance.BACKUP


# --- traffic -------------------------------------------------------------------------------------


def keep_traffic(view: View) -> SiteName | Keep | None:
    return KEEP


def kept_but_not_here(view: View) -> SiteName | Keep | None:
    """As it is; but what another site holds is not sent to this site's own servers: a lease that is
    over must not be served from, and closed databases serve nobody.
    """
    here = view.me in view.own.directed_to
    return to_holder(view) if here and guards.other_epoch(view) else KEEP


def to_nobody(view: View) -> SiteName | Keep | None:
    return None


def to_me(view: View) -> SiteName | Keep | None:
    return view.me


def to_holder(view: View) -> SiteName | Keep | None:
    """Held while the holder hands over, and then until the gates of the new one are open, be it
    who was to have them or who takes them back. There are none by a lease: what is held must not be
    let go to this site's own servers any more.
    """
    assert view.record is not None
    limit = view.spec.timings.hold_s
    moving = view.own.held and not guards.holder_opened(view)
    if moving and view.record_unchanged_s <= limit and not guards.lease_durability(view):
        return HOLD
    return HOLD if guards.holder_hands_over(view, limit) else view.record.holder


def back_to_me(view: View) -> SiteName | Keep | None:
    """What is held goes on as soon as the gates here are open again."""
    return view.me if copies.all_open(view) and not guards.without_lease(view) else HOLD


def held_or_nobody(view: View) -> SiteName | Keep | None:
    return HOLD if view.own.held else None


def to_me_when_committing(view: View) -> SiteName | Keep | None:
    """As soon as commits are acknowledged here; the gates are opening at the same time. Not taken
    back when a voter is missing for a moment.
    """
    if view.own.held and view.record_unchanged_s <= view.spec.timings.hold_s:
        return view.me if guards.established(view) else HOLD
    committing = all(
        copies.promoted_here(view, state)
        and (state.gate_open or state.alone or copies.voter_follows(view, state))
        for state in view.own.databases
    )
    return view.me if committing else None
