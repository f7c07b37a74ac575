"""The daemon's desk: makes an operator's wish a request, in the words of what is known here."""

from collections.abc import Awaitable
from dataclasses import dataclass, replace

from controller.config import Verb
from controller.core import alone, asked, fencing, handover, repair
from controller.core.model import FOREVER_S, DatabaseName, ServiceName, SiteName
from controller.core.requests import (
    OF_A_SITE,
    Kind,
    Request,
    SeenRequest,
    State,
    approved,
    closed,
    described,
    plan_hash,
)
from controller.core.view import View
from controller.daemon import plan
from controller.daemon.found import ORDERED
from controller.daemon.known import Known
from controller.daemon.policy import Policies, loud_reason, with_glass_broken
from controller.daemon.refusals import NO_MAJORITY, REFUSED, WRONG, refusals_told
from controller.daemon.request_view import Telling
from controller.daemon.verdicts import Verdicts
from controller.daemon.voting import voters_view, voting
from controller.daemon.weights import weighed, weighed_now
from controller.ports import Clock
from controller.runtime.requests import RequestBook, RequestDesk
from controller.web.plan_schema import Foreseen
from controller.web.schema import Ask, RequestView, Verdict
from controller.web.source import Asker, NotAsked
from controller.web.voters_schema import ServiceVoters

NOBODY = Asker(name="")


