"""Our own acknowledged writes prove what was written before them, never what came after."""

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.core.decide import decide
from controller.core.model import DatabaseName, DatabaseState, Epoch, Instant, Role
from controller.runtime.loop import ServiceLoop, proves
from controller.runtime.observe import Proofs
from tests.core.turned import record, serving
from tests.core.views import WITNESS, dc2_view, standby_state

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
