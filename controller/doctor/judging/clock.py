"""Clocks. No decision rests on them: logs, history and certificates do."""

from dataclasses import dataclass
from typing import Final

from controller.doctor.judging.row import Row, bad, ok, unknown, warn

CHECK: Final = "clock"
WARN_S: Final = 0.5
BAD_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """How far another wall clock is behind ours, in bounds; ahead is negative."""

    least_s: float
    most_s: float


def skew(site: str, apart: Apart | None, watched_s: float) -> Row:
    """The clock of `site` agrees with ours; `apart` is None where no new report came."""
    if apart is None:
        why = f"no new report of {site} within {watched_s:.1f} s"
        return unknown(CHECK, site, why, f"at {site}: systemctl status tricast")
    off_s = max(0.0, apart.least_s, -apart.most_s)  # at least so far apart
    seen = f"{apart.least_s:+.2f} to {apart.most_s:+.2f} s behind ours"
    mend = f"chronyc tracking, here and at {site}"
    if off_s > BAD_S:
        return bad(CHECK, site, seen, mend)
    if off_s > WARN_S:
        return warn(CHECK, site, seen, mend)
    return ok(CHECK, site, seen)


def unseen(site: str, why: str) -> Row:
    """Reports cannot be read at all."""
    return unknown(CHECK, site, why, "see the rows of etcd")


def synchronised(flag: bool | None, detail: str) -> Row:  # noqa: FBT001 - what was read
    """The kernel's own word; None where it cannot be read."""
    subject = "this node"
    mend = "run chrony or systemd-timesyncd: timedatectl"
    if flag is None:
        return unknown(CHECK, subject, f"the kernel's clock state cannot be read: {detail}", mend)
    if not flag:
        return warn(CHECK, subject, f"the kernel says: not synchronised ({detail})", mend)
    return ok(CHECK, subject, f"synchronised ({detail})")
