"""The daemon's desk: makes an operator's wish a request, in the words of what is known here."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from controller.core import alone, asked, handover
from controller.core.model import FOREVER_S, EpochRecord, ServiceName, SiteName
from controller.core.requests import (
    Approval,
    Kind,
    NotAllowed,
    Request,
    SeenRequest,
    State,
    approvers,
    closed,
    declined,
    described,
    plan_hash,
    waits_for,
    with_approval,
)
from controller.core.view import View
from controller.daemon import plan
from controller.ports import Clock, PortError, TimedOut
from controller.runtime.orders import Order, Orders
from controller.runtime.requests import RequestBook, RequestDesk
from controller.web.plan_schema import Foreseen
from controller.web.schema import Ask, RequestView, Verdict
from controller.web.source import Asker, NotAsked

REFUSED, UNKNOWN, BUSY = 409, 504, 503
NOBODY = Asker(name="")
NO_MAJORITY = (
    "without the store's majority nothing can be asked of the cluster; what serves, serves on. "
    "If no majority will come back: tricast force-single SITE, at the site that is to serve alone"
)


def request_view(seen: SeenRequest) -> RequestView:
    """A request as the API tells it."""
    shown = unseen_view(seen.request)
    waits = "" if closed(seen.request) else waits_for(seen)
    return shown.model_copy(update={"age_s": round(seen.age_s, 3), "waits_for": waits})


def unseen_view(request: Request) -> RequestView:
    """A request that this daemon has not read from the store."""
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
        holder=request.holder,
        plan=request.plan,
        statement=request.statement,
        approvals_needed=request.approvals_needed,
        approved_by=tuple(sorted(approvers(request))),
    )


@dataclass(slots=True, kw_only=True)
class DaemonDesk:
    """Implements `web.source.Desk` for a data site."""

    site: SiteName
    data_sites: tuple[SiteName, ...]
    clock: Clock
    views: Callable[[], Mapping[ServiceName, View | None]]  # each loop's newest
    wake: Callable[[], None]
    book: RequestBook
    desk: RequestDesk
    orders: Orders
    approvals: Mapping[Kind, int]
    expires_s: float

    async def ask(self, order: Ask, who: Asker) -> RequestView:
        """The request as it stands now; as it would stand when only a plan is wanted."""
        request = self._request(order, who)
        if order.plan and order.plan != request.plan:
            raise NotAsked(
                REFUSED, f"the plan is {request.plan} by now, not {order.plan}: look again"
            )
        if order.dry:
            return unseen_view(request)
        if request.kind is Kind.FORCE_SINGLE:
            return unseen_view(await self._serve_alone(request, order))
        if request.kind is Kind.DRAIN:
            return self._seen(await self._at_desk(self._order_drain(request)))
        return self._seen(await self._at_desk(self.desk.open(request)))

    async def plan(self, order: Ask) -> Foreseen:
        """What asking would do now."""
        request, refused = self._drafted(order, NOBODY), ""
        try:
            request = self._judged(request, order)
        except NotAsked as error:
            if error.status != REFUSED:
                raise
            refused = str(error)
        if not refused and not all(view.store_ok for view in self._read()):
            refused = f"the store's majority does not answer. {NO_MAJORITY}"
        if request.kind is Kind.DRAIN:
            services = tuple(
                plan.drained(view, request, self._heaviest(view)) for view in self._read()
            )
        else:
            view, _ = self._known(order.service)
            if not request.target:
                request = replace(request, target=self._default_target(request, view))
            services = (plan.moved(view, request, accepted=not refused),)
        return Foreseen(
            kind=request.kind.value,
            target=request.target,
            judge=plan.judge(request),
            accepted=not refused,
            reasons=(refused,) if refused else (),
            plan="" if refused else request.plan,
            approvals_needed=request.approvals_needed,
            statement=request.statement,
            services=services,
        )

    async def approve(self, verdict: Verdict, who: Asker) -> RequestView:
        """The request with one more approval."""
        seen = self._find(verdict)
        approval = Approval(
            by=who.name,
            site=who.at(self.site),
            at=self.clock.stamp(),
            plan=verdict.plan or seen.request.plan,
        )
        with _refusals_told():
            changed = with_approval(seen.request, approval)
            return self._seen(await self.desk.change(seen, changed))

    async def decline(self, verdict: Verdict, who: Asker) -> RequestView:
        """The request, ended by `who`."""
        seen = self._find(verdict)
        with _refusals_told():
            changed = declined(seen.request, by=who.name, why=verdict.reason, at=self.clock.stamp())
            return self._seen(await self.desk.change(seen, changed))

    # --- what is asked -------------------------------------------------------------------------

    def _request(self, order: Ask, who: Asker) -> Request:
        """The wish in full, judged by what is known here."""
        return self._judged(self._drafted(order, who), order)

    def _drafted(self, order: Ask, who: Asker) -> Request:
        """The wish as a request of the epoch that is known here."""
        try:
            kind = Kind(order.kind)
        except ValueError:
            known = ", ".join(kind.value for kind in Kind)
            raise NotAsked(400, f"there is no request {order.kind!r}; there are {known}") from None
        request = Request(
            number=1,
            kind=kind,
            target=order.target,
            reason=order.reason,
            asked_by=who.name,
            asked_at=who.at(self.site),
            at=self.clock.stamp(),
            not_before_s=order.not_before_s,
            expires_s=self.expires_s,
            lasts_s=FOREVER_S if order.lasts_s is None else order.lasts_s,
            approvals_needed=self.approvals.get(kind, 0),
        )
        if kind is Kind.DRAIN:
            return request
        view, record = self._known(order.service)
        return replace(
            request,
            service=ServiceName(view.spec.name),
            epoch=record.epoch,
            holder=record.holder,
            revision=record.revision,
        )

    def _judged(self, request: Request, order: Ask) -> Request:
        """`request`, if nothing is known to stand against it. Raises NotAsked."""
        if request.kind is Kind.DRAIN:
            return self._drain(request)
        view, _ = self._known(order.service)
        match request.kind:
            case Kind.SWITCHOVER:
                request = self._switchover(request, view)
            case Kind.FAILOVER:
                request = self._failover(request, view, order)
            case Kind.FORCE_SINGLE:
                request = self._force_single(request, view)
            case Kind.PAUSE if not order.reason:
                raise NotAsked(400, "a pause needs a --reason, for whoever finds it")
            case _:
                pass
        return replace(request, plan=plan_hash(request))

    def _drain(self, request: Request) -> Request:
        self._data_site(request.target)
        before = self.book.drains().get(SiteName(request.target))
        if before is not None and not closed(before.request):
            said = f"{request.target} is drained already: {described(before.request)}"
            raise NotAsked(REFUSED, said)
        return replace(request, plan=plan_hash(request))

    def _switchover(self, request: Request, view: View) -> Request:
        self._at_most_one(request)
        target = SiteName(request.target) if request.target else self._default_target(request, view)
        self._data_site(target)
        if target == request.holder:
            raise NotAsked(REFUSED, f"{target} holds {request.service} already")
        reasons = handover.candidate_reasons(view, target) if request.holder == view.me else ()
        if reasons:
            raise NotAsked(REFUSED, f"{target} cannot take over: {'; '.join(reasons)}")
        return replace(request, target=target)

    def _default_target(self, request: Request, view: View) -> SiteName:
        if request.holder == view.me and (best := handover.best_candidate(view)) is not None:
            return best
        return self._heaviest(view)

    def _heaviest(self, view: View) -> SiteName:
        assert view.record is not None
        others = [site for site in self.data_sites if site != view.record.holder]
        return max(others, key=lambda site: (view.spec.weights.get(site, 0), site))

    def _failover(self, request: Request, view: View, order: Ask) -> Request:
        self._at_most_one(request)
        if not request.target:
            raise NotAsked(400, "a failover needs its target: --to SITE")
        self._data_site(request.target)
        if request.target == request.holder and not (
            order.allow_data_loss and asked.cannot_prove(view)
        ):
            raise NotAsked(REFUSED, f"{request.target} holds {request.service} already")
        if request.target != view.me:
            if order.allow_data_loss:
                raise NotAsked(
                    REFUSED,
                    f"what {request.target} would lose is only known there: ask there",
                )
            return request
        if order.allow_data_loss:
            request = replace(
                request,
                allow_data_loss=True,
                excused=alone.absent(view),
                statement=asked.loss_statement(view),
            )
        if not view.store_ok:
            raise NotAsked(REFUSED, f"{NO_MAJORITY}. There: {asked.loss_statement(view)}")
        if reasons := asked.takeover_refusals(view, request):
            raise NotAsked(REFUSED, f"{view.me} cannot take over: {'; '.join(reasons)}")
        return request

    def _force_single(self, request: Request, view: View) -> Request:
        if request.target != view.me:
            raise NotAsked(
                REFUSED,
                f"this is the daemon of {view.me}: ask at {request.target or 'the site itself'}, "
                "nobody else can order it to serve alone",
            )
        if reasons := alone.refusals(view):
            raise NotAsked(REFUSED, f"{view.me} does not serve alone: {'; '.join(reasons)}")
        return replace(
            request,
            state=State.RUNNING,
            statement=alone.statement(view),
            excused=alone.absent(view),
        )

    async def _serve_alone(self, request: Request, order: Ask) -> Request:
        if not order.plan:
            raise NotAsked(400, "force-single needs the plan that was shown, to be what was agreed")
        view, _ = self._known(order.service)
        assumed = alone.assumed_record(view, request)
        await self.orders.give(Order(request=request, assumed=assumed))
        self.wake()
        return request

    async def _order_drain(self, request: Request) -> Request:
        before = self.book.drains().get(SiteName(request.target))
        return await self.desk.order(request, before)

    # --- what is known -------------------------------------------------------------------------

    def _read(self) -> tuple[View, ...]:
        """The views of all services. Raises NotAsked while one has no record yet."""
        return tuple(self._known(name)[0] for name in self.views())

    def _known(self, service: str) -> tuple[View, EpochRecord]:
        known = self.views()
        names = ", ".join(known)
        found = [view for name, view in known.items() if service in ("", name)]
        if not found:
            raise NotAsked(400, f"there is no service {service!r}; there are {names}")
        if len(found) > 1:
            raise NotAsked(400, f"which service? --service one of {names}")
        view = found[0]
        if view is None or view.record is None:
            raise NotAsked(BUSY, "the epoch record has not been read here yet")
        return view, view.record

    def _data_site(self, name: str) -> None:
        if name not in self.data_sites:
            raise NotAsked(400, f"{name!r} is no data site; there are {', '.join(self.data_sites)}")

    def _at_most_one(self, request: Request) -> None:
        assert request.service is not None
        newest = self.book.newest(request.service)
        if newest is not None and not closed(newest.request):
            raise NotAsked(
                REFUSED,
                f"another request is open for {request.service}: {described(newest.request)}",
            )

    def _find(self, verdict: Verdict) -> SeenRequest:
        if verdict.kind == Kind.DRAIN.value or verdict.target:
            seen = self.book.drains().get(SiteName(verdict.target))
            if seen is None or closed(seen.request):
                raise NotAsked(REFUSED, f"{verdict.target} is not drained")
            return seen
        view, _ = self._known(verdict.service)
        service = ServiceName(view.spec.name)
        found = [s for s in self.book.of(service) if verdict.number in (0, s.request.number)]
        if not found:
            raise NotAsked(REFUSED, f"{service} has no request {verdict.number or ''}".rstrip())
        if verdict.kind and (
            closed(found[-1].request) or found[-1].request.kind.value != verdict.kind
        ):
            raise NotAsked(REFUSED, f"{service} has no {verdict.kind} in force")
        return found[-1]

    # --- how it is told ------------------------------------------------------------------------

    async def _at_desk(self, doing: Awaitable[Request]) -> Request:
        with _refusals_told():
            return await doing

    def _seen(self, request: Request) -> RequestView:
        fresh = SeenRequest(request=request, revision=0, age_s=0.0, unchanged_s=0.0)
        return request_view(fresh)


@contextmanager
def _refusals_told() -> Iterator[None]:
    """What was refused, failed, or is not known, as the API tells it."""
    try:
        yield
    except NotAllowed as error:
        raise NotAsked(REFUSED, str(error)) from None
    except TimedOut as error:
        raise NotAsked(
            UNKNOWN, f"{error}: whether it stands is not known; see tricast requests"
        ) from None
    except PortError as error:
        raise NotAsked(BUSY, f"{error}. {NO_MAJORITY}") from None
