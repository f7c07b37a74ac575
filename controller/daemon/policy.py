"""Four eyes at the door: who may ask, who may approve, and who may go ahead without.

What is asked under a policy is a request that is not in force before it has its approvals; what
decides about roles knows no persons. A request that was carried out past its policy says so in its
reason, which goes wherever the reason goes: into the epoch record, the history, the status, the
audit log. It also bears a mark that nobody can type: an approval that never counts.
"""

import grp
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from controller.config import Cluster, PolicyConf, Verb
from controller.config.policies import UNIX
from controller.core.model import ServiceName
from controller.core.requests import EXPIRES_S, Approval, Kind, Request
from controller.daemon.refusals import FORBIDDEN, REFUSED, WRONG
from controller.notify.derive import LOUD
from controller.web.source import Asker, NotAsked

GLASS: Final = "break-glass"
SAID: Final = {  # after "a"; else as it is called
    Verb.WEIGHTS: "change of the weights",
    Verb.DEMOTE: "demotion of a voter",
    Verb.PROMOTE: "promotion of a voter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some persons."""

    members: tuple[str, ...] = ()  # as configured
    gids: frozenset[int] = frozenset()  # of the Unix groups among them, on this node

    def has(self, who: Asker) -> bool:
        """By name, or by a Unix group that the kernel tells of who asks."""
        return who.name in self.members or bool(self.gids & who.gids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds for one verb of one service, or of a site."""

    about: str  # "switchover of wallet"
    conf: PolicyConf
    expires_s: float
    groups: Mapping[str, Group]

    def may_propose(self, who: Asker) -> None:
        """Raises NotAsked."""
        if self.conf.proposers and not self._among(who, self.conf.proposers):
            raise NotAsked(
                FORBIDDEN,
                f"{who.name} may not ask for a {self.about}: that is for "
                f"{self._shown(self.conf.proposers)}; ask one of them",
            )

    def may_approve(self, who: Asker) -> None:
        """Raises NotAsked."""
        if self.conf.groups and not self._among(who, self.conf.groups):
            raise NotAsked(
                FORBIDDEN,
                f"{who.name} is in none of the groups that approve a {self.about}: "
                f"{self._shown(self.conf.groups)}; ask one of them",
            )

    def past(self, who: Asker, reason: str) -> str:
        """What `who` passes over by breaking the glass, for `reason`. Raises NotAsked."""
        if not self.words:
            raise NotAsked(
                REFUSED,
                f"no policy stands in the way of a {self.about}: ask without --break-glass",
            )
        if not self.conf.break_glass:
            raise NotAsked(
                FORBIDDEN,
                f"the policy of a {self.about} lets nobody break the glass: it needs {self.words}",
            )
        if self.conf.break_glass_groups:
            if not self._among(who, self.conf.break_glass_groups):
                raise NotAsked(
                    FORBIDDEN,
                    f"{who.name} may not break the glass for a {self.about}: that is for "
                    f"{self._shown(self.conf.break_glass_groups)}; ask one of them",
                )
        else:
            self.may_propose(who)
        if not reason.strip():
            raise NotAsked(WRONG, "--break-glass needs a --reason: everybody will read it")
        return f"{self.about}: {self.words}"

    @property
    def words(self) -> str:
        """What it asks for; "" for nothing."""
        count, parts = self.conf.approvals, []
        if count:
            persons = "another person" if count == 1 else f"{count} other persons"
            parts.append(f"the approval of {persons}{of_groups(self.conf.groups)}")
        if self.conf.proposers:
            parts.append(f"a person{of_groups(self.conf.proposers)} to ask for it")
        return ", and ".join(parts)

    @property
    def glass_words(self) -> str:
        """Who may break the glass; "" for nobody."""
        if not self.conf.break_glass or not self.words:
            return ""
        groups = self.conf.break_glass_groups or self.conf.proposers
        return f"persons{of_groups(groups)}" if groups else "whoever may ask"

    def _among(self, who: Asker, names: Iterable[str]) -> bool:
        return any(self.groups[name].has(who) for name in names if name in self.groups)

    def _shown(self, names: Iterable[str]) -> str:
        known = ((name, self.groups.get(name, Group())) for name in names)
        return ", ".join(f"{name} ({', '.join(group.members)})" for name, group in known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Every policy of the configuration."""

    groups: Mapping[str, Group] = field(default_factory=dict)
    everywhere: Mapping[Verb, PolicyConf] = field(default_factory=dict)
    of_service: Mapping[str, Mapping[Verb, PolicyConf]] = field(default_factory=dict)
    approvals: Mapping[Kind, int] = field(default_factory=dict)  # where there is no policy
    expires_s: float = EXPIRES_S

    def of(self, verb: Verb, service: ServiceName | str | None) -> Policy:
        """What holds for `verb`; of the service where it has a policy of its own."""
        own = self.of_service.get(service or "", {}).get(verb) or self.everywhere.get(verb)
        if own is None:
            short = {kind.value: count for kind, count in self.approvals.items()}
            own = PolicyConf(approvals=short.get(verb.value, 0))
        return Policy(
            about=f"{SAID.get(verb, verb)} of {service or 'a site'}",
            conf=own,
            expires_s=self.expires_s if own.expires_s is None else own.expires_s,
            groups=self.groups,
        )

    def asks_for(self, verb: Verb) -> bool:
        """Whether any policy wants approvals for `verb`."""
        found = [self.everywhere, *self.of_service.values()]
        return any(verb in each and each[verb].approvals for each in found)


def policies_of(cluster: Cluster) -> Policies:
    """As configured. A Unix group that this node does not have has nobody in it."""
    conf = cluster.requests
    return Policies(
        groups={name: _group(members) for name, members in conf.groups.items()},
        everywhere=conf.policies,
        of_service={service.name: service.policies for service in cluster.services},
        approvals=conf.approvals,
        expires_s=conf.expires_s,
    )


def _group(members: tuple[str, ...]) -> Group:
    gids = set()
    for member in members:
        if member.startswith(UNIX):
            try:
                gids.add(grp.getgrnam(member.removeprefix(UNIX)).gr_gid)
            except KeyError:
                continue
    return Group(members=members, gids=frozenset(gids))


def of_groups(names: tuple[str, ...]) -> str:
    """What follows "a person"; nothing for everybody."""
    return f" of {' or '.join(names)}" if names else ""


# --- the mark ------------------------------------------------------------------------------------


def with_glass_broken(request: Request, *, past: str, site: str, at: str) -> Request:
    """`request`, marked for ever as carried out past the policy `past`."""
    mark = Approval(by=GLASS, site=site, at=at, plan=past)
    return replace(request, approvals=(*request.approvals, mark))


def loud_reason(who: Asker, past: str, reason: str) -> str:
    """A reason that tells who passed over what."""
    return f"{LOUD} by {who.name}, past the policy of {past}. Reason: {reason}"


def broken_glass(request: Request) -> Approval | None:
    """The newest mark, if the glass was broken for `request`."""
    marks = (a for a in reversed(request.approvals) if a.by == GLASS and a.plan != request.plan)
    return next(marks, None)
