"""Positions: which of two logs is further, as in Raft, and what cannot be compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.position import (
    BadPosition,
    LogFormat,
    Order,
    Position,
    compare,
    holds,
    int_to_lsn,
    lsn_to_int,
    parse_mariadb_gtids,
    parse_mysql_gtids,
)


def lsn(epoch: int, text: str) -> Position:
    return Position(epoch=epoch, format=LogFormat.LSN, text=text)


def maria(epoch: int, text: str) -> Position:
    return Position(epoch=epoch, format=LogFormat.MARIADB_GTID, text=text)


def mysql(epoch: int, text: str) -> Position:
    return Position(epoch=epoch, format=LogFormat.MYSQL_GTID, text=text)


def test_a_later_epoch_is_further_however_short_its_log() -> None:
    assert compare(lsn(3, "0/100"), lsn(2, "0/900")) is Order.AHEAD
    assert compare(maria(2, "0-1-9"), maria(3, "0-2-3")) is Order.BEHIND


def test_lsns_of_one_epoch_compare_as_numbers_not_as_text() -> None:
    assert compare(lsn(2, "0/9"), lsn(2, "0/10")) is Order.BEHIND
    assert compare(lsn(2, "1/0"), lsn(2, "0/FFFFFFFF")) is Order.AHEAD
    assert compare(lsn(2, "0/A"), lsn(2, "0/a")) is Order.EQUAL


def test_mariadb_positions_compare_by_sequence_in_each_domain() -> None:
    assert compare(maria(2, "0-1-10"), maria(2, "0-2-11")) is Order.BEHIND
    assert compare(maria(2, "0-1-10,1-1-5"), maria(2, "0-1-11,1-1-4")) is Order.DIVERGED


def test_mysql_sets_compare_by_inclusion() -> None:
    a, b = "aaaaaaaa-0000-0000-0000-000000000001", "bbbbbbbb-0000-0000-0000-000000000002"
    assert compare(mysql(2, f"{a}:1-10"), mysql(2, f"{a}:1-7")) is Order.AHEAD
    assert compare(mysql(2, f"{a}:1-5:6-10"), mysql(2, f"{a}:1-10")) is Order.EQUAL
    assert compare(mysql(2, f"{a}:1-5"), mysql(2, f"{a}:1-4,{b}:1")) is Order.DIVERGED


def test_positions_of_different_kinds_are_refused() -> None:
    with pytest.raises(BadPosition, match="cannot compare"):
        compare(lsn(1, "0/0"), maria(1, "0-1-1"))


@pytest.mark.parametrize(
    "text", ["", "0", "0-0", "0/", "/0", "0/xyz", "123456789/0", "-1/0", "0/+1", "1_0/0", " 1/0"]
)
def test_what_is_no_lsn_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadPosition, match="not an LSN"):
        lsn_to_int(text)


@pytest.mark.parametrize("text", ["0-1", "a-b-c", "0-1-2-3", "0-1-", "0-1-²", "0-1-" + "9" * 5000])
def test_what_is_no_mariadb_position_is_refused(text: str) -> None:
    with pytest.raises(BadPosition):
        parse_mariadb_gtids(text)


@pytest.mark.parametrize(
    "text",
    [
        "uuid",
        "uuid:",
        "uuid:tag",
        "uuid:1-x",
        "uuid:²",
        "uuid:1-²",
        "uuid:5-3",
        "uuid:0",
        "uuid:1-",
    ],
)
def test_what_is_no_mysql_set_is_refused(text: str) -> None:
    with pytest.raises(BadPosition):
        parse_mysql_gtids(text)


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_lsns_survive_the_round_trip(value: int) -> None:
    assert lsn_to_int(int_to_lsn(value)) == value


@given(
    st.tuples(st.integers(1, 4), st.integers(0, 2**40)),
    st.tuples(st.integers(1, 4), st.integers(0, 2**40)),
)
def test_the_order_is_that_of_pairs_and_antisymmetric(
    x: tuple[int, int], y: tuple[int, int]
) -> None:
    a, b = lsn(x[0], int_to_lsn(x[1])), lsn(y[0], int_to_lsn(y[1]))
    assert (compare(a, b) is Order.AHEAD) == (x > y)
    assert (compare(b, a) is Order.BEHIND) == (x > y)
    assert holds(a, b) == (x >= y)
