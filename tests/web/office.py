"""A daemon where operators ask: the real desk on a store in memory; requests end as it is told."""

from dataclasses import replace
from pathlib import Path

from controller.core.model import ServiceName
from controller.core.requests import Kind, State, closed, moved
from controller.core.view import View
from controller.daemon.asking import build_desk
from controller.daemon.known import Known
from controller.daemon.policy import Policies
from controller.daemon.status import requested
from controller.runtime.orders import Orders
from controller.runtime.records import Records
from controller.runtime.requests import RequestDesk
from controller.web.history_schema import HistoryLoss, HistoryOrder, HistorySite, HistoryStep
from controller.web.schema import HistoryEntry, RequestView, Status, StepView
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.core.views import DC1, DC2, WALLET
from tests.runtime.clock import HandClock
from tests.web.sample import STEADY, Told


class Office(Told):
    """A status source whose requests are those of the desk; each look brings the next `ends`."""

    def __init__(
        self,
        view: View,
        state_dir: Path,
        status: Status = STEADY,
        *,
        policies: Policies | None = None,
        cluster: MemoryCluster | None = None,
    ) -> None:
        super().__init__(status)
        self.view = view
        self.ends: list[tuple[State, str]] = []
        self.verified = True  # what was moved is put on record
        self.woken = 0
        self.clock = clock = HandClock()
        self.store = MemoryStore(cluster or MemoryCluster(), view.me)
        self.records = Records(store=self.store, prefix="/t/", clock=clock, deadline_s=0.05)
        desk = RequestDesk(
            site=view.me,
            store=self.store,
            prefix="/t/",
            clock=clock,
            book=self.records.requests,
            deadline_s=0.05,
        )
        self.orders = Orders(state_dir)
        self.approvals: dict[Kind, int] = {}
        self.views: dict[ServiceName, View | None] = {WALLET: view}
        known = Known(data_sites=(DC1, DC2), views=lambda: self.views)
        rules = policies or Policies(approvals=self.approvals)
        self.desk = build_desk(known, desk, self.records.weights, self.orders, rules, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    async def requests(self, service: str | None) -> tuple[RequestView, ...]:
        await self._advance()
        verdicts = self.desk.verdicts
        stored = requested(self.records, self.views, service, verdicts.telling.of)
        return (*verdicts.told(service), *stored)

    async def _advance(self) -> None:
        seen = self.records.requests.newest(WALLET)
        if seen is None or closed(seen.request) or not self.ends:
            return
        state, why = self.ends.pop(0)
        after = moved(seen.request, state, by="tricast at dc2", why=why, at="now")
        await self.desk.desk.change(seen, after)
        if state is State.DONE and after.kind in (Kind.SWITCHOVER, Kind.FAILOVER) and self.verified:
            change = change_for(after.number, after.kind, after.target)
            self.now = self.now.model_copy(update={"history": (change, *self.now.history)})

    def turn(self, view: View) -> None:
        """The newest view is `view`."""
        self.view = view
        self.views[WALLET] = view

    async def approve_as(self, name: str) -> None:
        """Somebody else approves the newest request."""
        seen = self.records.requests.newest(WALLET)
        assert seen is not None
        changed = replace(seen.request, asked_by=name)
        await self.desk.desk.change(seen, changed)


def change_for(number: int, kind: str, target: str) -> HistoryEntry:
    """What stands on record of a move to `target`, a second after it."""
    return HistoryEntry(
        service="wallet",
        epoch=3,
        previous_holder="dc2",
        holder=target,
        kind="handover",
        reason="patches",
        took_s=1.25,
        outage_s=0.598,
        steps=(
            StepView(name="promised", done=True, took_s=0.016),
            StepView(name="promoted", database="ledger", done=True, took_s=0.225),
            StepView(name="verified", done=True, took_s=1.25),
            StepView(name="intent Promote", done=True, took_s=0.123, began_s=0.082),
        ),
        order=HistoryOrder(request=number, kind=kind),
        losses=(HistoryLoss(database="ledger", acknowledged="none"),),
        sites=(
            HistorySite(
                site="dc2",
                steps=(
                    HistoryStep(ladder="HAND_OVER", name="held", at_s=-0.076),
                    HistoryStep(ladder="REJOIN", name="voting", database="ledger", at_s=3.737),
                ),
            ),
        ),
    )
