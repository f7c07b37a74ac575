"""What must hold before a service is moved for a drill. One table; each row says why not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A service as an operator finds it, as far as a drill asks."""

    service: str
    holder: str
    target: str  # who is to take over
    home: str = ""  # where it has to be now; "" for wherever it is
    store_ok: bool = True
    holder_role: str = "primary"
    healthy: Mapping[str, bool | None] = field(default_factory=dict)  # the holder and the target
    apps: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # up, and of how many
    missing: tuple[str, ...] = ()  # copies that do not vote, and why
    eligible: bool = True
    not_eligible_because: tuple[str, ...] = ()
    request: str = ""  # the one that is open
    drains: tuple[str, ...] = ()
    fences: tuple[str, ...] = ()
    change: str = ""  # the role change that is under way
    paused: str = ""
    settled: bool = True  # the last role change is outside the flap window, or acknowledged
    canary_url: str = ""
    canary_trouble: str = ""
    lands_at: str = ""  # who answers the canary; "" when it does not tell
    refused: str = ""  # what the daemon says against the request


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check and what it found."""

    name: str
    ok: bool
    detail: str


def _store(seen: Standing) -> str:
    return "" if seen.store_ok else "etcd's majority does not answer: no role can change"


def _holder(seen: Standing) -> str:
    if not seen.holder:
        return f"nobody holds {seen.service}"
    if seen.home and seen.holder != seen.home:
        return f"{seen.holder} holds {seen.service}, not {seen.home}"
    if seen.holder_role != "primary":
        return f"{seen.holder} is {seen.holder_role}, not primary"
    return ""


def _health(seen: Standing) -> str:
    words = {None: "is not known to be well", False: "is ill"}
    ill = [f"{site} {words[well]}" for site, well in seen.healthy.items() if well is not True]
    few = [
        f"{site} has {up} of {total} app servers up"
        for site, (up, total) in seen.apps.items()
        if up < total
    ]
    return "; ".join((*ill, *few))


def _redundancy(seen: Standing) -> str:
    return "; ".join(seen.missing)


def _target(seen: Standing) -> str:
    if not seen.target:
        return "no other data site is known"
    if seen.eligible and not seen.not_eligible_because:
        return ""
    because = "; ".join(seen.not_eligible_because) or "it does not say why"
    return f"{seen.target} may not take over: {because}"


def _requests(seen: Standing) -> str:
    drained = [f"{site} is drained: tricast undrain {site}" for site in seen.drains]
    asked = (f"request {seen.request} is open",) if seen.request else ()
    fenced = [f"{site} is fenced: tricast unfence {site}" for site in seen.fences]
    return "; ".join((*asked, *drained, *fenced))


def _change(seen: Standing) -> str:
    return f"a role change is under way: {seen.change}" if seen.change else ""


def _pause(seen: Standing) -> str:
    return f"automation is paused: {seen.paused}; tricast resume ends it" if seen.paused else ""


def _flap(seen: Standing) -> str:
    if seen.settled:
        return ""
    return "the last role change is within the flap window: look at its cause, then tricast ack"


def _canary(seen: Standing) -> str:
    if not seen.canary_url:
        return f"{seen.service} has no canary_url: nothing would measure the drill"
    if seen.canary_trouble:
        return f"{seen.canary_url}: {seen.canary_trouble}"
    if seen.lands_at and seen.holder and seen.lands_at != seen.holder:
        return f"{seen.canary_url} is answered by {seen.lands_at}, not by {seen.holder}"
    return ""


def _refused(seen: Standing) -> str:
    return seen.refused


# name, what is said when it holds, why it does not hold
CHECKS: Final[tuple[tuple[str, str, Callable[[Standing], str]], ...]] = (
    ("store", "etcd's majority answers", _store),
    ("holder", "{holder} is primary", _holder),
    ("health", "both sites are well, every app server is up", _health),
    ("redundancy", "every copy votes", _redundancy),
    ("target", "{target} may take over", _target),
    ("requests", "nothing is asked, nothing is drained", _requests),
    ("role change", "none is under way", _change),
    ("pause", "automation is on", _pause),
    ("flap window", "the last role change is long enough ago, or acknowledged", _flap),
    ("canary", "{canary_url} answers", _canary),
    ("request", "the daemon would take it", _refused),
)


def examined(seen: Standing) -> tuple[Finding, ...]:
    """Every check, in the order of the table."""
    words = {"holder": seen.holder, "target": seen.target, "canary_url": seen.canary_url}
    found = []
    for name, well, look in CHECKS:
        why = look(seen)
        found.append(Finding(name=name, ok=not why, detail=why or well.format(**words)))
    return tuple(found)


def reasons(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """Why no drill must begin now; none when it may."""
    return tuple(f"{each.name}: {each.detail}" for each in findings if not each.ok)
