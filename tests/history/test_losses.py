"""What a role change cost: of each database exactly which records, and whether anybody was told."""

import pytest

from controller.core.model import Epoch, ServiceName
from controller.core.position import LogFormat, Position
from controller.history.losses import Acknowledged, Loss, losses
from controller.history.recollection import LogBegin, LogEnd, Recollection

LSN, MARIADB, MYSQL = LogFormat.LSN, LogFormat.MARIADB_GTID, LogFormat.MYSQL_GTID
ONE, TWO = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"


def at(text: str, epoch: int = 2, kind: LogFormat = LSN) -> Position:
    return Position(epoch=epoch, format=kind, text=text)


def holder(position: Position, *, sealed: int = 2, excused: tuple[str, ...] = ()) -> Recollection:
    begin = LogBegin(
        database="ledger", position=position, source="dc2", needed=2, excused=excused,
        sealed=("dc2", "witness")[:sealed],
    )  # fmt: skip
    return Recollection(service=ServiceName("wallet"), epoch=Epoch(3), site="dc2", begins=(begin,))


def deposed(position: Position, *, epoch: int = 3, site: str = "dc1") -> Recollection:
    end = LogEnd(database="ledger", position=position)
    return Recollection(service=ServiceName("wallet"), epoch=Epoch(epoch), site=site, ends=(end,))


def only(*said: Recollection, epochs: tuple[int, ...] = (2, 3)) -> Loss:
    (found,) = losses(Epoch(3), "dc2", said, (Epoch(e) for e in epochs))
    return found


def test_a_majority_proves_that_nothing_acknowledged_is_lost() -> None:
    found = only(holder(at("0/3000060")))
    assert (found.acknowledged, found.beyond) == (Acknowledged.NONE, ())
    assert (found.begins, found.source) == ("0/3000060@2", "dc2")


@pytest.mark.parametrize(
    ("begin", "end", "size", "unit"),
    [
        (at("0/3000060"), at("0/3000100"), 0xA0, "bytes"),
        (at("0-1-35", 2, MARIADB), at("0-1-37,1-1-4", 2, MARIADB), 6, "transactions"),
        (at(f"{ONE}:1-5", 2, MYSQL), at(f"{ONE}:1-7:9,{TWO}:1", 2, MYSQL), 4, "transactions"),
    ],
)
def test_what_the_deposed_one_held_beyond_is_an_exact_interval(
    begin: Position, end: Position, size: int, unit: str
) -> None:
    found = only(holder(begin), deposed(end))
    assert found.acknowledged is Acknowledged.NONE
    (beyond,) = found.beyond
    assert (beyond.site, beyond.size, beyond.unit) == ("dc1", size, unit)
    assert (beyond.after, beyond.up_to) == (str(begin), str(end))


def test_a_log_that_ended_no_further_threw_nothing_away() -> None:
    assert only(holder(at("0/3000060")), deposed(at("0/3000060"))).beyond == ()
    assert only(holder(at("0/3000060")), deposed(at("0/2000000"))).beyond == ()


def test_two_logs_in_no_one_order_have_no_size() -> None:
    found = only(holder(at(f"{ONE}:1-5", 2, MYSQL)), deposed(at(f"{TWO}:1-2", 2, MYSQL)))
    assert [beyond.size for beyond in found.beyond] == [None]


def test_logs_that_cannot_be_compared_say_nothing() -> None:
    assert only(holder(at("0/3000060")), deposed(at("0-1-3", 2, MARIADB))).beyond == ()


def test_without_a_voter_it_is_not_known_until_it_comes_back() -> None:
    begin = holder(at("0/3000060"), sealed=1, excused=("dc1",))
    assert only(begin).acknowledged is Acknowledged.UNKNOWN
    assert only(begin, deposed(at("0/3000060"))).acknowledged is Acknowledged.NONE
    lost = only(begin, deposed(at("0/3000100")))
    assert (lost.acknowledged, lost.excused) == (Acknowledged.POSSIBLE, ("dc1",))
    assert lost.beyond[0].size == 0xA0


def test_an_excused_voter_that_sealed_in_time_is_none() -> None:
    found = only(holder(at("0/3000060"), excused=("dc1",)))
    assert (found.acknowledged, found.excused) == (Acknowledged.NONE, ())


def test_an_older_log_says_nothing_of_what_came_after_it() -> None:
    begin = holder(at("0/3000060", 2), sealed=1, excused=("dc1",))
    found = only(begin, deposed(at("0/9000000", 1)), epochs=(1, 2, 3))
    assert (found.acknowledged, found.beyond) == (Acknowledged.UNKNOWN, ())


def test_a_site_that_comes_back_epochs_later_tells_of_the_change_that_deposed_it() -> None:
    late = deposed(at("0/3000100"), epoch=9)
    assert only(holder(at("0/3000060")), late, epochs=(2, 3, 9)).beyond[0].size == 0xA0
    assert losses(Epoch(9), "dc2", (late,), (Epoch(2), Epoch(3), Epoch(9))) == ()


def test_nothing_is_known_where_the_holder_has_not_said_what_it_went_on_from() -> None:
    assert losses(Epoch(3), "dc2", (deposed(at("0/3000100")),), (Epoch(3),)) == ()
