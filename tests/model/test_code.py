"""It is the project's own code that the model checks: break it, and the design loses a write."""

from collections.abc import Iterator

import pytest

from controller.core import quorum
from controller.core.model import Epoch, SiteName, VoterState
from controller.core.position import Order, Position, compare, lsn_to_int
from tests.model import histories, proof
from tests.model.search import explore
from tests.model.space import Family, Space
from tests.model.state import violation

TAKEOVERS = Space(name="small", epochs=2, writes=1)
LONGER = Space(name="longer", epochs=3, writes=3)
CRASHES = Space(name="crashes", epochs=2, writes=1, families=frozenset({Family.RESTART}))


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """No answer of the broken code is kept, and none of the whole code is taken for it."""
    for answers in (proof.proved, proof.order_of_ends):
        answers.cache_clear()
    yield
    for answers in (proof.proved, proof.order_of_ends):
        answers.cache_clear()


def test_a_majority_that_is_none_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorum, "majority", lambda voters: voters // 2)
    assert "acknowledged" in explore(TAKEOVERS).loss


def test_a_promise_taken_for_a_seal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def promised(voter: VoterState, epoch: Epoch, holder: SiteName) -> bool:
        return voter.promised == epoch

    monkeypatch.setattr(quorum, "is_sealed", promised)
    assert "acknowledged" in explore(TAKEOVERS).loss


def test_an_empty_keeper_taken_for_a_proof_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorum, "holds_nothing", lambda voter: False)
    assert "acknowledged" in explore(CRASHES).loss


def test_the_nearest_taken_for_the_furthest_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    turned = {Order.AHEAD: Order.BEHIND, Order.BEHIND: Order.AHEAD}

    def backwards(first: Position, second: Position) -> Order:
        order = compare(first, second)
        return turned.get(order, order)

    monkeypatch.setattr(quorum, "compare", backwards)
    assert "acknowledged" in explore(TAKEOVERS).loss


def test_positions_compared_without_epochs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_length(first: Position, second: Position) -> Order:
        one, other = lsn_to_int(first.text), lsn_to_int(second.text)
        return Order.EQUAL if one == other else Order.AHEAD if one > other else Order.BEHIND

    monkeypatch.setattr(quorum, "compare", by_length)
    monkeypatch.setattr(proof, "compare", by_length)
    lines = histories.recorded()["length-only"]
    state, made = histories.replayed(LONGER, lines)
    assert made == len(lines)
    assert "acknowledged" in violation(state)
