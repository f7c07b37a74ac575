"""Our own acknowledged writes prove what was written before them, never what came after."""

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.core.decide import decide
from controller.core.model import DatabaseName, DatabaseState, Epoch, Instant, Role
from controller.ports import Sample
from controller.runtime.loop import Pace, ServiceLoop, proves
from controller.runtime.observe import Proofs
from tests.core.turned import record, serving
from tests.core.views import DC1, DC2, WITNESS, dc2_view, standby_state
from tests.runtime.clock import HandClock

LEDGER = DatabaseName("ledger")


def test_a_write_that_began_before_the_gate_closed_proves_nothing_any_more() -> None:
    proofs = Proofs()
    proofs.committed(LEDGER, Epoch(2), Instant(1.0))
    assert proofs.commits == {LEDGER: (2, 1.0)}
    proofs.gate_closed(LEDGER, Instant(5.0))
    assert proofs.commits == {}
    proofs.committed(LEDGER, Epoch(2), Instant(4.9))  # it waited while the gate was closed
    assert proofs.commits == {}
    proofs.committed(LEDGER, Epoch(2), Instant(5.1))
    assert proofs.commits == {LEDGER: (2, 5.1)}


def primary() -> DatabaseState:
    return replace(standby_state(), writable=True, upstream=None, receiving=False)


@pytest.mark.parametrize("role", [*Role])
def test_nothing_is_written_into_a_log_that_another_site_has_to_hold_whole(role: Role) -> None:
    state, decision = primary(), replace(decide(dc2_view()), role=role)
    leaves = role in (Role.HANDING_OVER, Role.STEPPING_DOWN)
    assert proves(decision, None, state, state.epoch) is not leaves


def test_only_a_primary_of_the_promised_epoch_writes() -> None:
    state = primary()
    assert proves(None, None, state, state.epoch)
    assert not proves(None, None, replace(state, writable=False), state.epoch)
    assert not proves(None, None, state, Epoch(state.epoch + 1))


def test_nothing_is_written_that_could_only_wait_for_a_copy_of_this_log() -> None:
    view = record(serving(), learners=(WITNESS,))
    halted = replace(view.own.databases[0], followers=())
    assert proves(None, view, view.own.databases[0], halted.epoch)
    assert not proves(None, view, halted, halted.epoch)
    assert proves(None, serving(), halted, halted.epoch)


@dataclass
class Loop:
    """As much of a loop as is needed."""

    state: DatabaseState
    decision: Any = None
    last_view: Any = None
    proofs: Proofs = field(default_factory=Proofs)
    unproven: dict[DatabaseName, asyncio.Event] = field(
        default_factory=lambda: {LEDGER: asyncio.Event()}
    )

    @property
    def observer(self) -> Any:
        looks = SimpleNamespace(databases={LEDGER: SimpleNamespace(value=self.state)})
        return SimpleNamespace(proofs=self.proofs, looks=looks)

    def asks(self) -> bool:
        """Whether a write is asked for now, without waiting for the next beat."""
        self.unproven[LEDGER].clear()
        ServiceLoop._ask_for_proof(cast("ServiceLoop", self), self.state.epoch)
        return self.unproven[LEDGER].is_set()


async def test_a_primary_is_asked_for_a_proof_at_once_until_there_is_one() -> None:
    loop = Loop(primary())
    assert loop.asks()
    loop.proofs.committed(LEDGER, Epoch(loop.state.epoch - 1), Instant(1.0))
    assert loop.asks(), "a proof of an older epoch is none"
    loop.proofs.committed(LEDGER, loop.state.epoch, Instant(2.0))
    assert not loop.asks()
    loop.proofs.gate_closed(LEDGER, Instant(3.0))
    assert loop.asks(), "what was proven before the gate closed is void"


async def test_a_standby_is_asked_for_no_proof() -> None:
    assert not Loop(standby_state()).asks()


class Canary:
    """Answers at once, and counts."""

    def __init__(self) -> None:
        self.asked = asyncio.Queue[float]()

    async def sample(self) -> Sample:
        self.asked.put_nowait(asyncio.get_running_loop().time())
        return Sample(ok=True, detail="200", took_s=0.001)


async def test_the_service_address_is_asked_as_soon_as_clients_are_to_come() -> None:
    here, there = decide(serving()), decide(dc2_view())
    assert (here.traffic, there.traffic) == (DC2, DC1)
    loop, canary = ServiceLoop.__new__(ServiceLoop), Canary()
    loop.unanswered = asyncio.Event()
    loop.wake = asyncio.Event()
    loop.clock = cast("Any", HandClock())
    loop.pace = Pace(rest_s=1.0, service_proof_s=60.0)
    loop.hands = cast("Any", SimpleNamespace(me=DC2, service="wallet", promises=Promised()))
    loop.observer = cast("Any", SimpleNamespace(proofs=Proofs()))
    loop.progress = cast("Any", SimpleNamespace(turned=lambda *_: None))
    loop.decision, loop.moved_at = None, Instant(-60.0)  # nothing has moved for long
    loop._note(dc2_view(), there)
    loop.moved_at = Instant(-60.0)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        proving = tasks.create_task(loop._prove_service(cast("Any", canary)))
        await asyncio.sleep(0.05)
        assert canary.asked.empty(), "a standby asks nobody"
        loop._note(serving(), here)
        loop.moved_at = Instant(-60.0)
        await canary.asked.get()
        await asyncio.sleep(0.05)
        loop._note(serving(), here)
        await asyncio.sleep(0.05)
        assert canary.asked.empty(), "once; then it is asked as seldom as ever"
        proving.cancel()
    assert loop.observer.proofs.canary is not None


class Promised:
    """Promises of epoch 2."""

    def of(self, service: str) -> Epoch:
        return Epoch(2)
