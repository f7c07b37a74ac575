"""What a site keeps of a role change: written and read back, and never replaced by less."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.model import Epoch, ServiceName
from controller.core.position import LogFormat, Position
from controller.core.wire import BadRecord
from controller.history.recollection import (
    Asked,
    Discarded,
    LogBegin,
    LogEnd,
    Outside,
    Recollection,
    Stage,
    StepSeen,
    decode_recollection,
    encode_recollection,
    merged,
    recollection_key,
)


def lsn(text: str, epoch: int = 6) -> Position:
    return Position(epoch=epoch, format=LogFormat.LSN, text=text)


SAID = Recollection(
    service=ServiceName("wallet"), epoch=Epoch(7), site="dc1", seen_at="2026-11-21T01:02:03.400Z",
    routes=(Stage(what="backup", at_s=0.0), Stage(what="override", at_s=0.031)),
    outside=(Outside(vantage="witness", entered=(Stage(what="dc2", at_s=0.0),)),),
    held_s=0.4, outage_s=0.843, outage_from="dc2 was last seen to serve",
    begins=(LogBegin(
        database="ledger", position=lsn("0/3000060"), source="dc1", sealed=("dc1", "witness"),
        needed=2,
    ),),
    ends=(LogEnd(database="ledger", position=lsn("0/3000060")),),
    discarded=(Discarded(database="ledger", what="2 transactions; saved in /there"),),
    steps=(StepSeen(ladder="HAND_OVER", name="handed", at_s=-0.1),),
    asked=Asked(request=3, kind="failover", approved_by=("bob",)),
)  # fmt: skip
KEY = "recollections/wallet/7/dc1"


def test_it_is_read_back_as_it_was_written() -> None:
    assert recollection_key(SAID) == KEY
    assert decode_recollection(KEY, encode_recollection(SAID)) == SAID


def test_a_newer_versions_fields_are_ignored_and_an_older_ones_have_defaults() -> None:
    newer = json.loads(encode_recollection(SAID)) | {"colour": "red"}
    assert decode_recollection(KEY, json.dumps(newer).encode()) == SAID
    older = b'{"service":"wallet","epoch":7,"site":"dc1"}'
    assert decode_recollection(KEY, older).routes == ()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"{", "not JSON"),
        (b"[]", "is not an object"),
        (b'{"service":"wallet","epoch":8,"site":"dc1"}', "stands under another key"),
        (b'{"service":"wallet","epoch":7,"site":"dc1","format":2}', "this version reads 1"),
        (b" " * 300_000, "more than a record may have"),
        (
            b'{"service":"wallet","epoch":7,"site":"dc1","ends":[{"database":"l","position":'
            b'{"epoch":6,"format":"lsn","text":"nowhere"}}]}',
            "not an LSN",
        ),
    ],
)
def test_what_is_no_recollection_is_named(value: bytes, problem: str) -> None:
    with pytest.raises(BadRecord, match=problem):
        decode_recollection(KEY, value)


def test_too_much_is_not_written() -> None:
    with pytest.raises(BadRecord, match="are too many"):
        encode_recollection(replace(SAID, outage_from="x" * 300_000))


@given(st.binary(max_size=60))
def test_no_bytes_make_it_stumble(value: bytes) -> None:
    with pytest.raises(BadRecord):
        decode_recollection(KEY, value)


def test_a_daemon_that_was_started_anew_takes_nothing_back() -> None:
    ends = (LogEnd(database="ledger", position=lsn("0/4000000")),)
    less = Recollection(service=ServiceName("wallet"), epoch=Epoch(7), site="dc1", ends=ends)
    whole = merged(SAID, less)
    assert whole == replace(SAID, ends=ends)
    rewound = replace(less, ends=(LogEnd(database="ledger", position=lsn("0/2000000")),))
    assert merged(SAID, rewound).ends == SAID.ends
    assert merged(None, less) == less
    again = replace(less, discarded=(Discarded(database="ledger", what="1 transaction"),))
    assert merged(SAID, again).discarded == (*SAID.discarded, *again.discarded)
    assert merged(again, again).discarded == again.discarded
    more = (replace(SAID.begins[0], database="journal"), *SAID.begins)
    assert merged(SAID, replace(SAID, begins=more)).begins == more
    assert merged(replace(SAID, begins=more), SAID).begins == more
    went_on = (*SAID.outside[0].entered, Stage(what="dc1", at_s=2.5))
    moved = replace(SAID, outside=(replace(SAID.outside[0], entered=went_on),))
    assert merged(SAID, moved) == moved
    assert merged(moved, SAID) == moved
    another = Position(epoch=6, format=LogFormat.MARIADB_GTID, text="0-1-3")
    other_kind = replace(less, ends=(LogEnd(database="ledger", position=another),))
    assert merged(SAID, other_kind).ends == other_kind.ends
