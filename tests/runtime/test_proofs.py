"""Our own acknowledged writes prove what was written before them, never what came after."""

from controller.core.model import DatabaseName, Epoch, Instant
from controller.runtime.observe import Proofs

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
