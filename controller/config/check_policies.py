"""Four eyes: each policy names groups that exist, and somebody can satisfy it."""

from collections.abc import Iterator, Mapping

from controller.config.cluster import Cluster
from controller.config.findings import Findings
from controller.config.policies import OF_A_SITE, UNIX, PolicyConf, Verb
from controller.config.problem import Path, did_you_mean

WAYS_ROUND = (Verb.FAILOVER, Verb.DRAIN, Verb.FENCE)  # they move a service as well


def check_policies(cluster: Cluster, findings: Findings) -> None:
    """What keeps a policy from being followed."""
    _check_shorthand(cluster, findings)
    _check_groups(cluster, findings)
    for at, policy in _policies(cluster):
        _check_names(cluster, findings, at, policy)
        _check_use(findings, at, policy)
        _check_persons(cluster, findings, at, policy)
    for number, service in enumerate(cluster.services):
        for verb in OF_A_SITE & service.policies.keys():
            findings.add(
                ("services", number, "policies", verb.value),
                None,
                f"is about a whole site, not about {service.name}: put it under requests.policies",
            )


def policy_warnings(cluster: Cluster, findings: Findings) -> None:
    """Ways round a policy that may be meant."""
    for service in cluster.services:
        asked = _approvals(cluster, service.policies, Verb.SWITCHOVER)
        for verb in WAYS_ROUND:
            if asked > _approvals(cluster, service.policies, verb):
                findings.add(
                    ("requests",),
                    None,
                    f"switchover of {service.name} needs {asked} approval(s) and {verb} fewer, "
                    f"which moves it too: see requests.policies.{verb}",
                )


def _policies(cluster: Cluster) -> Iterator[tuple[Path, PolicyConf]]:
    for verb, policy in cluster.requests.policies.items():
        yield ("requests", "policies", verb.value), policy
    for number, service in enumerate(cluster.services):
        for verb, policy in service.policies.items():
            yield ("services", number, "policies", verb.value), policy


def _approvals(cluster: Cluster, own: Mapping[Verb, PolicyConf], verb: Verb) -> int:
    found = own.get(verb) or cluster.requests.policies.get(verb)
    if found is not None:
        return found.approvals
    return {kind.value: count for kind, count in cluster.requests.approvals.items()}.get(verb, 0)


def _check_shorthand(cluster: Cluster, findings: Findings) -> None:
    for kind, count in cluster.requests.approvals.items():
        path: Path = ("requests", "approvals", kind.value)
        if not 0 <= count <= 9:
            findings.add(path, count, "must be a number of persons from 0 to 9")
        if Verb(kind.value) in cluster.requests.policies:
            text = f"stands in requests.policies.{kind.value} too: leave one of the two out"
            findings.add(path, count, text)


def _check_groups(cluster: Cluster, findings: Findings) -> None:
    # Four eyes compare names: "Ada" beside "ada" would be two persons.
    spelled: dict[str, tuple[str, Path]] = {}
    for name, members in cluster.requests.groups.items():
        at: Path = ("requests", "groups", name)
        if not members:
            findings.add(at, None, "has nobody in it: name persons, or leave the group out")
        for index, member in enumerate(members):
            known, where = spelled.setdefault(member.casefold(), (member, (*at, index)))
            if member in members[:index]:
                findings.add((*at, index), member, "stands twice in the group")
            elif known != member:
                text = f"is spelled {known!r} elsewhere: four eyes compare names, so these are two"
                findings.add((*at, index), member, f"{text} persons (line "
                             f"{findings.document.line(where)})")  # fmt: skip


def _check_names(cluster: Cluster, findings: Findings, at: Path, policy: PolicyConf) -> None:
    known = tuple(cluster.requests.groups)
    said = ", ".join(known) or "none is defined"
    for key in ("groups", "proposers", "break_glass_groups"):
        for index, name in enumerate(getattr(policy, key)):
            if name not in known:
                text = f"must be one of requests.groups: {said}{did_you_mean(name, known)}"
                findings.add((*at, key, index), name, text)


def _check_use(findings: Findings, at: Path, policy: PolicyConf) -> None:
    """Each key has an effect."""
    if policy.groups and not policy.approvals:
        text = "has no effect while approvals is 0: say how many of them have to agree"
        findings.add((*at, "groups"), None, text)
    if policy.break_glass_groups and not policy.break_glass:
        text = "has no effect without break_glass: true"
        findings.add((*at, "break_glass_groups"), None, text)
    if policy.break_glass and not policy.approvals and not policy.proposers:
        text = "has no effect: nothing is asked that could be passed over"
        findings.add((*at, "break_glass"), policy.break_glass, text)


def _check_persons(cluster: Cluster, findings: Findings, at: Path, policy: PolicyConf) -> None:
    """There are enough persons beside one who may ask. Who is in a Unix group is not known here."""
    approvers = _persons(cluster, policy.groups)
    if not policy.approvals or not policy.groups or approvers is None:
        return
    proposers = _persons(cluster, policy.proposers) if policy.proposers else None
    best = max((len(approvers - {one}) for one in proposers), default=0) if proposers else None
    there = len(approvers) if best is None else best
    if there < policy.approvals:
        names = ", ".join(policy.groups)
        beside = "" if best is None else " beside who asks"
        findings.add(
            (*at, "approvals"),
            policy.approvals,
            f"can never be reached: {names} ha{'ve' if len(policy.groups) > 1 else 's'} {there} "
            f"person(s){beside}; add persons to the group, or ask for fewer",
        )


def _persons(cluster: Cluster, groups: tuple[str, ...]) -> frozenset[str] | None:
    """Everybody in `groups`; None when that cannot be told."""
    known = cluster.requests.groups
    if any(name not in known for name in groups):
        return None
    members = frozenset(member for name in groups for member in known[name])
    return None if any(member.startswith(UNIX) for member in members) else members
