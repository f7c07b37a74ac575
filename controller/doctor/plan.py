"""The table of checks."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from controller.doctor import (
    agents,
    clock,
    databases,
    distance,
    files,
    leases,
    members,
    sites,
    traffic,
    weight,
)
from controller.doctor.around import Around
from controller.doctor.judging.row import Row

Look = Callable[[Around], Awaitable[list[Row]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that is looked at; what it says it says in rows."""

    name: str
    look: Look
    deadline_s: float
    first: bool = False  # before all others: it measures time, and they would be in its way


CHECKS: Final = (
    Check(name="distance", look=distance.look, deadline_s=30.0, first=True),
    Check(name="sites", look=sites.look, deadline_s=5.0),
    Check(name="etcd", look=members.look, deadline_s=15.0),
    Check(name="leases", look=leases.look, deadline_s=30.0),
    Check(name="clock", look=clock.look, deadline_s=15.0),
    Check(name="agents", look=agents.look, deadline_s=30.0),
    Check(name="databases", look=databases.look, deadline_s=10.0),
    Check(name="haproxy", look=traffic.haproxy, deadline_s=6.0),
    Check(name="bgp", look=traffic.bgp, deadline_s=4.0),
    Check(name="weight", look=weight.look, deadline_s=5.0),
    Check(name="files", look=files.look, deadline_s=10.0),
    Check(name="audit", look=files.audit, deadline_s=60.0),
    Check(name="certificates", look=files.certificates, deadline_s=10.0),
)
