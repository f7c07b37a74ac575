"""What is read from the store is the record that its key promises, or the problem is named."""

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.core import wire
from controller.core.model import Epoch
from controller.core.position import (
    BadPosition,
    LogFormat,
    Position,
    compare,
    lsn_to_int,
    parse_mariadb_gtids,
    parse_mysql_gtids,
)
from tests.core.test_wire import _epoch_record, _report
from tests.fuzz.damage import STRANGE, lines, texts, tried, values

pytestmark = pytest.mark.timeout(600)

REPORT = json.loads(wire.encode_report(_report()))
EPOCH = json.loads(wire.encode_epoch(_epoch_record()))
CHANGE = {
    "format": 1,
    "service": "wallet",
    "epoch": 7,
    "previous_holder": "dc1",
    "holder": "dc2",
    "kind": "failover",
    "reason": "x",
    "rule": 321,
    "asked_by": "dc2",
    "began_at": "x",
    "took_s": 0.7,
    "steps": [{"name": "promoted", "took_s": 0.1}],
    "evidence": {"a": "b"},
}
READERS: dict[str, tuple[dict[str, Any], Callable[[bytes], object]]] = {
    "report": (REPORT, lambda value: wire.decode_report("sites/dc1", value)),
    "epoch": (EPOCH, lambda value: wire.decode_epoch("services/wallet/epoch", value, 7)),
    "change": (CHANGE, lambda value: wire.decode_change("history/wallet/7", value)),
    "request": (
        {"format": 1, "service": "wallet", "kind": "pause", "number": 1, "epoch": 7},
        lambda value: wire.decode_request("requests/wallet/1", value),
    ),
}


@pytest.mark.parametrize("kind", sorted(READERS))
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_damaged_record_is_read_or_named(kind: str, data: st.DataObject) -> None:
    right, read = READERS[kind]
    text = data.draw(lines(st.just(right)))
    tried(read, text.encode("utf-8", "surrogatepass"), may_raise=wire.BadRecord)
    packed = zlib.compress(text.encode("utf-8", "surrogatepass"))
    tried(read, packed, may_raise=wire.BadRecord)


@given(values(st.just(REPORT)))
def test_what_was_read_can_be_written_and_read_again(data: Any) -> None:
    found = tried(
        lambda value: wire.decode_report("sites/dc1", value),
        json.dumps(data).encode(),
        may_raise=wire.BadRecord,
    )
    if found is not None:
        assert wire.decode_report("sites/dc1", wire.encode_report(found)) == found


def places(value: Any) -> list[dict[str, Any]]:
    """Every object of a JSON value."""
    inner = value.values() if isinstance(value, dict) else value
    found = [value] if isinstance(value, dict) else []
    for item in inner:
        if isinstance(item, dict | list):
            found += places(item)
    return found


@given(st.data())
def test_a_newer_versions_fields_are_passed_over_wherever_they_stand(data: st.DataObject) -> None:
    for kind in ("report", "epoch", "change"):
        right, read = READERS[kind]
        newer = json.loads(json.dumps(right))
        objects = [found for found in places(newer) if not _is_a_map(found)]
        for found in objects:
            if data.draw(st.booleans()):
                found["of_a_newer_version"] = data.draw(st.sampled_from(STRANGE[:9]))
        assert read(json.dumps(newer).encode()) == read(json.dumps(right).encode())


def _is_a_map(found: dict[str, Any]) -> bool:
    """Its keys are names, not fields: `seen`, `evidence`."""
    return found in (REPORT["services"][0]["seen"], CHANGE["evidence"])


def test_records_that_unfold_without_end_are_refused_in_little_memory() -> None:
    for inner in (b" " * 2**28, b"[" * 2**26):
        packed = zlib.compress(inner)
        assert len(packed) < wire.STORED_BYTES_MAX
        with pytest.raises(wire.BadRecord, match="inflates to more"):
            wire.decode_report("sites/dc1", packed)


@given(st.text(max_size=40))
def test_any_text_is_a_key_of_something_or_of_nothing(key: str) -> None:
    for read in (wire.service_of_epoch_key, wire.change_of_key, wire.is_request_key):
        read(key)
    for stem in ("services/", "history/", "requests/", "requests/sites/", "sites/"):
        for read in (wire.service_of_epoch_key, wire.change_of_key, wire.is_request_key):
            read(stem + key)


# --- positions -----------------------------------------------------------------------------------

RIGHT = {
    LogFormat.LSN: "1/A000060",
    LogFormat.MARIADB_GTID: "0-1-10,1-2-7",
    LogFormat.MYSQL_GTID: "aaaaaaaa-0000-0000-0000-000000000001:1-5:tag:7-9,\nbbbb:1",
}
PARSERS: dict[LogFormat, Callable[[str], object]] = {
    LogFormat.LSN: lsn_to_int,
    LogFormat.MARIADB_GTID: parse_mariadb_gtids,
    LogFormat.MYSQL_GTID: parse_mysql_gtids,
}


@pytest.mark.parametrize("form", list(LogFormat))
@given(data=st.data())
def test_a_damaged_position_is_read_or_is_a_bad_position(
    form: LogFormat, data: st.DataObject
) -> None:
    text = data.draw(st.one_of(texts(st.just(RIGHT[form])), st.text(max_size=20)))
    if tried(PARSERS[form], text, may_raise=BadPosition) is not None:
        position = Position(epoch=Epoch(1), format=form, text=text)
        assert compare(position, position) == "equal"