@dataclass(slots=True, kw_only=True)
class DaemonDesk:
    """Implements `web.source.Desk` for a data site."""

    site: SiteName
    clock: Clock
    known: Known  # each loop's newest view
    book: RequestBook
    desk: RequestDesk
    policies: Policies
    verdicts: Verdicts

    @property
    def telling(self) -> Telling:
        """How requests are told."""
        return self.verdicts.telling

    @property
    def weights(self) -> RequestDesk:
        """Where weights are set."""
        return self.verdicts.drawers.weights

    async def ask(self, order: Ask, who: Asker) -> RequestView:
        """The request as it stands now; as it would stand when only a plan is wanted."""
        request = self._request(order, who)
        if order.plan and order.plan != request.plan:
            raise NotAsked(
                REFUSED, f"the plan is {request.plan} by now, not {order.plan}: look again"
            )
        request = self._under_policy(request, order, who)
        if order.dry:
            return self.telling.unseen(request)
        if request.kind is Kind.FORCE_SINGLE:
            return self._seen(await self._serve_alone(request, order))
        if request.kind in OF_A_SITE:
            before = self._orders(request.kind).get(SiteName(request.target))
            return self._seen(await self._at_desk(self.desk.order(request, before)))
        if request.kind is Kind.WEIGHTS:
            return self._seen(await self._at_desk(self.weights.open(weighed_now(request))))
        return self._seen(await self._at_desk(self.desk.open(request)))

    def _under_policy(self, request: Request, order: Ask, who: Asker) -> Request:
        """`request`, which `who` may ask for; or past the policy, and it says so."""
        policy = self.policies.of(Verb(request.kind.value), request.service)
        if not order.break_glass:
            policy.may_propose(who)
            return request
        past = policy.past(who, order.reason)
        loud = replace(request, approvals_needed=0, reason=loud_reason(who, past, order.reason))
        return with_glass_broken(loud, past=past, site=request.asked_at, at=request.at)

    async def plan(self, order: Ask) -> Foreseen:
        """What asking would do now."""
        request, refused = self._drafted(order, NOBODY), ""
        if request.kind is Kind.WEIGHTS:
            raise NotAsked(WRONG, "weights move nothing: see them with tricast weights show")
        try:
            request = self._judged(request, order)
        except NotAsked as error:
            if error.status != REFUSED:
                raise
            refused = str(error)
        if not refused and not all(view.store_ok for view in self.known.all()):
            refused = f"the store's majority does not answer. {NO_MAJORITY}"
        if request.kind is Kind.DRAIN:
            services = tuple(
                plan.drained(view, request, self._heaviest(view)) for view in self.known.all()
            )
        else:
            view, _ = self.known.service(order.service)
            if not request.target:
                request = replace(request, target=self._default_target(request, view))
            services = (plan.moved(view, request, accepted=not refused),)
        policy = self.policies.of(Verb(request.kind.value), request.service)
        return Foreseen(
            kind=request.kind.value,
            target=request.target,
            judge=plan.judge(request),
            accepted=not refused,
            reasons=(refused,) if refused else (),
            plan="" if refused else request.plan,
            approvals_needed=request.approvals_needed,
            approvers=policy.conf.groups,
            break_glass=policy.glass_words,
            statement=request.statement,
            services=services,
        )

    async def voters(self, service: str) -> tuple[ServiceVoters, ...]:
        """Who votes for one service; for each when "" is asked for."""
        views = (self.known.service(service)[0],) if service else self.known.all()
        return tuple(voters_view(view) for view in views)

    async def approve(self, verdict: Verdict, who: Asker) -> RequestView:
        """The request with one more approval."""
        return await self.verdicts.approve(verdict, who)

    async def decline(self, verdict: Verdict, who: Asker) -> RequestView:
        """The request, ended by `who`."""
        return await self.verdicts.decline(verdict, who)

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
            raise NotAsked(
                WRONG, f"there is no request {order.kind!r}; there are {known}"
            ) from None
        request = Request(
            number=1,
            kind=kind,
            target=order.target,
            database=order.database,
            reason=order.reason,
            asked_by=who.name,
            asked_at=who.at(self.site),
            at=self.clock.stamp(),
            not_before_s=order.not_before_s,
            lasts_s=FOREVER_S if order.lasts_s is None else order.lasts_s,
        )
        if kind not in OF_A_SITE:
            view, record = self.known.service(order.service)
            request = replace(
                request,
                service=ServiceName(view.spec.name),
                epoch=record.epoch,
                holder=record.holder,
                revision=record.revision,
            )
        policy = self.policies.of(Verb(kind.value), request.service)
        return replace(request, approvals_needed=policy.conf.approvals, expires_s=policy.expires_s)

    def _judged(self, request: Request, order: Ask) -> Request:
        """`request`, if nothing is known to stand against it. Raises NotAsked."""
        if request.kind is Kind.FENCE:
            self._may_be_fenced(request)
        if request.kind in OF_A_SITE:
            return self._of_a_site(request)
        view, _ = self.known.service(order.service)
        match request.kind:
            case Kind.SWITCHOVER:
                request = self._switchover(request, view)
            case Kind.FAILOVER:
                request = self._failover(request, view, order)
            case Kind.FORCE_SINGLE:
                request = self._force_single(request, view)
            case Kind.WEIGHTS:
                before = self.weights.book.weights(view.spec.name)
                request = weighed(request, order, view, before)
            case Kind.REJOIN | Kind.REINIT:
                request = self._repair(request, view)
            case Kind.DEMOTE | Kind.PROMOTE:
                self._at_most_one(request)
                request = voting(request, view)
            case Kind.PAUSE if not order.reason:
                raise NotAsked(WRONG, "a pause needs a --reason, for whoever finds it")
            case _:
                pass
        return replace(request, plan=plan_hash(request))

    def _orders(self, kind: Kind) -> dict[SiteName, SeenRequest]:
        return self.book.fences() if kind is Kind.FENCE else self.book.drains()

    def _may_be_fenced(self, request: Request) -> None:
        """It is a data site without which every service can be held. Raises NotAsked."""
        site, views = SiteName(request.target), self.known.all()
        if any(site in view.spec.witnesses for view in views):
            raise NotAsked(
                WRONG,
                f"{site} is a witness: it holds no service, so there is nothing to fence; to take "
                f"its vote away stop tricast-witness there (systemctl stop tricast-witness)",
            )
        self.known.data_site(site)
        if not request.reason.strip():
            raise NotAsked(WRONG, "a fence needs a --reason, for whoever finds it")
        before = self.book.fences().get(site)
        if before is not None and not closed(before.request):
            return  # that it is fenced already is what is said
        found = [
            f"{view.spec.name}: {why}" for view in views for why in fencing.refusals(view, site)
        ]
        if found:
            raise NotAsked(
                REFUSED,
                f"{site} is not fenced: {'; '.join(found)}. Mend what is named (tricast explain "
                "shows it), then fence again; there is no --force",
            )

    def _of_a_site(self, request: Request) -> Request:
        self.known.data_site(request.target)
        before = self._orders(request.kind).get(SiteName(request.target))
        if before is not None and not closed(before.request):
            done = ORDERED[request.kind]
            what = f"is {done}" if approved(before.request) else f"is to be {done}"
            said = f"{request.target} {what} already: {described(before.request)}"
            raise NotAsked(REFUSED, said)
        if request.approvals_needed:  # an approval is for the world as it is now
            request = replace(request, holder=self.known.holders())
        return replace(request, plan=plan_hash(request))

    def _switchover(self, request: Request, view: View) -> Request:
        self._at_most_one(request)
        target = SiteName(request.target) if request.target else self._default_target(request, view)
        self.known.data_site(target)
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
        others = [site for site in self.known.data_sites if site != view.record.holder]
        return max(others, key=lambda site: (view.spec.weights.get(site, 0), site))

    def _failover(self, request: Request, view: View, order: Ask) -> Request:
        self._at_most_one(request)
        if not request.target:
            raise NotAsked(WRONG, "a failover needs its target: --to SITE")
        self.known.data_site(request.target)
        opens = order.allow_data_loss and asked.cannot_prove(view)
        behind = asked.asked_behind(view, SiteName(request.target))
        if request.target == request.holder and not (opens or behind):
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

    def _repair(self, request: Request, view: View) -> Request:
        self._at_most_one(request)
        self.known.data_site(request.target)
        names, name = view.spec.databases, request.database
        anew = request.kind is Kind.REINIT
        if not names or (name not in names if name or anew else False):
            said = f"there are {', '.join(names)}" if names else "it has none"
            raise NotAsked(WRONG, f"{request.service} has no database {name!r}; {said}")
        if anew and not request.reason.strip():
            raise NotAsked(WRONG, "a reinit needs a --reason: a copy is thrown away")
        meant = (DatabaseName(name),) if name else names
        if against := repair.refusals(view, request.kind, SiteName(request.target), meant):
            raise NotAsked(REFUSED, f"no {request.kind} at {request.target}: {'; '.join(against)}")
        if not anew:
            return request
        return replace(
            request,
            statement=f"The copy of {name} at {request.target} is thrown away, and made anew from "
            f"{request.holder}'s; until it votes again, the others acknowledge without it.",
        )

    async def _serve_alone(self, request: Request, order: Ask) -> Request:
        if not order.plan:
            raise NotAsked(
                WRONG, "force-single needs the plan that was shown, to be what was agreed"
            )
        here = self.verdicts.drawers.here
        if request.approvals_needed:
            return await self._at_desk(here.propose(request))
        return await here.give(request)

    def _at_most_one(self, request: Request) -> None:
        assert request.service is not None
        newest = self.book.newest(request.service)
        if newest is not None and not closed(newest.request):
            raise NotAsked(
                REFUSED,
                f"another request is open for {request.service}: {described(newest.request)}",
            )

    # --- how it is told ------------------------------------------------------------------------

    async def _at_desk(self, doing: Awaitable[Request]) -> Request:
        with refusals_told():
            return await doing

    def _seen(self, request: Request) -> RequestView:
        fresh = SeenRequest(request=request, revision=0, age_s=0.0, unchanged_s=0.0)
        return self.telling.of(fresh)
