"""MySQL's GTID texts, as the server writes them."""

import pytest

from controller.adapters.mysql_gtid import joined, missing_at, mysql_set, owned_by, same_end
from controller.core.position import LogFormat

A, B = "aaaaaaaa-0000-0000-0000-000000000001", "bbbbbbbb-0000-0000-0000-000000000002"


@pytest.mark.parametrize(
    ("sessions", "owned"),
    [
        ({20}, f"{A}:2"),
        ({20, 33, 34}, f"{A}:2:5-6"),
        ({41}, f"{B}:7"),
        ({42}, f"{B}:tag:1"),
        ({99}, ""),
    ],
)
def test_what_sessions_own(sessions: set[int], owned: str) -> None:
    text = f"{A}:6#34:5#33:3#29:2#20,\n{B}:7#41:tag:1#42"
    assert owned_by(text, sessions) == owned


def test_nobody_owns_anything() -> None:
    assert owned_by("", {1}) == ""


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (f"{A}:1-5", f"{A}:4-9", f"{A}:1-9"),
        (f"{A}:1-5", f"{A}:7", f"{A}:1-5:7"),
        (f"{A}:1-5", f"{B}:1", f"{A}:1-5,{B}:1"),
        (f"{A}:1-5,{B}:1", f"{A}:6", f"{A}:1-6,{B}:1"),
        ("", f"{A}:1", f"{A}:1"),
        (f"{A}:1-5", f"{A}:2", f"{A}:1-5"),
    ],
)
def test_two_ends_of_a_mysql_log_are_one_set(first: str, second: str, both: str) -> None:
    assert joined(LogFormat.MYSQL_GTID, first, second) == both


def test_two_ends_of_a_mariadb_log_are_the_further_one() -> None:
    assert joined(LogFormat.MARIADB_GTID, "0-1-5", "0-2-7") == "0-2-7"
    assert joined(LogFormat.MARIADB_GTID, "0-1-5,1-1-2", "0-1-6,1-1-1") == "0-1-5,1-1-2"


def test_a_set_is_written_as_the_server_writes_it() -> None:
    assert mysql_set(f"{B}:3,\n{A}:2:1:7-8") == f"{A}:1-2:7-8,{B}:3"


def test_what_one_set_lacks_of_another_is_a_set() -> None:
    found = missing_at(LogFormat.MYSQL_GTID, f"{A}:1-9,{B}:1", f"{A}:1-4:6")
    assert found == f"{A}:5:7-9,{B}:1"


@pytest.mark.parametrize(
    ("state", "end", "same"),
    [
        ("0-1-5", "0-1-5", True),
        ("0-1-5,0-2-9", "0-2-9", True),
        ("0-2-9,0-1-5", "0-1-5", False),
        ("0-1-5", "0-2-5", False),
        ("0-1-5,0-2-5", "0-2-5", False),  # two histories, or one that was not kept strictly
        ("0-1-5,7-1-3", "7-1-3,0-1-5", True),
        ("0-1-5,7-1-3", "0-1-5", False),
        ("", "", True),
        ("0-1-1", "", False),
        ("", "0-1-1", False),
    ],
)
def test_a_mariadb_state_ends_where_its_last_numbers_are(state: str, end: str, same: bool) -> None:
    assert same_end(LogFormat.MARIADB_GTID, state, end) is same


@pytest.mark.parametrize(
    ("state", "end", "same"),
    [
        (f"{A}:1-5,{B}:1", f"{B}:1,{A}:1-5", True),
        (f"{A}:1-3:4-5", f"{A}:1-5", True),
        (f"{A}:1-5", f"{A}:1-6", False),
        (f"{A}:1-5", "", False),
        ("", "", True),
    ],
)
def test_a_mysql_set_is_its_end(state: str, end: str, same: bool) -> None:
    assert same_end(LogFormat.MYSQL_GTID, state, end) is same
