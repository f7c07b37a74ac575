"""What operators ask of a site's copies: that they come back now, or that one is made anew.

A copy that is made anew leaves the quorum first: its primary lets it in as a voter no more, and
nothing of it is touched before that is seen. Until then, and at its primary, it is not given up
unless the other voters can acknowledge without it. It comes back as any copy does: in quarantine.
"""

from controller.core import copies, guards, margin
from controller.core.intents import Intent, Rejoin
from controller.core.model import DatabaseName, DatabaseState, SiteName
from controller.core.quorum import learners
from controller.core.requests import REPAIRS, Kind, Request, State, in_force
from controller.core.view import View


def asked_here(view: View) -> Request | None:
    """What this site, which is not the holder, is asked to do with its copies now."""
    request = _asked(view)
    here = request is not None and request.target == view.me and guards.other_epoch(view)
    return request if here else None


def _asked(view: View) -> Request | None:
    seen, record = view.request, view.record
    if seen is None or record is None or seen.request.kind not in REPAIRS or not in_force(seen):
        return None
    return seen.request if seen.request.epoch == record.epoch else None


def _concerned(view: View, request: Request) -> tuple[DatabaseState, ...]:
    return tuple(s for s in view.own.databases if request.database in ("", s.name))


def tried_again(view: View) -> tuple[int, frozenset[str]]:
    """The request for which nothing rests after failures any more, and which lanes; 0 for none."""
    request = asked_here(view)
    if request is None:
        return 0, frozenset()
    lanes = frozenset(f"database:{state.name}" for state in _concerned(view, request))
    return request.number, lanes


# --- the copy that is made anew ------------------------------------------------------------------


def _begun(request: Request, database: DatabaseName) -> bool:
    """It is this copy's turn to be made anew, and it is not known to be made."""
    wanted = request.kind is Kind.REINIT and request.database == database
    return wanted and request.state is State.RUNNING and not request.copied


def as_wanted(view: View, state: DatabaseState) -> bool:
    """No operator waits for this copy to be made anew."""
    request = asked_here(view)
    if request is None or not _begun(request, state.name):
        return True
    return view.copied == request.number


def make_anew(view: View, state: DatabaseState) -> Intent | None:
    """Once its primary counts on it no more, and as long as it can do without."""
    request = asked_here(view)
    assert request is not None
    assert view.record is not None
    waits = guards.admitted_by_holder(view, state.name)
    if waits or refusals(view, request.kind, view.me, (state.name,)):
        return None
    return Rejoin(
        database=state.name,
        upstream=view.record.holder,
        epoch=view.record.epoch,
        fresh=request.number,
    )


def wanted_admitted(view: View, state: DatabaseState) -> frozenset[SiteName]:
    """The voters that this primary should let replicate: not one whose copy is to be made anew, if
    the others can acknowledge without it.
    """
    wanted = copies.wanted_admitted(view, state)
    request = _asked(view)
    if request is None or not _begun(request, state.name):
        return wanted
    leaving = SiteName(request.target)
    if leaving in state.admitted and not margin.enough_without(view, state, leaving):
        return wanted
    return wanted - {leaving}


# --- what stands against it ----------------------------------------------------------------------


def refusals(
    view: View, kind: Kind, site: SiteName, databases: tuple[DatabaseName, ...]
) -> tuple[str, ...]:
    """Why `site` cannot do it now; empty when nothing stands against it."""
    assert view.record is not None
    if site == view.record.holder:
        return (
            f"{site} holds {view.spec.name}: the other copies are made from its databases; to have "
            f"them made anew, move it first: tricast switchover --service {view.spec.name}",
        )
    found: list[str] = []
    if why := guards.pause_reason(view):
        found.append(f"automation is paused: {why}; tricast resume")
    if not margin.heard(view, site):
        found.append(f"{site} is not heard, and its own daemon has to do it")
    found.extend(filter(None, (_against(view, kind, site, name) for name in databases)))
    return tuple(found)


def _against(view: View, kind: Kind, site: SiteName, database: DatabaseName) -> str:
    if kind is Kind.REINIT:
        return margin.short_without(view, database, site)
    return "" if margin.primary(view, database) is not None else margin.unserved(view, database)


# --- how it goes on ------------------------------------------------------------------------------


def moved(view: View) -> tuple[State, str, bool] | None:
    """The next state of what this site is asked, why, and whether the copy is made; told here."""
    request = asked_here(view)
    if request is None:
        return None
    states = _concerned(view, request)
    names = tuple(state.name for state in states)
    against = refusals(view, request.kind, view.me, names)
    if request.state is State.OPEN:
        if against:
            return State.REFUSED, "; ".join(against), False
        return State.RUNNING, _BEGINS[request.kind].format(site=view.me), False
    if request.kind is Kind.REINIT and not request.copied:
        return _copying(view, request, against)
    if all(_is_back(view, state) for state in states):
        verb = "learn" if _learns(view) else "vote"
        ending = "s" if len(names) == 1 else ""
        return State.DONE, f"{', '.join(names)} {verb}{ending} at {view.me}", request.copied
    return _failed(view, request)


_BEGINS = {
    Kind.REJOIN: "{site} tries again",
    Kind.REINIT: "{site} leaves the quorum, then copies",
}


def _copying(
    view: View, request: Request, against: tuple[str, ...]
) -> tuple[State, str, bool] | None:
    if view.copied == request.number:
        return State.RUNNING, f"the copy at {view.me} is made; it catches up", True
    at_work = request.database in view.rejoining
    if against and not at_work:
        return State.FAILED, "; ".join(against), False
    return None if at_work else _failed(view, request)


def _failed(view: View, request: Request) -> tuple[State, str, bool] | None:
    """It was tried again and again. The site goes on as it does without being asked."""
    why = [
        f"{state.name}: {view.failed[lane]}"
        for state in _concerned(view, request)
        if (lane := f"database:{state.name}") in view.failed
    ]
    return (State.FAILED, "; ".join(why), request.copied) if why else None


def _is_back(view: View, state: DatabaseState) -> bool:
    admitted = guards.admitted_by_holder(view, state.name)
    return copies.follows_as_wanted(view, state) and (admitted or _learns(view))


def _learns(view: View) -> bool:
    return view.me in learners(view)
