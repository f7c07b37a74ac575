"""Requests as the API tells them, with what the policies of this site say about each."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from controller.config import Verb
from controller.core.requests import (
    Kind,
    Request,
    SeenRequest,
    State,
    approved,
    approvers,
    closed,
    waits_for,
)
from controller.daemon.policy import Policies, broken_glass, of_groups
from controller.notify.derive import LOUD
from controller.web.schema import RequestView

ENDS: Final = {Kind.PAUSE: Verb.RESUME, Kind.DRAIN: Verb.UNDRAIN, Kind.FENCE: Verb.UNFENCE}
WARNED_S: Final = 86_400.0  # after it was over, as counted here


def unseen_view(request: Request) -> RequestView:
    """A request that this daemon has not read from the store."""
    glass = broken_glass(request)
    return RequestView(
        number=request.number,
        kind=request.kind.value,
        service=request.service or "",
        target=request.target,
        reason=request.reason,
        asked_by=request.asked_by,
        asked_at=request.asked_at,
        at=request.at,
        state=request.state.value,
        state_by=request.state_by,
        state_why=request.state_why,
        state_at=request.state_at,
        epoch=request.epoch,
        holder=request.holder if request.service else "",
        plan=request.plan,
        statement=request.statement,
        approvals_needed=request.approvals_needed,
        approved_by=tuple(sorted(approvers(request))),
        broke_glass="" if glass is None else glass.plan,
        database=request.database,
    )


def request_view(seen: SeenRequest) -> RequestView:
    """A request as the API tells it."""
    return Telling().of(seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How requests are told where the policies are known."""

    policies: Policies = field(default_factory=Policies)

    def of(self, seen: SeenRequest) -> RequestView:
        """A request."""
        return self._told(seen, Verb(seen.request.kind.value))

    def of_end(self, seen: SeenRequest) -> RequestView:
        """The wish that a standing order ends."""
        verb = ENDS[seen.request.kind]
        return self._told(seen, verb).model_copy(update={"kind": verb.value})

    def unseen(self, request: Request) -> RequestView:
        """A request that was only drafted."""
        groups = self._groups(request, Verb(request.kind.value))
        return unseen_view(request).model_copy(update={"approvers": groups})

    def _told(self, seen: SeenRequest, verb: Verb) -> RequestView:
        request, over = seen.request, closed(seen.request)
        groups = self._groups(request, verb)
        waits = "" if over else waits_for(seen)
        pending = request.state is State.OPEN and not approved(request)
        left = request.not_before_s + request.expires_s - seen.age_s
        return unseen_view(request).model_copy(
            update={
                "age_s": round(seen.age_s, 3),
                "waits_for": f"{waits}{of_groups(groups)}" if pending else waits,
                "approvers": groups,
                "lapses_in_s": max(0.0, round(left, 3)) if pending else None,
            }
        )

    def _groups(self, request: Request, verb: Verb) -> tuple[str, ...]:
        if not request.approvals_needed:
            return ()
        return self.policies.of(verb, request.service).conf.groups


def glass_warnings(found: Iterable[SeenRequest]) -> tuple[str, ...]:
    """A loud sentence for each request that was carried out past its policy, while it stands, and
    for a day after it was over unless another one follows it.
    """
    known = list(found)
    newest = {s.request.service or s.request.target: s.request.number for s in known}
    return tuple(
        _loud(seen.request)
        for seen in known
        if broken_glass(seen.request) is not None
        and (
            not closed(seen.request)
            or (
                newest[seen.request.service or seen.request.target] == seen.request.number
                and seen.unchanged_s < WARNED_S
            )
        )
    )


def _loud(request: Request) -> str:
    """What was done to whom, and the reason, which tells who and past what."""
    link = "to" if request.service else "of"
    target = f" {link} {request.target}" if request.target else ""
    if request.database:
        target = f" of {request.database} at {request.target}"
    ended = request.state_why.startswith(LOUD)
    what = f"the end of {request.kind.value}" if ended else request.kind.value
    why = request.state_why if ended else request.reason
    return f"{why} (request {request.number}, {what}{target}, {request.state.value})"
