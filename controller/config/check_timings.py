"""The inequalities between timings, each with its reason."""

from dataclasses import dataclass

from controller.config.cluster import Cluster
from controller.config.findings import Findings
from controller.config.timings import Timings
from controller.core.model import Durability


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """`key` has to be above (or, unless strict, at) `limit_s`."""

    key: str
    formula: str
    limit_s: float
    why: str
    strict: bool = True


def bounds(timings: Timings, store_deadline_s: float) -> tuple[Bound, ...]:
    """Every bound that holds for all services."""
    t = timings
    return (
        Bound(
            key="suspect_after_s",
            formula="3 * heartbeat_s",
            limit_s=3 * t.heartbeat_s,
            why="two lost datagrams are no reason to move a service",
            strict=False,
        ),
        Bound(
            key="suspect_after_s",
            formula="tick_s",
            limit_s=t.tick_s,
            why="a loop that turns more slowly cannot see it in time",
            strict=False,
        ),
        Bound(
            key="controller_grace_s",
            formula="suspect_after_s",
            limit_s=t.suspect_after_s,
            why="else a restart of a healthy site's controller moves the service",
        ),
        Bound(
            key="permit_s",
            formula="2 * tick_s + observe_deadline_s",
            limit_s=2 * t.tick_s + t.observe_deadline_s,
            why="else one slow turn of the loop makes the routes isolated",
        ),
        Bound(
            key="report_fresh_s",
            formula="2 * report_s + etcd.deadline_s",
            limit_s=2 * t.report_s + store_deadline_s,
            why="else one slow write to the store makes a live site look stale",
        ),
        Bound(
            key="report_lease_s",
            formula="3 * report_s",
            limit_s=3 * t.report_s,
            why="else reports vanish while their site is alive",
        ),
        Bound(
            key="report_lease_s",
            formula="report_fresh_s",
            limit_s=t.report_fresh_s,
            why="a report must not vanish while it still counts as fresh",
            strict=False,
        ),
        Bound(
            key="hand_over_s",
            formula="drain_s",
            limit_s=t.drain_s,
            why="else a hand-over is taken back while requests under way still end",
        ),
        Bound(
            key="linger_s",
            formula="hand_over_s",
            limit_s=t.hand_over_s,
            why="else connections at the old edge are reset before the move is over",
        ),
        Bound(
            key="promote_deadline_s",
            formula="observe_deadline_s",
            limit_s=t.observe_deadline_s,
            why="a promotion is verified by looking",
        ),
    )


def lease_bounds(timings: Timings, store_deadline_s: float) -> tuple[Bound, ...]:
    """The bounds that durability `lease` rests on."""
    t = timings
    return (
        Bound(
            key="lease_s",
            formula="2 (no store keeps a shorter lease reliably)",
            limit_s=2.0,
            why="the holder could not renew it in time",
            strict=False,
        ),
        Bound(
            key="lease_s",
            formula="lease_margin_s + 2 * lease_renew_s + etcd.deadline_s",
            limit_s=t.lease_margin_s + 2 * t.lease_renew_s + store_deadline_s,
            why="the holder stops by itself unless it can miss one renewal",
            strict=False,
        ),
        Bound(
            key="lease_margin_s",
            formula="2 * tick_s",
            limit_s=2 * t.tick_s,
            why="the holder has to notice and stop within the margin",
            strict=False,
        ),
    )


def check_timings(cluster: Cluster, findings: Findings) -> None:
    """Adds a problem for every bound that does not hold."""
    found = bounds(cluster.timings, cluster.etcd.deadline_s)
    if any(service.durability is Durability.LEASE for service in cluster.services):
        found += lease_bounds(cluster.timings, cluster.etcd.deadline_s)
    for bound in found:
        value = float(getattr(cluster.timings, bound.key))
        # Sums of decimal fractions are not exact: 3 * 0.1 is a little more than 0.3.
        holds = value > bound.limit_s + 1e-9 if bound.strict else value >= bound.limit_s - 1e-9
        if not holds:
            word = "greater than" if bound.strict else "at least"
            findings.add(
                ("timings", bound.key),
                value,
                f"must be {word} {bound.formula} = {bound.limit_s:g}: {bound.why}",
            )
    window_s = cluster.timings.flap_window_s
    if 0 < window_s <= cluster.timings.controller_grace_s:
        findings.add(
            ("timings", "flap_window_s"),
            window_s,
            "must be 0 (off: every move is automatic) or greater than controller_grace_s = "
            f"{cluster.timings.controller_grace_s:g}",
        )
