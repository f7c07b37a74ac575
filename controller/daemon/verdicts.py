"""What is said about a request that was made before: approved, declined, ended; and what lapses.

A request is good for the world it was made in: an approval that comes when another epoch stands, or
when something else would be lost, makes it lapse, and the reason says what has changed.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from controller.core import alone, asked
from controller.core.model import ServiceName
from controller.core.requests import (
    STANDING,
    Approval,
    Kind,
    NotAllowed,
    Request,
    State,
    approved,
    approvers,
    closed,
    declined,
    described,
    expired,
    moved,
    with_approval,
)
from controller.core.wire import BadRecord
from controller.daemon.endings import again
from controller.daemon.found import Drawers, Found
from controller.daemon.policy import Policies, loud_reason, with_glass_broken
from controller.daemon.refusals import REFUSED, refusals_told
from controller.daemon.request_view import ENDS, Telling, glass_warnings
from controller.ports import Clock, PortError
from controller.web.schema import RequestView, Verdict
from controller.web.source import Asker, NotAsked

KEEP_S: Final = 1.0
ENDED: Final = "what it was to end has ended meanwhile"
WEIGHED: Final = "these weights are in force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """The half of the desk where others come to."""

    site: str
    clock: Clock
    policies: Policies
    drawers: Drawers

    @property
    def telling(self) -> Telling:
        """How requests are told."""
        return Telling(policies=self.policies)

    async def approve(self, verdict: Verdict, who: Asker) -> RequestView:
        """The request with one more approval; the last one carries it out."""
        await self._look()
        found = self.drawers.find(verdict)
        await self._still_good(found)
        request = found.request
        if who.name != request.asked_by:
            self.policies.of(found.verb, request.service).may_approve(who)
        approval = Approval(
            by=who.name,
            site=who.at(self.site),
            at=self.clock.stamp(),
            plan=verdict.plan or request.plan,
        )
        if who.name in approvers(request) and approval.plan == request.plan:
            raise NotAsked(
                REFUSED,
                f"{who.name} has approved request {request.number} already, and counts once: it "
                f"waits for {self._told(found).waits_for or 'nothing more'}",
            )
        with refusals_told():
            found = await self._become(found, with_approval(request, approval))
            if approved(found.request):
                found = await self._carried_out(found)
        return self._told(found)

    async def decline(self, verdict: Verdict, who: Asker) -> RequestView:
        """The request, ended by `who`; of a standing order under a policy the wish that it ends."""
        await self._look()
        found = self.drawers.find(verdict)
        order = found.request
        standing = found.drawer is self.drawers.desk and order.kind in STANDING
        if standing and not closed(order) and approved(order):
            return await self._end(found, verdict, who)
        if verdict.break_glass:
            raise NotAsked(REFUSED, "it is not in force: decline it without --break-glass")
        with refusals_told():
            ended = declined(order, by=who.name, why=verdict.reason, at=self.clock.stamp())
            return self._told(await self._become(found, ended))

    def told(self, service: str | None) -> tuple[RequestView, ...]:
        """What stands beside the store's requests; of every service, and of drains, when None."""
        drawers = self.drawers
        found = (
            *(self.telling.of(seen) for seen in drawers.here.seen()),
            *(self.telling.of_end(seen) for seen in drawers.endings.all()),
        )
        return tuple(view for view in found if service in (None, view.service))

    def loud(self, service: ServiceName) -> tuple[str, ...]:
        """What was carried out past a policy, of `service` and of whole sites."""
        here = (s for s in self.drawers.here.seen() if s.request.service == service)
        book = self.drawers.desk.book
        found = glass_warnings((*here, *book.of(service), *book.orders()))
        return (*found, *glass_warnings(self.drawers.weights.book.of(service)))

    # --- how a standing order ends -------------------------------------------------------------

    async def _end(self, found: Found, verdict: Verdict, who: Asker) -> RequestView:
        order, verb = found.request, ENDS[found.request.kind]
        policy = self.policies.of(verb, order.service)
        site, at = who.at(self.site), self.clock.stamp()
        if verdict.break_glass:
            past = policy.past(who, verdict.reason)
            marked = with_glass_broken(order, past=past, site=site, at=at)
            why = loud_reason(who, past, verdict.reason)
            return self._told(await self._over(found, marked, by=who.name, why=why))
        policy.may_propose(who)
        if not policy.conf.approvals:
            return self._told(await self._over(found, order, by=who.name, why=verdict.reason))
        before = self.drawers.endings.of(order)
        if before is not None and not closed(before.request):
            where = "" if order.service else f" --site {order.target}"
            raise NotAsked(
                REFUSED,
                f"{verb} waits for approvals already: asked by {before.request.asked_by} at "
                f"{before.request.asked_at}; tricast approve {order.number}{where}",
            )
        drafted = Request(
            number=order.number,
            kind=order.kind,
            asked_by=who.name,
            asked_at=site,
            at=at,
            reason=verdict.reason,
            approvals_needed=policy.conf.approvals,
            expires_s=policy.expires_s,
        )
        with refusals_told():
            wish = await self.drawers.endings.put(self.drawers.endings.wish(order, drafted))
        return self._told(self._again(replace(found, drawer=self.drawers.endings), wish))

    async def _over(self, found: Found, order: Request, *, by: str, why: str) -> Found:
        """The standing order is over."""
        with refusals_told():
            ended = declined(order, by=by, why=why, at=self.clock.stamp())
            return await self._become(found, ended)

    # --- what the last approval carries out ----------------------------------------------------

    async def _carried_out(self, found: Found) -> Found:
        """What no rule does by itself is done: an order ends, or this site serves alone."""
        request, drawers = found.request, self.drawers
        if found.drawer is drawers.here:
            return await self._become(found, await drawers.here.give(request))
        if found.drawer is drawers.weights:
            return await self._moved(found, State.DONE, WEIGHED)
        if found.drawer is not drawers.endings:
            return found
        order = drawers.endings.order_of(request)
        if order is None:
            return await self._moved(found, State.LAPSED, ENDED)
        names = ", ".join(sorted(approvers(request)))
        why = f"{request.reason or 'ended'} (approved by {names})"
        await self._over(drawers.stored(order), order.request, by=request.asked_by, why=why)
        return await self._moved(found, State.DONE, f"the {request.kind} is over")

    async def _still_good(self, found: Found) -> None:
        """Raises NotAsked where an approval cannot count any more; what is void lapses."""
        request = found.request
        if closed(request):
            raise NotAsked(
                REFUSED,
                f"request {request.number} is closed: {described(request)}; "
                f"{request.state_why or 'no reason given'}; ask again if it is still wanted",
            )
        if found.pending and (why := self._void(found, strict=True)):
            with suppress(NotAllowed, PortError):
                await self._moved(found, State.LAPSED, why)
            raise NotAsked(
                REFUSED,
                f"request {request.number} has lapsed: {why}; ask again if it is still wanted",
            )

    def _void(self, found: Found, *, strict: bool) -> str:
        """Why no approval counts any more; "" while one does. Raises NotAsked where this site
        cannot tell.
        """
        request, drawers = found.request, self.drawers
        if expired(found.seen):
            return f"it waited {request.expires_s:.0f} s for {self._told(found).waits_for}"
        if found.drawer is drawers.here:
            return drawers.here.changed(request)
        if why := drawers.known.changed(request):
            return why
        if found.drawer is drawers.endings and drawers.endings.order_of(request) is None:
            return ENDED
        return self._other_loss(request) if strict and request.allow_data_loss else ""

    def _other_loss(self, request: Request) -> str:
        view, _ = self.drawers.known.service(request.service or "")
        if request.target != view.me:
            raise NotAsked(
                REFUSED, f"what {request.target} would lose is only known there: approve it there"
            )
        now = asked.loss_statement(view)
        if (now, alone.absent(view)) == (request.statement, request.excused):
            return ""
        return f"what may be lost is another thing now: {now}"

    # --- what lapses by itself -----------------------------------------------------------------

    async def keep_forever(self) -> None:
        """What is void lapses; what was approved is carried out, also after a daemon died."""
        while True:
            await self.keep()
            await asyncio.sleep(KEEP_S)

    async def keep(self) -> None:
        """Once. What cannot be done now is tried again; who comes second finds it done."""
        await self._look()
        drawers = self.drawers
        wishes = [drawers.kept(seen) for seen in drawers.here.seen()]
        wishes += [drawers.ending(seen) for seen in drawers.endings.all()]
        weighed = (drawers.weights.book.newest(name) for name in drawers.known.views())
        wishes += [drawers.weighing(seen) for seen in weighed if seen is not None]
        for found in (*self._unruled(), *wishes):
            with suppress(NotAllowed, NotAsked, PortError, BadRecord, OSError):
                if found.pending and (why := self._void(found, strict=False)):
                    await self._moved(found, State.LAPSED, why)
                elif found.request.state is State.OPEN and not found.pending:
                    await self._carried_out(found)

    def _unruled(self) -> list[Found]:
        """Those of which no rule says that they lapse when the world changes."""
        drawers = self.drawers
        newest = (drawers.desk.book.newest(name) for name in drawers.known.views())
        pauses = (seen for seen in newest if seen and seen.request.kind is Kind.PAUSE)
        return [drawers.stored(seen) for seen in (*pauses, *drawers.desk.book.orders())]

    async def _look(self) -> None:
        """The wishes are known as they stand, where a policy can have made any."""
        if any(self.policies.asks_for(verb) for verb in ENDS.values()):
            await self.drawers.endings.read()

    # --- changes -------------------------------------------------------------------------------

    async def _moved(self, found: Found, state: State, why: str) -> Found:
        by = f"tricast at {self.site}"
        after = moved(found.request, state, by=by, why=why, at=self.clock.stamp())
        return await self._become(found, after)

    async def _become(self, found: Found, after: Request) -> Found:
        """`after` stands in its place. Raises NotAllowed, NotAsked, PortError."""
        return self._again(found, await found.drawer.change(found.seen, after))

    def _again(self, found: Found, request: Request) -> Found:
        """`request`, as it was just written."""
        seen = again(found.drawer.book, request) or replace(found.seen, request=request)
        return replace(found, seen=seen)

    def _told(self, found: Found) -> RequestView:
        ending = found.drawer is self.drawers.endings
        return self.telling.of_end(found.seen) if ending else self.telling.of(found.seen)
