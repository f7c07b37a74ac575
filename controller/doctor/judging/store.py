"""etcd: each member, and the cluster they make."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from controller.doctor.judging.row import Row, bad, ok, unknown, warn

CHECK: Final = "etcd"
LEASES: Final = "leases"
WANTED: Final = {(3, 5): 30, (3, 6): 11}  # the first release of each line that will do
SLOW_PART: Final = 0.25  # of the deadline of one call
_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,6})(?:[-+].*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSeen:
    """One member, as it answered."""

    version: str
    leader: str  # name of the leader it knows; "" for none
    alarms: tuple[str, ...]
    put_s: float  # the slowest of a few
    get_s: float


def member(site: str, seen: MemberSeen, deadline_s: float) -> list[Row]:
    """It answers in time, raises no alarm, and is of a version that is safe to run."""
    subject = f"member at {site}"
    took = f"put {_ms(seen.put_s)}, get {_ms(seen.get_s)}, deadline {_ms(deadline_s)}"
    slow = max(seen.put_s, seen.get_s) > deadline_s * SLOW_PART
    if seen.alarms:
        mend = "etcdctl alarm list; NOSPACE: compact, defragment, alarm disarm"
        answers = bad(CHECK, subject, "; ".join(seen.alarms), mend)
    elif slow:
        mend = "look at its disk (fdatasync) and at the network between the members"
        answers = warn(CHECK, subject, f"slow: {took}", mend)
    else:
        answers = ok(CHECK, subject, took)
    return [answers, version(site, seen.version)]


def silent(site: str, endpoint: str, why: str) -> Row:
    """It does not answer, or takes no write."""
    mend = f"at {site}: systemctl status etcd; one more loss and no role can change"
    return bad(CHECK, f"member at {site}", f"{endpoint}: {why}", mend)


def version(site: str, told: str) -> Row:
    """3.5.30, 3.6.11, or newer of their lines, or of a newer line."""
    subject = f"version at {site}"
    found = _VERSION.fullmatch(told)
    wanted = "run 3.5.30 or newer, or 3.6.11 or newer"
    if found is None:
        return unknown(CHECK, subject, f"{told!r} is no version", wanted)
    line, patch = (int(found[1]), int(found[2])), int(found[3])
    if line > max(WANTED) or patch >= WANTED.get(line, patch + 1):
        return ok(CHECK, subject, told)
    if line < (3, 4):
        return bad(CHECK, subject, f"{told} is too old", wanted)
    reasons = (
        "stale linearizable reads after a process pause, ways around authentication, end of life"
        if line == (3, 4)
        else "stale reads that later releases have mended"
    )
    return warn(CHECK, subject, f"{told}: {reasons}", wanted)


def leader(told: Mapping[str, str], witnesses: Collection[str]) -> Row:
    """One leader, known to every member that answers (`told`: by site), at a witness site."""
    known = sorted({name for name in told.values() if name})
    lacking = sorted(site for site, name in told.items() if not name)
    if not told:
        why = "no member answers"
        return unknown(CHECK, "leader", why, "see the rows of the members")
    if not known:
        return bad(CHECK, "leader", "no member knows one", "bring back a majority of the members")
    if len(known) > 1 or lacking:
        said = ", ".join(f"{site}: {name or 'none'}" for site, name in sorted(told.items()))
        return warn(CHECK, "leader", f"members disagree: {said}", "ask again in a few seconds")
    if known[0] not in witnesses:
        seen = f"{known[0]}: the loss of that site also costs an election"
        return warn(CHECK, "leader", seen, "the witness daemon moves it; if it stays, look there")
    return ok(CHECK, "leader", f"{known[0]}, a witness site")


def renewal(service: str, holder: str, advanced: int, watched_s: float, lease_s: float) -> Row:
    """Of a `lease` service: its holder has renewed `advanced` times while we watched."""
    if watched_s < lease_s:
        why = f"watched for {watched_s:.1f} s of a lease of {lease_s:g} s"
        return unknown(LEASES, service, why, "tricast doctor --only leases")
    if advanced < 1:
        seen = f"{holder} has not renewed it for {watched_s:.1f} s"
        return bad(LEASES, service, seen, f"tricast explain {service}")
    return ok(LEASES, service, f"{holder} renewed it {advanced} times in {watched_s:.1f} s")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
