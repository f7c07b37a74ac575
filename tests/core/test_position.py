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
    mariadb_gtids,
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
        "uuid:x-5",
        "uuid:+1-5",
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


# --- laws ----------------------------------------------------------------------------------------

epochs = st.integers(1, 3)
lsns = st.builds(lsn, epochs, st.integers(0, 6).map(int_to_lsn))
maria_sets = st.dictionaries(st.integers(0, 2), st.integers(1, 4)).map(
    lambda found: ",".join(f"{domain}-1-{number}" for domain, number in found.items())
)
intervals = st.lists(
    st.tuples(st.integers(1, 9), st.integers(0, 4)).map(lambda pair: f"{pair[0]}-{sum(pair)}"),
    min_size=1,
    max_size=3,
).map(":".join)
mysql_sets = st.dictionaries(st.sampled_from(["a", "b", "b:tag"]), intervals).map(
    lambda found: ",".join(f"{source}:{text}" for source, text in found.items())
)
marias = st.builds(maria, epochs, maria_sets)
mysqls = st.builds(mysql, epochs, mysql_sets)
OPPOSITE = {
    Order.AHEAD: Order.BEHIND,
    Order.BEHIND: Order.AHEAD,
    Order.EQUAL: Order.EQUAL,
    Order.DIVERGED: Order.DIVERGED,
}


@pytest.mark.parametrize("kind", [lsns, marias, mysqls], ids=["lsn", "maria", "mysql"])
@given(data=st.data())
def test_positions_are_in_a_partial_order(
    kind: st.SearchStrategy[Position], data: st.DataObject
) -> None:
    a, b, c = data.draw(kind), data.draw(kind), data.draw(kind)
    assert compare(a, a) is Order.EQUAL
    assert compare(b, a) is OPPOSITE[compare(a, b)]
    if holds(a, b) and holds(b, c):
        assert holds(a, c)
    if a.epoch != b.epoch:
        assert compare(a, b) is (Order.AHEAD if a.epoch > b.epoch else Order.BEHIND)
    assert holds(a, b) == (compare(a, b) in (Order.AHEAD, Order.EQUAL))


def members(text: str) -> set[tuple[str, int]]:
    """Every single transaction of a MySQL set, spelled out."""
    found = set()
    for part in filter(None, text.split(",")):
        source, *pieces = part.split(":")
        if pieces[0] == "tag":
            source, pieces = f"{source}:tag", pieces[1:]
        for piece in pieces:
            low, _, high = piece.partition("-")
            found |= {(source, number) for number in range(int(low), int(high) + 1)}
    return found


@given(mysql_sets, mysql_sets)
def test_mysql_sets_compare_as_the_sets_they_are(first: str, second: str) -> None:
    x, y = members(first), members(second)
    expected = {
        (True, True): Order.EQUAL,
        (True, False): Order.AHEAD,
        (False, True): Order.BEHIND,
        (False, False): Order.DIVERGED,
    }[(x >= y, y >= x)]
    assert compare(mysql(1, first), mysql(1, second)) is expected


@given(st.dictionaries(st.integers(0, 3), st.integers(1, 9)), st.integers(1, 9))
def test_mariadb_positions_read_as_domains_whoever_wrote_last(
    found: dict[int, int], server: int
) -> None:
    text = ", ".join(f"{domain}-{server}-{number}" for domain, number in found.items())
    assert parse_mariadb_gtids(text) == found


def test_the_furthest_of_one_domain_counts() -> None:
    assert parse_mariadb_gtids("0-1-9,0-2-3") == {0: 9}
    assert parse_mariadb_gtids("") == {}
    assert parse_mysql_gtids("") == {}


def test_mysql_sets_are_merged_and_tags_are_sources_of_their_own() -> None:
    assert parse_mysql_gtids("A:1-3:4:6-7:tag:1-2:5,\nb:9") == {
        "a": ((1, 4), (6, 7)),
        "a:tag": ((1, 2), (5, 5)),
        "b": ((9, 9),),
    }
    assert parse_mysql_gtids("a:5-9:1-6:2-3") == {"a": ((1, 9),)}
    assert parse_mysql_gtids(f"a:{2**64}") == {"a": ((2**64, 2**64),)}
    assert parse_mysql_gtids("a:" + "t" * 32 + ":1") == {"a:" + "t" * 32: ((1, 1),)}


def test_a_position_is_written_with_its_epoch() -> None:
    assert str(lsn(3, "0/10")) == "0/10@3"
    with pytest.raises(BadPosition, match=r"^cannot compare lsn with mysql_gtid$"):
        compare(lsn(1, "0/0"), mysql(1, "a:1"))
    with pytest.raises(BadPosition, match=f"^not an LSN: '{'x' * 100}'$"):
        lsn_to_int("x" * 5000)


def test_gtids_are_read_field_by_field() -> None:
    assert mariadb_gtids("1-22-333, 0-5-6") == [(1, 22, 333), (0, 5, 6)]
    assert parse_mariadb_gtids("0-1-0") == {0: 0}
    assert compare(maria(1, ""), maria(1, "0-1-1")) is Order.BEHIND
    assert compare(maria(1, ""), maria(1, "0-1-0")) is Order.EQUAL


def test_what_is_no_position_is_named_in_short() -> None:
    for parse, what in (
        (parse_mariadb_gtids, "MariaDB GTID position"),
        (parse_mysql_gtids, "MySQL GTID set"),
    ):
        with pytest.raises(BadPosition, match=f"^not a {what}: '{'x' * 100}'$"):
            parse("x" * 101)
    with pytest.raises(BadPosition, match=f"^not a MySQL GTID set: '{'a:1,' * 25}'$"):
        parse_mysql_gtids("a:1," * 25 + "a:0")
