"""Whether the daemon has its turn on a busy host: a takeover is a second long."""

from dataclasses import dataclass
from typing import Final

from controller.doctor.judging.row import Row, ok, warn

CHECK: Final = "weight"
SUBJECT: Final = "this daemon"
ORDINARY: Final = 100  # cpu.weight of a unit that names none
TWICE: Final = 2 * ORDINARY
AHEAD: Final = -4  # a nice value that is worth more than twice an ordinary process
STEP: Final = "CPUWeight=1000 in its unit, as in configs/systemd/, for ExaBGP and etcd too"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the kernel shares the processor with a process: sched(7), cgroup v2 `cpu.weight`."""

    realtime: bool
    nice: int
    weight: int | None = None  # of a control group of its own
    session_nice: int | None = None  # of its session, where the kernel groups by session


def daemon(standing: Standing) -> Row:
    """It goes before others."""
    if standing.realtime:
        return ok(CHECK, SUBJECT, "has a realtime priority")
    if standing.weight is not None:
        return _verdict(f"cpu.weight {standing.weight}", ahead=standing.weight >= TWICE)
    nice, session = standing.nice, standing.session_nice
    if session is None:
        return _verdict(f"nice {nice}", ahead=nice <= AHEAD)
    seen = f"its session is at nice {session}"
    if nice <= AHEAD < session:
        seen = f"nice {nice} counts within its own session only (autogroup), {seen}"
    return _verdict(seen, ahead=session <= AHEAD)


def _verdict(seen: str, *, ahead: bool) -> Row:
    if ahead:
        return ok(CHECK, SUBJECT, seen)
    return warn(CHECK, SUBJECT, f"{seen}: on a busy host it waits as everything else does", STEP)
