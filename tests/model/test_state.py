"""Two states are one when only names of sites or numbers of writes differ, and not otherwise."""

from tests.model.search import Walk
from tests.model.space import Space
from tests.model.state import (
    NOBODY,
    A,
    B,
    Copy,
    State,
    W,
    bit,
    bits,
    canonical,
    common,
    initial,
    record,
    violation,
    writes_in,
)

SPACE = Space(name="some", epochs=3, writes=2)


def after(*kinds: tuple[str, int]) -> State:
    """The state that these moves lead to."""
    state = initial(3)
    for kind, site in kinds:
        moves = Walk(SPACE).next_moves(state)
        state = next(move.state for move in moves if (move.kind, move.site) == (kind, site))
    return state


def with_holder(site: int) -> State:
    """`site` is primary of epoch 2, nobody follows it."""
    log = record(1) + record(2)
    one = Copy(promised=2, log=log, durable=2, writable=2, asked=bit(site) | bit(W))
    other = Copy(promised=1, log=record(1), durable=1, upstream=site, under=1, flying=(site, 1, 1))
    copies = (one, other) if site == A else (other, one)
    keeper = Copy(promised=2, log=record(1), durable=1, upstream=NOBODY)
    voters = bit(site) | bit(W)
    return State(copies=(*copies, keeper), epoch=2, holder=site, voters=voters, survivor=site)


def test_sites_with_databases_are_interchangeable() -> None:
    assert with_holder(A) != with_holder(B)
    assert canonical(with_holder(A)) == canonical(with_holder(B))


def test_numbers_of_writes_do_not_matter() -> None:
    first = after(("write", A), ("write", A))
    second = first._replace(
        copies=(
            first.copies[A]._replace(log=record(1) + record(1, 2) + record(1, 1)),
            *first.copies[1:],
        )
    )
    assert first != second
    assert canonical(first) == canonical(second)


def test_order_of_the_same_moves_does_not_matter() -> None:
    assert after(("write", A), ("raise", B)) == after(("raise", B), ("write", A))


def test_waiting_is_not_acknowledged() -> None:
    written = after(("write", A))
    assert canonical(written) != canonical(written._replace(acknowledged=bit(1)))
    assert written.copies[A].waiting == bit(1)
    assert not written.acknowledged


def test_another_voter_releases_a_commit() -> None:
    released = after(("write", A), ("take", W))
    assert released.acknowledged == bit(1)
    assert not released.copies[A].waiting


def test_violation_names_the_write_and_the_primary() -> None:
    lost = after(("write", A), ("take", W))
    empty = lost.copies[A]._replace(log=record(1))
    broken = lost._replace(copies=(empty, *lost.copies[1:]))
    assert violation(broken) == "write 1 acknowledged, not at A, primary of epoch 1"
    assert not violation(lost)


def test_logs() -> None:
    log = record(1) + record(1, 1) + record(2) + record(2, 3)
    assert bits(writes_in(log)) == (1, 3)
    assert common(log, record(1) + record(1, 1) + record(3)) == record(1) + record(1, 1)
