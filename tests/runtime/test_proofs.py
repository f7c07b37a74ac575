"""Our own acknowledged writes prove what was written before them, never what came after."""

from dataclasses import replace

import pytest

from controller.core.decide import decide
from controller.core.model import DatabaseName, DatabaseState, Epoch, Instant, Role
from controller.runtime.loop import proves
from controller.runtime.observe import Proofs
from tests.core.views import dc2_view, standby_state

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
    assert proves(decision, state, state.epoch) is not leaves


def test_only_a_primary_of_the_promised_epoch_writes() -> None:
    state = primary()
    assert proves(None, state, state.epoch)
    assert not proves(None, replace(state, writable=False), state.epoch)
    assert not proves(None, state, Epoch(state.epoch + 1))
