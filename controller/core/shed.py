"""Load shedding: which low-priority haproxy backends are switched off here, and why.

Every site judges for its own haproxy, from what it sees and what the holder reports. Nothing that
moves a service looks at the outcome. What is switched off comes back only after a quiet time, and
where nothing can be judged nothing is switched.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from controller.core import guards
from controller.core.model import DatabaseState, Instant, Role, ServiceReport, SiteName
from controller.core.quorum import holder_report
from controller.core.view import View

MOVES: Final = frozenset({Role.TAKING_OVER, Role.HANDING_OVER})
SERVERS_PATIENCE_S: Final = 1.0  # a server that is restarted
BEFORE: Final = "it was off before this daemon started"


class When(StrEnum):
    """In which condition of its service a backend is shed."""

    MOVING = "moving"  # its holder takes over or hands over, or requests are held
    DEGRADED = "degraded"  # it has less than is configured, or the holder asks for relief
    ALONE = "alone"  # an operator had a site serve alone


@dataclass(frozen=True, slots=True, kw_only=True)
class ShedRule:
    """One entry of a service's `shed`."""

    backends: tuple[str, ...]
    when: frozenset[When]
    calm_s: float  # without any of `when`, until the backends are switched on again


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is judged on: a turn of the service's loop, and the servers that take its traffic."""

    view: View
    role: Role
    yielding: str = ""
    servers_up: int = 0  # as this site's haproxy finds them
    servers_total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strain:
    """One thing that makes a condition true; it counts once it has lasted."""

    when: When
    kind: str
    text: str
    patience_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one rule stands after a look."""

    why: str = ""
    strained_at: Instant | None = None  # when last; None: the rule sheds nothing
    since: Mapping[str, Instant] = field(default_factory=dict)  # each strain, by kind
    blind: str = ""  # why nothing can be judged

    @property
    def sheds(self) -> bool:
        """The backends of the rule are to be off."""
        return self.strained_at is not None


def found_off(now: Instant) -> Standing:
    """A rule whose backends are off already when the daemon starts: the quiet time begins now."""
    return Standing(why=BEFORE, strained_at=now)


def after(rule: ShedRule, look: Look, before: Standing, now: Instant) -> Standing:
    """Where `rule` stands now, given where it stood."""
    if blind := blindness(look, now):
        # Time in which nothing is known is no quiet time.
        strained_at = now if before.sheds else None
        return replace(before, strained_at=strained_at, since={}, blind=blind)
    found = [strain for strain in strains(look) if strain.when in rule.when]
    since = {strain.kind: before.since.get(strain.kind, now) for strain in found}
    lasting = [strain for strain in found if now - since[strain.kind] >= strain.patience_s]
    if lasting:
        why = "; ".join(f"{strain.when}: {strain.text}" for strain in lasting)
        return Standing(why=why, strained_at=now, since=since)
    if before.strained_at is not None:
        strained_at = now if found else before.strained_at
        if now - strained_at < rule.calm_s:
            return Standing(why=before.why, strained_at=strained_at, since=since)
    return Standing(since=since)


def wanted_off(standings: Iterable[Standing]) -> bool | None:
    """Whether a backend is to be off, by all the rules that name it; None: leave it as it is."""
    rules = tuple(standings)
    if any(rule.sheds for rule in rules):
        return True
    return None if any(rule.blind for rule in rules) else False


def blindness(look: Look, now: Instant) -> str:
    """Why nothing can be judged now; empty where it can."""
    view, fresh_s = look.view, look.view.spec.timings.report_fresh_s
    if now - view.now > fresh_s:
        return f"the loop of {view.spec.name} has not turned for {now - view.now:.0f} s"
    if reason := guards.pause_reason(view):
        return f"{view.spec.name} is paused: {reason}"
    if view.record is None:
        return f"who holds {view.spec.name} is not known"
    if guards.other_epoch(view) and _told(view) is None:
        return f"nothing is known of {view.record.holder} now, which holds {view.spec.name}"
    return ""


def strains(look: Look) -> tuple[Strain, ...]:
    """Everything that strains the service now, whichever rules ask for it."""
    told = _told(look.view)
    return (*_moving(look, told), *_degraded(look, told), *_alone(look.view, told))


def _told(view: View) -> ServiceReport | None:
    """What another site, which holds the service, says of itself, freshly."""
    if view.record is None or view.record.holder not in view.others:
        return None
    fresh = view.others[view.record.holder].report_age_s <= view.spec.timings.report_fresh_s
    return holder_report(view) if fresh else None


def _moving(look: Look, told: ServiceReport | None) -> Iterable[Strain]:
    view = look.view
    if look.role in MOVES:
        yield Strain(when=When.MOVING, kind="role", text=f"{view.me} is {look.role}")
    if view.own.held:
        yield Strain(when=When.MOVING, kind="held", text=f"requests wait at {view.me}")
    if told is None or view.record is None:
        return
    if told.role in MOVES or told.held:
        text = f"{view.record.holder} is {told.role}" if told.role in MOVES else "requests wait"
        yield Strain(when=When.MOVING, kind="told", text=text)


def _degraded(look: Look, told: ServiceReport | None) -> Iterable[Strain]:
    view = look.view
    if look.servers_up < look.servers_total:
        text = f"{look.servers_up} of {look.servers_total} app servers are up"
        yield _less("servers", text, SERVERS_PATIENCE_S)
    if yielding := look.yielding or (told.yielding if told is not None else ""):
        yield _less("relief", f"the holder asks for relief: {yielding}")
    for link in view.own.failing:
        if link.shared or guards.own_epoch(view):
            yield _less(f"link {link.link}", f"{link.link} fails: {link.detail}")
    for name in () if told is None else told.failing:
        yield _less(f"link {name}", f"{name} fails at the holder")
    for state, sites in _missing_voters(view, told):
        text = f"the copy of {state.name} at {', '.join(sites)} does not vote"
        yield _less(f"voters {state.name}", text, view.spec.timings.report_fresh_s)


def _less(kind: str, text: str, patience_s: float = 0.0) -> Strain:
    return Strain(when=When.DEGRADED, kind=kind, text=text, patience_s=patience_s)


def _missing_voters(
    view: View, told: ServiceReport | None
) -> Iterable[tuple[DatabaseState, tuple[SiteName, ...]]]:
    """Each database, as its primary sees it, and the sites that do not stream or are not heard."""
    assert view.record is not None
    everybody = (*view.spec.data_sites, *view.spec.witnesses)
    for state in _held_databases(view, told):
        streaming = {f.site for f in state.followers if f.streaming and not f.quarantined}
        missing = tuple(
            site
            for site in everybody
            if site != view.record.holder and not (site in streaming and _heard(view, site))
        )
        if missing:
            yield state, missing


def _held_databases(view: View, told: ServiceReport | None) -> tuple[DatabaseState, ...]:
    """The databases of the holder."""
    if guards.own_epoch(view):
        return view.own.databases
    return () if told is None else tuple(found.state for found in told.databases)


def _heard(view: View, site: SiteName) -> bool:
    return site == view.me or (view.others[site].seen.control_s <= view.spec.timings.report_fresh_s)


def _alone(view: View, told: ServiceReport | None) -> Iterable[Strain]:
    if view.alone is not None:
        text = f"{view.me} serves alone, as {view.alone.asked_by} ordered"
        yield Strain(when=When.ALONE, kind="order", text=text)
    elif any(state.alone for state in _held_databases(view, told)):
        yield Strain(when=When.ALONE, kind="told", text="the holder commits without another voter")
