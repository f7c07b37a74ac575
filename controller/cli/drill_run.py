"""A drill: the service moves to another site and back, while it is asked all the time.

Whatever ends it early (a signal, a check that fails, an objective that is missed), the service goes
back to where it was, unless nothing has moved; and no request of it is left open. What is asked of
the cluster is a switchover like any other: approvals hold, and the daemon refuses what it would
refuse anybody.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from controller.cli.drill_standing import found_standing, service_of
from controller.cli.endpoint import ask, status_of, tell
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.moves import PATH, planned, told_to
from controller.cli.options import Asked
from controller.cli.progress import CODES, as_it_stands, told_with_step
from controller.drill.checks import Standing, examined, reasons
from controller.drill.measure import longest
from controller.web.drill_schema import DrillEvent, DrillPlan
from controller.web.schema import (
    Ask,
    HistoryEntry,
    RequestAnswer,
    Requests,
    RequestView,
    ServiceView,
    Status,
    Verdict,
)

if TYPE_CHECKING:  # it loads a web client, which no other verb waits for
    from controller.cli.drill_canary import Canary

POLL_S: Final = 0.2
AGAIN_S: Final = 1.0  # between attempts to go back
WARM_S: Final = 1.0  # of good answers, before and after
TOLD_S: Final = 2.0  # what one site shows has reached the others' reports
FOUND_S: Final = 5.0  # a request whose answer was lost is looked for


class Aborted(Exception):
    """The drill goes no further; the message says why."""


class Refused(Aborted):
    """A move was refused and nothing has moved; it may be asked for again."""


@dataclass(slots=True, kw_only=True)
class Moved:
    """One move that was asked for."""

    way: str
    source: str
    target: str
    asked_s: float
    request: RequestView | None = None
    ended_s: float = 0.0
    settled_s: float | None = None
    entry: HistoryEntry | None = None


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """One drill, from the first request to the last."""

    asked: Asked
    plan: DrillPlan
    canary: "Canary"
    say: Callable[[DrillEvent], None]
    hold_s: float
    goes_back: bool
    stopped: Callable[[], str]  # why somebody wants it to end; "" for not
    moves: list[Moved] = field(default_factory=list)
    events: list[DrillEvent] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    aborted: str = ""
    holder: str = ""
    unknown: bool = False  # whether a request stands is not known
    _returning: bool = False
    _judged: int = 0  # so many samples
    _good_s: float = 0.0  # the newest good answer among them
    _held_s: float = 0.0  # in all, so that a gap is reported once

    def play(self) -> None:
        """It is over: the service is where it should be, or `troubles` says what is not so."""
        home, target = self.plan.holder, self.plan.target
        try:
            self._warm()
            self._move("out", home, target)
            self._hold(target)
            if self.goes_back:
                self._return(target, home)
        except Aborted as error:
            self.aborted = str(error)
            self._tell(f"the drill ends here: {error}", bad=True)
            self._take_back(home)
        self._after(home if self.goes_back or self.aborted else target)

    # --- before ----------------------------------------------------------------------------------

    def _warm(self) -> None:
        """Good answers for a second, each from the holder."""
        self._tell(f"asks {self.canary.url} every {self.canary.every_s:g} s")
        while self.canary.now_s() < WARM_S or not self.canary.samples:
            self._rest()
        if bad := self.canary.failures():
            came = ", ".join(bad)
            raise Aborted(f"the service address did not answer well before anything moved: {came}")

    # --- a move ----------------------------------------------------------------------------------

    def _return(self, source: str, home: str) -> None:
        """`home` serves again. What is refused, for what is seen for a moment only, is asked for
        again. Raises Aborted.
        """
        until = self.canary.now_s() + self.asked.timeout
        while True:
            self._ready(source, home)
            try:
                self._move("back", source, home)
            except Refused as error:
                if self.canary.now_s() >= until:
                    raise
                self._tell(f"refused, and asked again: {error}")
            else:
                return

    def _move(self, way: str, source: str, target: str) -> None:
        """The service is seen to be served by `target`. Raises Aborted."""
        moved = Moved(way=way, source=source, target=target, asked_s=self.canary.now_s())
        try:
            moved.request = self._ask(target)
            self.moves.append(moved)
            moved.request = self._follow(moved.request)
        except CliError as error:
            moved.ended_s = self.canary.now_s()
            self.unknown = self.unknown or error.code is ExitCode.UNKNOWN
            kind = Refused if error.code is ExitCode.REFUSED else Aborted
            raise kind(f"{self.plan.service} could not be moved: {error.sentence}") from None
        moved.ended_s = self.canary.now_s()
        if moved.request.state == "refused":
            self.moves.remove(moved)
            raise Refused(f"request {moved.request.number}: {moved.request.state_why}")
        if moved.request.state != "done":
            why = moved.request.state_why or "no reason was given"
            raise Aborted(f"request {moved.request.number} is {moved.request.state}: {why}")
        self._settle(moved)

    def _ask(self, target: str) -> RequestView:
        """The request as the cluster has it. Raises CliError."""
        order = Ask(
            kind=self.plan.kind,
            service=self.plan.service,
            target=target,
            reason=self.asked.reason,
        )
        plan = planned(self.asked, order)
        try:
            found = told_to(self.asked, order, plan)
        except CliError as error:
            if error.code is not ExitCode.UNKNOWN:
                raise
            found = self._found(plan, error)
        self._tell(f"request {found.number}: {self.plan.service} to {target}")
        return found

    def _found(self, plan: RequestView, error: CliError) -> RequestView:
        """The request whose answer was lost, if it stands. Raises `error` when it does not."""
        until = self.canary.now_s() + FOUND_S
        while self.canary.now_s() < until:
            with suppress(CliError):
                known = ask(self.asked.endpoint, f"{PATH}?service={self.plan.service}", Requests)
                for request in known.requests:
                    mine = (request.reason, request.target) == (self.asked.reason, plan.target)
                    if mine and request.epoch == plan.epoch:
                        return request
            time.sleep(POLL_S)
        raise error

    def _follow(self, request: RequestView) -> RequestView:
        """The request is over; withdrawn when it may not begin any more. Raises CliError."""
        until = self.canary.now_s() + self.asked.timeout
        leaving = False
        while True:
            try:
                request, status = as_it_stands(self.asked.endpoint, request)
            except CliError as error:
                if error.code is not ExitCode.UNAVAILABLE:
                    raise
                self._tell(error.sentence.partition(". ")[0], bad=True)
            else:
                self._tell(told_with_step(request, status))
            if request.state in CODES:
                return request
            if request.state == "running" and self._wanted_to_stop() and not leaving:
                leaving = True
                self._tell(f"{self.stopped()}: the move has begun, and is waited for")
            late = self.canary.now_s() >= until
            if request.state == "open" and not leaving and (late or self._wanted_to_stop()):
                leaving = True
                self._withdraw(request, "it took too long" if late else self.stopped())
                until = self.canary.now_s() + self.asked.timeout
            elif late:
                raise CliError(
                    ExitCode.UNKNOWN,
                    f"request {request.number} is {request.state} after {self.asked.timeout:g} s "
                    "and goes on: tricast requests",
                )
            time.sleep(POLL_S)

    def _withdraw(self, request: RequestView, why: str) -> None:
        """It is asked that `request` ends before it begins; one that has begun goes on."""
        verdict = Verdict(
            number=request.number, service=self.plan.service, reason=f"drill: {why}"[:500]
        )
        with suppress(CliError):
            tell(self.asked.endpoint, f"{PATH}/decline", verdict, RequestAnswer)

    def _settle(self, moved: Moved) -> None:
        """The target serves: its role, the history and the answers say so. Raises Aborted."""
        until = self.canary.now_s() + self.asked.timeout
        lacking = "the daemon has not been asked"
        while self.canary.now_s() < until:
            with suppress(CliError):
                status = status_of(self.asked.endpoint)
                lacking = self._lacking(status, moved)
                if not lacking:
                    moved.settled_s = self.canary.now_s()
                    took = moved.settled_s - moved.asked_s
                    self._tell(f"{moved.target} serves, {took:.1f} s after it was asked for")
                    self._judge_gap()
                    return
            self._rest()
            self._judge_gap()
        raise Aborted(f"{moved.target} was not seen to serve: {lacking}")

    def _lacking(self, status: Status, moved: Moved) -> str:
        """What is not there yet; the history's entry of the move is kept when it is."""
        service = service_of(status, self.plan.service)
        self.holder = service.holder
        if service.holder != moved.target:
            return f"{service.holder or 'nobody'} holds {service.name}"
        assert moved.request is not None
        moved.entry = next(
            (e for e in status.history if e.service == service.name and e.epoch == service.epoch),
            None,
        )
        if moved.entry is None:
            return f"the history does not have epoch {service.epoch} yet"
        if moved.entry.outcome != "ok":
            return f"the history says of epoch {service.epoch}: {moved.entry.outcome}"
        role = next((s.role for s in service.sites if s.site == moved.target), "unknown")
        if role != "primary":
            return f"{moved.target} is {role}"
        return self._answered_by(moved.target, since_s=moved.ended_s)

    def _answered_by(self, site: str, since_s: float) -> str:
        """Why the newest answers do not show that `site` serves."""
        newest = self.canary.samples[-1] if self.canary.samples else None
        if newest is None or newest.sent_s < since_s:
            return "the service address has not answered yet"
        if not newest.ok:
            return f"the service address does not answer: {newest.detail}"
        return f"{newest.site} answers" if newest.site not in ("", site) else ""

    # --- between ---------------------------------------------------------------------------------

    def _hold(self, target: str) -> None:
        """It stays at `target` for the time that was asked for. Raises Aborted."""
        if self.hold_s:
            self._tell(f"holds {self.plan.service} at {target} for {self.hold_s:g} s")
        until = self.canary.now_s() + self.hold_s
        while self.canary.now_s() < until:
            self._rest()
            self._judge_gap()
            with suppress(CliError):
                service = service_of(status_of(self.asked.endpoint), self.plan.service)
                if service.epoch and service.holder != target:
                    self.holder = service.holder
                    raise Aborted(f"{service.holder} holds {service.name} by itself")

    def _ready(self, source: str, target: str) -> None:
        """`target` could take over again, with every copy voting, and for long enough that the
        other site knows it too. Raises Aborted.
        """
        until, why = self.canary.now_s() + self.asked.timeout, "the daemon does not answer"
        since: float | None = None
        while True:
            with suppress(CliError):
                status = status_of(self.asked.endpoint)
                service = service_of(status, self.plan.service)
                failing = reasons(examined(self._standing(status, service, source, target)))
                now = self.canary.now_s()
                since = None if failing else now if since is None else since
                if since is not None and now - since >= TOLD_S:
                    return
                why = "; ".join(failing) or "it is, since a moment ago"
                if failing:
                    self._tell(f"waits: {why}")
            if self.canary.now_s() >= until:
                raise Aborted(f"{target} was not ready in time: {why}")
            self._rest()
            self._judge_gap()

    def _standing(self, status: Status, service: ServiceView, source: str, target: str) -> Standing:
        """As before the drill, but that the move out lies in the flap window is no reason now."""
        standing = found_standing(status, service, target, home=source)
        return replace(standing, settled=True, canary_trouble=self._answered_by(source, 0.0))

    def _judge_gap(self) -> None:
        """The recovery time so far is within what is promised. Raises Aborted."""
        fresh = self.canary.samples[self._judged :]
        gap = longest(fresh, self._good_s, self.canary.now_s())
        self._judged += len(fresh)
        self._good_s = max((s.ended_s for s in fresh if s.ok), default=self._good_s)
        if gap.took_s > self.plan.rto_s and not self._returning:
            raise Aborted(
                f"no good answer for {gap.took_s:.1f} s, and {self.plan.rto_s:g} s are promised"
            )

    # --- the end ---------------------------------------------------------------------------------

    def _take_back(self, home: str) -> None:
        """The service is at `home` again, or `troubles` says that it is not."""
        self._returning = True
        until = self.canary.now_s() + self.asked.timeout
        why = "no daemon has answered"
        while True:
            with suppress(CliError):
                status = status_of(self.asked.endpoint)
                service = service_of(status, self.plan.service)
                self.holder = service.holder
                request = service.request
                mine = request is not None and request.reason == self.asked.reason
                if request is not None and mine and request.state == "open":
                    self._withdraw(request, "the drill has ended")
                elif service.holder == home and not mine:
                    self.unknown = False
                    self._tell(f"{home} holds {self.plan.service}")
                    return
                elif service.epoch and request is None:
                    try:
                        self._move("back", service.holder, home)
                    except Aborted as error:
                        why = str(error)
                        self._tell(f"cannot go back yet: {error}", bad=True)
            if self.canary.now_s() >= until:
                self.troubles.append(
                    f"{self.plan.service} stays at {self.holder or 'a site that is not known'}: "
                    f"{why}; go back with: tricast switchover --service {self.plan.service} "
                    f"--to {home}"
                )
                return
            time.sleep(AGAIN_S)

    def _after(self, where: str) -> None:
        """A last second of answers, and a last look at the whole service."""
        self._returning = True
        began = self.canary.now_s()
        lacking = "not asked"
        while self.canary.now_s() < began + WARM_S + (self.plan.rto_s if lacking else 0.0):
            time.sleep(POLL_S)
            lacking = self._answered_by(where, since_s=began)
        if lacking:
            self.troubles.append(f"at the end: {lacking}")
        if self.aborted:
            return
        try:
            self._ready(where, self._elsewhere(where))
        except Aborted as error:
            self.troubles.append(f"at the end: {error}")
        else:
            self.holder = where
            self._tell(f"{self.plan.service} is at {where}, and every copy votes")

    def _elsewhere(self, where: str) -> str:
        return self.plan.holder if where == self.plan.target else self.plan.target

    def _rest(self) -> None:
        """A moment; Aborted when somebody wants it to end."""
        time.sleep(POLL_S)
        if self._wanted_to_stop():
            raise Aborted(self.stopped())

    def _wanted_to_stop(self) -> bool:
        return bool(self.stopped()) and not self._returning

    def _tell(self, sentence: str, *, bad: bool = False) -> None:
        if self.events and self.events[-1].sentence == sentence:
            return
        event = DrillEvent(at_s=round(self.canary.now_s(), 3), sentence=sentence, bad=bad)
        self.events.append(event)
        self.say(event)
