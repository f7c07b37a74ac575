"""Where a voter goes on at a server that was just promoted: at the start of its new file, with one
connection, if it holds just what stands before that; otherwise it has to be told first.
"""

import asyncio
from collections.abc import Iterable

import pytest

from controller.adapters.mysql_dialect import NEW_FILE
from controller.adapters.mysql_place import place_of
from controller.adapters.mysql_session import Login, Row, Session
from controller.core.model import Epoch, SiteName
from controller.ports import Refused
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    LONG_S,
    WITNESS,
    Cluster,
    eventually,
    keys_at,
    write,
)
from tests.contract.mysql_flavour import FLAVOUR
from tests.contract.test_mysql_takeover import unanswered, waits

pytestmark = [pytest.mark.contract, pytest.mark.timeout(90)]


@pytest.fixture
def pointed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that told a server where to replicate from."""
    said: list[str] = []
    many = Session.many

    async def noted(session: Session, statements: Iterable[str]) -> list[list[Row]]:
        todo = tuple(statements)
        said.extend(statement for statement in todo if statement.startswith("CHANGE "))
        return await many(session, todo)

    monkeypatch.setattr(Session, "many", noted)
    return said


def voter_at(three: Cluster, site: SiteName) -> Login:
    link, voter = three.links()[site], three.keeper_spec().voter
    return Login(address=link.address, port=link.port, user=voter.user, password=voter.password)


async def write_at(three: Cluster, site: SiteName, *keys: str) -> None:
    session = three.servers[site].session()
    try:
        await write(session, *keys)
    finally:
        session.drop()


def end_at(three: Cluster, site: SiteName) -> str:
    return three.servers[site].sql(f"SELECT {FLAVOUR.dialect.log_end}")[0][0]


async def level(three: Cluster) -> bool:
    return end_at(three, DC2) == end_at(three, WITNESS)


async def dc1_has_closed(three: Cluster) -> None:
    """dc2 and the keeper are sealed for the third epoch, each with what it has received."""
    await three.databases[DC1].close(deadline_s=LONG_S)
    await three.databases[DC2].seal(Epoch(3), LONG_S)
    await three.keeper.seal(Epoch(3), LONG_S)


async def test_a_voter_that_is_level_is_pointed_once_also_while_commits_wait(
    three: Cluster, pointed: list[str]
) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    await write_at(three, DC1, "k1")
    await eventually(lambda: level(three), "both to hold it")
    await dc1_has_closed(three)
    await three.databases[DC2].promote(Epoch(3), LONG_S, voters=frozenset({WITNESS}))
    await three.databases[DC2].set_gate(opened=True, deadline_s=LONG_S)
    pointed.clear()
    async with unanswered(three.servers[DC2], "k2") as task:
        await three.keeper.follow(DC2, Epoch(3), LONG_S)
        async with asyncio.timeout(5):
            assert await task == "acknowledged"
    assert len(pointed) == 1
    await eventually(lambda: level(three), "the keeper to apply it")
    assert keys_at(three.servers[WITNESS]) == {"k1", "k2"}


async def test_a_voter_that_is_behind_is_told_first_where_it_is(
    three: Cluster, pointed: list[str]
) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    await eventually(lambda: level(three), "both to hold the epoch's own record")
    await three.keeper.seal(Epoch(2), LONG_S)
    await write_at(three, DC1, "k1")
    await dc1_has_closed(three)
    await three.databases[DC2].promote(Epoch(3), LONG_S, voters=frozenset({WITNESS}))
    pointed.clear()
    await three.keeper.follow(DC2, Epoch(3), LONG_S)
    assert len(pointed) == 2
    await eventually(lambda: level(three), "the keeper to have it all")
    assert keys_at(three.servers[WITNESS]) == {"k1"}


async def test_the_place_is_that_of_one_end_only(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    await write_at(three, DC1, "k1")
    end = end_at(three, DC1)
    three.servers[DC1].sql(NEW_FILE)
    newest = three.servers[DC1].sql("SHOW BINARY LOGS")[-1][0]
    there = Session(voter_at(three, DC1))
    try:
        assert await place_of(there, FLAVOUR.dialect, end) == (newest, 4)
        assert await place_of(there, FLAVOUR.dialect, three.servers[DC1].gtid(1)) is None
        assert await place_of(there, FLAVOUR.dialect, "") is None
        await write_at(three, DC1, "k2")
        assert await place_of(there, FLAVOUR.dialect, end) == (newest, 4)
        assert await place_of(there, FLAVOUR.dialect, end_at(three, DC1)) is None
    finally:
        there.drop()


async def test_the_place_is_told_while_commits_wait(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    await three.keeper.seal(Epoch(2), LONG_S)
    three.servers[DC1].sql(NEW_FILE)
    end = end_at(three, DC1)
    there = Session(voter_at(three, DC1))
    try:
        async with unanswered(three.servers[DC1], "k1"), unanswered(three.servers[DC1], "k2"):
            await eventually(waits(three.servers[DC1], "k2"), "the second to stand behind it")
            async with asyncio.timeout(5):
                assert await place_of(there, FLAVOUR.dialect, end) is not None
    finally:
        there.drop()


async def test_a_login_that_is_locked_is_told_nothing(three: Cluster) -> None:
    await three.serve(DC1, 2, WITNESS)
    await three.databases[DC1].admit(frozenset(), LONG_S)
    there = Session(voter_at(three, DC1))
    with pytest.raises(Refused, match="was not let in"):
        await place_of(there, FLAVOUR.dialect, "")
