"""Which guarantee holds now, and what the next failure would meet. For people, not for rules."""

from typing import Final

from controller.core import alone, guards, terms, troubles
from controller.core.model import DatabaseName, Durability, SiteName
from controller.core.quorum import holder_report, learners, majority, voters_of
from controller.core.view import View

ASTRAY_S: Final = 15.0  # by then every provider has forgotten a site that fell silent


def live_voters(view: View, database: DatabaseName) -> frozenset[SiteName]:
    """Sites whose copy is at the primary, or streams from it as a voter."""
    if view.record is None:
        return frozenset()
    live: set[SiteName] = set()
    for site, voter in voters_of(view, database).items():
        if site == view.record.holder:
            if _primary_writable(view, database):
                live.add(site)
        elif (
            _fresh(view, site)
            and voter.streaming
            and voter.following == view.record.holder
            and _connected(view, site, database)
            and _counted(view, site, database)
        ):
            live.add(site)
    return frozenset(live)


def _primary_writable(view: View, database: DatabaseName) -> bool:
    assert view.record is not None
    if view.record.holder == view.me:
        return any(s.name == database and s.writable for s in view.own.databases)
    report = holder_report(view)
    return report is not None and any(
        found.state.name == database and found.state.writable for found in report.databases
    )


def _connected(view: View, site: SiteName, database: DatabaseName) -> bool:
    """The primary itself sees the voter; only this site's own primary is looked at."""
    assert view.record is not None
    if view.record.holder != view.me:
        return True
    return any(
        follower.site == site and follower.streaming and not follower.quarantined
        for state in view.own.databases
        if state.name == database
        for follower in state.followers
    )


def _fresh(view: View, site: SiteName) -> bool:
    if site == view.me:
        return True
    return view.others[site].report_age_s <= view.spec.timings.report_fresh_s


def _counted(view: View, site: SiteName, database: DatabaseName) -> bool:
    """A data site's copy in quarantine streams, but its acknowledgement does not count."""
    if site == view.me:
        return not any(s.name == database and s.quarantined for s in view.own.databases)
    report = view.others[site].report
    return report is not None and not any(
        found.state.name == database and found.state.quarantined for found in report.databases
    )


def guarantee(view: View) -> str:
    """One sentence: what a failure now would cost."""
    if view.spec.durability is Durability.LEASE:
        return (
            f"lease: one holder at a time by an etcd lease of {view.spec.timings.lease_s:g} s; "
            "what is not replicated may be lost"
        )
    if view.alone is not None:
        return "NONE: one copy; what is acknowledged now is lost with this site"
    total = len(view.spec.data_sites) + len(view.spec.witnesses)
    votes = f"of {total - len(learners(view))} voters{_learning(view)}"
    live = {name: live_voters(view, name) for name in view.spec.databases}
    fewest = min((len(sites) for sites in live.values()), default=0)
    if fewest > majority(total):
        return f"quorum: {fewest} {votes}; survives the loss of any one site"
    if fewest >= majority(total):
        return f"quorum: {fewest} {votes}; the NEXT failure cannot be survived automatically"
    return f"quorum: {fewest} {votes}; commits wait, nothing acknowledged is at risk"


def _learning(view: View) -> str:
    names = sorted(learners(view))
    verb = "learns" if len(names) == 1 else "learn"
    return f" ({' and '.join(names)} only {verb})" if names else ""


def warnings(view: View) -> tuple[str, ...]:
    """What an operator should know now, each a sentence that names the thing."""
    found: list[str] = []
    if standing := alone.standing(view):
        found.append(standing)
    if not view.store_ok:
        found.append("etcd's majority does not answer: no role can change until it does")
    everybody = frozenset((*view.spec.data_sites, *view.spec.witnesses))
    for database in view.spec.databases:
        live = live_voters(view, database)
        can = "can still" if len(live) > majority(len(everybody)) else "cannot"
        for site in sorted(everybody - live - learners(view)):
            found.append(
                f"{database}: the copy at {site} does not vote; "
                f"the next failure {can} be survived automatically"
            )
    found.extend(
        f"{site} only learns: no commit and no takeover of {view.spec.name} counts it, until "
        f"tricast voters promote {site} --service {view.spec.name}"
        for site in sorted(learners(view))
    )
    found.extend(_knocking(view))
    limit = view.spec.timings.suspect_after_s
    for site, other in sorted(view.others.items()):
        if other.seen.control_s > limit:
            found.append(f"{site} is not heard")
    for state in view.own.databases:
        found.extend(f"{state.name} at {view.me}: {problem}" for problem in state.problems)
    if view.own.sessions_up < view.own.sessions_total:
        up, total = view.own.sessions_up, view.own.sessions_total
        found.append(f"{up} of {total} BGP sessions of {view.me} are up")
    elif view.own.stance is None:
        found.append(f"the BGP speaker of {view.me} does not answer")
    found.extend(_astray(view))
    reasons = troubles.service_reasons(view)
    found.extend(f"{view.me}: {reason}" for reason in reasons if "BGP" not in reason)
    found.extend(_failing(view))
    found.extend(
        f"the configuration of {site} is not that of {view.me}: {troubles.OTHER_TERMS}; "
        "compare the files (tricast config check), and restart the daemon that is wrong"
        for site in terms.strangers(view)
    )
    return tuple(found)


def _astray(view: View) -> list[str]:
    """Witnesses whose requests still enter elsewhere, though this holder attracts them."""
    attracts = guards.own_epoch(view) and view.own.stance in guards.ATTRACTING
    if not attracts or max(view.record_unchanged_s, view.changed_s) < ASTRAY_S:
        return []
    reports = {site: other.report for site, other in view.others.items() if _fresh(view, site)}
    beside = " and more-specifics" if view.own.more_specifics else ""
    return [
        f"requests from {site} enter at {report.lands_at}, though {view.me} announces "
        f"{view.own.stance}{beside}: a provider keeps an old route"
        for site, report in reports.items()
        if report is not None and report.lands_at not in ("", view.me)
    ]


def _failing(view: View) -> list[str]:
    """Each link that fails here, and whether a move would help."""
    helps = "" if troubles.healthier_elsewhere(view) else "; no other site is better off"
    return [
        f"{found.link} fails as seen from {view.me}: {found.detail}"
        + ("; it is shared, and moves nothing" if found.shared else helps)
        for found in view.own.failing
    ]


def _knocking(view: View) -> list[str]:
    """Copies that ask the holder for its log under a voter's name, with another epoch's records."""
    if view.record is None:
        return []
    copies = [(view.me, state) for state in view.own.databases]
    for site, other in view.others.items():
        if other.report is not None:
            copies.extend((site, report.state) for report in other.report.databases)
    return [
        f"{state.name} at {site} asks {view.record.holder} for its log under its voter's name, but"
        f" its last record is of epoch {state.epoch}, not {view.record.epoch}: it is refused, and"
        " counts for nothing, until it has been rewound or cloned"
        for site, state in sorted(copies, key=lambda pair: (pair[0], pair[1].name))
        if state.upstream == view.record.holder != site
        and state.receiving
        and not state.quarantined
        and state.epoch not in (0, view.record.epoch)
        and _primary_writable(view, state.name)
    ]
