"""Timings, and the three profiles that give their defaults.

Nothing here protects data: with durability `quorum` no clock is part of any safety argument. Wrong
timings move a service too early (a flap) or too late (an outage), and with durability `lease` they
do protect: its inequalities are refused at load when they cannot hold.
"""

from enum import StrEnum
from typing import Final

from pydantic import Field

from controller.config.record import Record
from controller.config.scalars import Seconds


class Profile(StrEnum):
    """How far apart the sites are."""

    FAST = "fast"  # one campus or one machine, below 2 ms
    METRO = "metro"  # one city or region, below 20 ms
    WAN = "wan"  # anything more


class Timings(Record):
    """Every wait of a daemon, in seconds. The defaults here are those of the profile `fast`."""

    tick_s: Seconds = 0.25
    observe_deadline_s: Seconds = 0.2
    heartbeat_s: Seconds = 0.1
    suspect_after_s: Seconds = 0.5
    controller_grace_s: Seconds = 30.0
    yield_grace_s: Seconds = 2.0
    hand_over_s: Seconds = 1.5
    drain_s: Seconds = 0.5
    linger_s: Seconds = 15.0
    withdraw_after_s: Seconds = 60.0
    commit_stale_s: Seconds = 1.0
    probe_s: Seconds = 0.2
    probe_timeout_s: Seconds = 0.2
    report_s: Seconds = 1.8
    report_fresh_s: Seconds = 5.0
    report_lease_s: Seconds = 10.0
    permit_s: Seconds = 10.0
    lease_s: Seconds = 3.0
    lease_renew_s: Seconds = 0.5
    lease_margin_s: Seconds = 0.5
    backoff_s: Seconds = 0.5
    flap_window_s: float = Field(default=3600.0, ge=0, le=604800, allow_inf_nan=False)
    seal_deadline_s: Seconds = 2.0
    catch_up_deadline_s: Seconds = 60.0
    promote_deadline_s: Seconds = 10.0
    step_deadline_s: Seconds = 5.0
    rejoin_deadline_s: Seconds = 1800.0


PROFILES: Final[dict[Profile, Timings]] = {
    Profile.FAST: Timings(),
    Profile.METRO: Timings(
        tick_s=0.2,
        observe_deadline_s=0.4,
        heartbeat_s=0.2,
        suspect_after_s=1.0,
        commit_stale_s=2.0,
        probe_s=0.4,
        probe_timeout_s=0.4,
        lease_s=4.0,
        lease_renew_s=0.8,
        lease_margin_s=1.0,
        backoff_s=1.0,
        seal_deadline_s=3.0,
    ),
    Profile.WAN: Timings(
        tick_s=0.5,
        observe_deadline_s=1.0,
        heartbeat_s=0.5,
        suspect_after_s=3.0,
        controller_grace_s=60.0,
        yield_grace_s=5.0,
        hand_over_s=3.0,
        drain_s=1.0,
        commit_stale_s=5.0,
        probe_s=1.0,
        probe_timeout_s=1.0,
        report_s=2.0,
        report_fresh_s=10.0,
        report_lease_s=20.0,
        permit_s=20.0,
        lease_s=8.0,
        lease_renew_s=2.0,
        lease_margin_s=2.0,
        backoff_s=2.0,
        seal_deadline_s=5.0,
        promote_deadline_s=20.0,
        step_deadline_s=10.0,
    ),
}
