"""What operators do: pause, and ask."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from controller.core import alone, asked, fencing, repair, voters
from controller.core.model import DatabaseName, ServiceName, SiteName
from controller.core.requests import (
    Approval,
    Kind,
    NotAllowed,
    Request,
    State,
    closed,
    declined,
    numbered,
    plan_hash,
    with_approval,
)
from controller.core.requests import SeenRequest as Seen
from controller.core.view import View
from controller.core.wire import WEIGHTS
from controller.runtime.orders import Order
from controller.runtime.requests import WEIGHTS_FROM
from tests.sim import truth
from tests.sim.daemon import ServiceLoop
from tests.sim.linking import Linking

OPERATOR, COLLEAGUE = "ada", "grace"


class Asking(Linking):
    """The part of the world that is people."""

    def site(self, name: str) -> SiteName:
        """The site called so."""
        return SiteName(name)

    def service(self, name: str) -> ServiceName:
        """The service called so."""
        return ServiceName(name)

    def database(self, name: str) -> DatabaseName:
        """The database called so."""
        return DatabaseName(name)

    def daemon_dies(self, site: SiteName) -> None:
        """What it had begun ends without it."""
        controller = self.controllers.get(site)
        if controller is None:
            return
        for loop in controller.loops.values():
            loop.dies()

    def tell_restored(self) -> None:
        """The store holds what it held; a pause that it does not hold any more is over."""
        for name in self.specs:
            newest = self._newest(name)
            if newest is None or newest.request.kind is not Kind.PAUSE or closed(newest.request):
                self.tell(truth.PauseCleared(self.now, name))
            record = self.record_of(name)
            if record is not None:
                self.tell(
                    truth.EpochChanged(
                        self.now,
                        name,
                        record.epoch,
                        record.holder,
                        record.kind,
                        SiteName("restored"),
                        0,
                        record.reason,
                    )
                )

    # --- pause -------------------------------------------------------------------------------

    def pause(self, service: str) -> None:
        """An operator freezes the automation of a service, if the store can be reached."""
        self.request("pause", service, "")

    def resume(self, service: str) -> None:
        """It goes on."""
        self.withdraw(service)

    # --- requests ----------------------------------------------------------------------------

    def repair(self, kind: str, site: str, database: str) -> None:
        """A site is to try again now with a copy, or to make it anew, if nothing stands against
        it as far as the daemon knows that is asked.
        """
        at = self._reachable_site()
        for loop, view in self._askable(at or ""):
            name, what = self.database(database), Kind(kind)
            if name not in loop.spec.databases or view.record is None:
                continue
            against = repair.refusals(view, what, self.site(site), (name,))
            self.objection = "; ".join(against)
            if against:
                continue
            made = replace(self._request(what, loop, view, site), database=database)
            with suppress(NotAllowed):
                self._put_request(_planned(numbered(made, self._newest(loop.spec.name))))

    def vote(self, kind: str, site: str, service: str = "") -> None:
        """A site is to vote no more, or again, for this or every service, if nothing stands
        against it as far as the daemon knows that is asked.
        """
        at, what = self._reachable_site(), Kind(kind)
        for loop, view in self._askable(at or ""):
            if view.record is None or not loop.spec.databases:
                continue
            if service and loop.spec.name != self.service(service):
                continue
            against = voters.refusals(view, what, self.site(site))
            self.objection = "; ".join(against)
            if not against:
                made = self._request(what, loop, view, site)
                with suppress(NotAllowed):
                    self._put_request(_planned(numbered(made, self._newest(loop.spec.name))))

    def request(self, kind: str, service: str, target: str = "", approvals: int = 0) -> None:
        """An operator asks; refused while another request is open, or while no daemon answers."""
        name = self.service(service)
        record, newest = self.record_of(name), self._newest(name)
        asked_at = self._reachable_site()
        if record is None or asked_at is None:
            return
        what = Kind(kind)
        draft = Request(
            number=0,
            kind=what,
            asked_by=OPERATOR,
            asked_at=asked_at,
            at="",
            service=name,
            target=target,
            reason="asked in a simulation",
            epoch=record.epoch,
            holder=record.holder,
            revision=record.revision,
            approvals_needed=max(approvals, self.approvals.get(what, 0)),
        )
        try:
            made = numbered(draft, newest)
        except NotAllowed:
            return
        made = _planned(made)
        self._put_request(made)
        if what is Kind.PAUSE:
            self.tell(truth.PauseSet(self.now, name, made.reason))

    def approve(self, service: str, by: str = COLLEAGUE, plan: str = "") -> None:
        """Somebody, as a rule somebody else, approves the newest request as it is, or a plan."""

        def change(request: Request) -> Request:
            agreed = Approval(by=by, site="", at="", plan=plan or request.plan)
            return with_approval(request, agreed)

        self._change_newest(service, change)

    def withdraw(self, service: str) -> None:
        """Who asked takes the open request back, or ends a standing one."""
        self.decline(service, OPERATOR)

    def decline(self, service: str, by: str = COLLEAGUE) -> None:
        """Somebody else ends the open request, or a standing one."""
        changed = self._change_newest(service, lambda found: declined(found, by=by, why="", at=""))
        if changed is None:
            return
        self.request_moved(changed)
        if changed.kind is Kind.PAUSE:
            self.tell(truth.PauseCleared(self.now, self.service(service)))

    def _change_newest(self, service: str, change: Callable[[Request], Request]) -> Request | None:
        """The newest request as it is now; None when it could not be changed."""
        name = self.service(service)
        found = self._newest(name)
        if found is None or self._reachable_site() is None:
            self.objection = "nobody can be asked"
            return None
        try:
            changed = change(found.request)
        except NotAllowed as error:
            self.objection = str(error)
            return None
        self.objection = ""
        self.store.swap(f"requests/{name}/{changed.number}", lambda _: changed, found.revision)
        return changed

    def drain(self, site: str) -> None:
        """A site gives up its roles and its routes."""
        key, asked_at = f"requests/sites/{site}", self._reachable_site()
        found = self.store.contents.get(key)
        if asked_at is None or (
            found is not None and isinstance(found.value, Request) and not closed(found.value)
        ):
            return
        order = Request(
            number=1, kind=Kind.DRAIN, asked_by=OPERATOR, asked_at=asked_at, at="", target=site,
            reason="asked in a simulation",
        )  # fmt: skip
        self.store.put(key, lambda _: order)

    def undrain(self, site: str) -> None:
        """It may have roles again."""
        key = f"requests/sites/{site}"
        found = self.store.contents.get(key)
        if self._reachable_site() is not None and found is not None:
            assert isinstance(found.value, Request)
            if not closed(found.value):
                ended = declined(found.value, by=OPERATOR, why="", at="")
                self.store.put(key, lambda _: ended)

    def fence(self, site: str) -> None:
        """A site is kept out, unless a daemon that is asked finds something against it."""
        key, asked_at = f"fences/{site}", self._reachable_site()
        found = self.store.contents.get(key)
        before = None if found is None else found.value
        assert before is None or isinstance(before, Request)
        if asked_at is None or (before is not None and not closed(before)):
            return
        views = [view for _, view in self._askable(asked_at)]
        against = [why for view in views for why in fencing.refusals(view, self.site(site))]
        self.objection = "; ".join(against)
        if against or not views:
            return
        order = Request(
            number=1 if before is None else before.number + 1, kind=Kind.FENCE, asked_by=OPERATOR,
            asked_at=asked_at, at="", target=site, reason="asked in a simulation",
        )  # fmt: skip
        self.store.put(key, lambda _: order)
        self.tell(truth.SiteFenced(self.now, self.site(site), stands=True))

    def unfence(self, site: str) -> None:
        """It may come back."""
        key = f"fences/{site}"
        found = self.store.contents.get(key)
        if self._reachable_site() is not None and found is not None:
            assert isinstance(found.value, Request)
            if not closed(found.value):
                ended = declined(found.value, by=OPERATOR, why="", at="")
                self.store.put(key, lambda _: ended)
                self.tell(truth.SiteFenced(self.now, self.site(site), stands=False))

    def weigh(self, service: str, **weights: int) -> None:
        """An operator sets which of several sites goes first; none given: as configured."""
        name, asked_at = self.service(service), self._reachable_site()
        prefix = f"{WEIGHTS}requests/{name}/"
        if asked_at is None:
            return
        number = WEIGHTS_FROM + sum(key.startswith(prefix) for key in self.store.contents)
        order = Request(
            number=number, kind=Kind.WEIGHTS, service=name, asked_by=OPERATOR, asked_at=asked_at,
            at="", reason="asked in a simulation", state=State.DONE,
            weights={self.site(site): weight for site, weight in weights.items()},
        )  # fmt: skip
        self.store.put(f"{prefix}{number}", lambda _: order)

    def force_single(self, site: str) -> None:
        """The last survivor is ordered to serve alone, where nothing less would do."""
        for loop, view in self._askable(site):
            if not loop.spec.databases or alone.refusals(view):
                continue
            request = replace(
                self._request(Kind.FORCE_SINGLE, loop, view, site),
                state=State.RUNNING,
                statement=alone.statement(view),
                excused=alone.absent(view),
            )
            order = Order(request=request, assumed=alone.assumed_record(view, request))
            self.broke("force_single", site)
            self.orders[loop.site, loop.spec.name] = order
            loop.poke(0.0)

    def force_failover(self, site: str) -> None:
        """`failover --allow-data-loss`, asked at the site that is to take over."""
        for loop, view in self._askable(site):
            newest = loop.knowledge.book.newest(loop.spec.name)
            request = replace(
                self._request(Kind.FAILOVER, loop, view, site),
                allow_data_loss=True,
                excused=alone.absent(view),
                statement=asked.loss_statement(view),
            )
            if not view.store_ok or asked.takeover_refusals(view, request):
                continue
            try:
                made = _planned(numbered(request, newest))
            except NotAllowed:
                continue
            self.broke("force_failover", site)
            self._put_request(made)

    def _askable(self, site: str) -> list[tuple[ServiceLoop, View]]:
        controller = self.controllers.get(self.site(site))
        if controller is None or not controller.process.works:
            return []
        return [
            (loop, loop.last_view)
            for loop in controller.loops.values()
            if loop.last_view is not None and loop.last_view.record is not None
        ]

    def _request(self, kind: Kind, loop: ServiceLoop, view: View, target: str) -> Request:
        assert view.record is not None
        return Request(
            number=1,
            kind=kind,
            asked_by=OPERATOR,
            asked_at=loop.site,
            at="",
            service=loop.spec.name,
            target=target,
            reason="asked in a simulation",
            epoch=view.record.epoch,
            holder=view.record.holder,
            revision=view.record.revision,
        )

    def _put_request(self, made: Request) -> None:
        assert made.service is not None
        key = f"requests/{made.service}/{made.number}"
        if self.store.swap(key, lambda _: made, 0) is not None:
            kind, number = made.kind.value, str(made.number)
            self.tell(truth.RequestMade(self.now, made.service, number, kind, made.target))

    def broke(self, name: str, *args: object) -> None:
        """A fault has begun."""
        self.tell(truth.FaultBegan(self.now, name, tuple(str(arg) for arg in args)))

    def mended(self, name: str, *args: object) -> None:
        """A fault is over."""
        self.tell(truth.FaultEnded(self.now, name, tuple(str(arg) for arg in args)))

    def _reachable_site(self) -> SiteName | None:
        """A data site whose daemon answers and reaches the store."""
        for site in self.data_sites:
            if self.node(site).works and self.store.ready(site):
                return site
        return None

    def _newest(self, service: ServiceName) -> Seen | None:
        prefix = f"requests/{service}/"
        found = [
            (stored.value.number, stored)
            for key, stored in self.store.contents.items()
            if key.startswith(prefix) and isinstance(stored.value, Request)
        ]
        if not found:
            return None
        _, stored = max(found, key=lambda pair: pair[0])
        assert isinstance(stored.value, Request)
        return Seen(request=stored.value, revision=stored.revision, age_s=0.0, unchanged_s=0.0)


def _planned(request: Request) -> Request:
    return replace(request, plan=plan_hash(request))
