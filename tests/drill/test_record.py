"""The record of the last drill: as it is stored, and when the next one is due."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.model import ServiceName
from controller.core.wire import BadRecord
from controller.drill.record import (
    DAY_S,
    DrillRecord,
    days_between,
    decode_drill,
    drill_key,
    encode_drill,
    following,
    overdue,
    seconds_of,
)

KEY = drill_key(ServiceName("wallet"))
PASSED = DrillRecord(
    at="2026-01-01T00:00:00.000Z", verdict="passed", by="ann", site="dc1", home="dc1",
    target="dc2", reason="spring", epochs=(3, 4), gap_s=0.412, lost=0,
    passed_at="2026-01-01T00:00:00.000Z",
)  # fmt: skip


def test_it_reads_what_it_wrote() -> None:
    assert KEY == "drills/wallet"
    assert decode_drill(KEY, encode_drill(PASSED)) == PASSED


def test_it_reads_what_older_and_newer_versions_wrote() -> None:
    short = b'{"format":1,"at":"2026-01-01T00:00:00Z","verdict":"failed"}'
    long = b'{"format":1,"at":"2026-01-01T00:00:00Z","verdict":"failed","mood":"good"}'
    assert decode_drill(KEY, short) == decode_drill(KEY, long)
    assert decode_drill(KEY, short).passed_at == ""


@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_a_record_or_refused(value: bytes) -> None:
    with suppress(BadRecord):
        assert decode_drill(KEY, value).format == 1


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"[]", "is not an object"),
        (b'{"format":2,"at":"2026-01-01T00:00:00Z","verdict":"x"}', "this version reads 1"),
        (b'{"at":"soon","verdict":"x"}', "'soon' is no time"),
        (b" " * 70_000, "bytes are more than"),
        (b"[" * 60_000, "not JSON"),
    ],
)
def test_what_is_refused(value: bytes, why: str) -> None:
    with pytest.raises(BadRecord, match=why):
        decode_drill(KEY, value)


def test_only_a_drill_that_passed_makes_the_days_count_anew() -> None:
    failed = replace(PASSED, at="2026-02-01T00:00:00Z", verdict="failed", passed_at="")
    assert following(PASSED, failed).passed_at == PASSED.at
    assert following(None, failed).passed_at == ""
    again = replace(PASSED, at="2026-03-01T00:00:00Z", passed_at="")
    assert following(failed, again).passed_at == again.at


@given(st.datetimes())
def test_times_are_read_as_they_are_written(moment: datetime) -> None:
    told = moment.replace(tzinfo=UTC)
    stamp = told.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    expected = datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    found = seconds_of(stamp)
    if told.year < 1970:
        assert found is None
    else:
        assert found == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T25:00:00Z", "²026"]
)
def test_what_is_no_time(text: str) -> None:
    assert seconds_of(text) is None
    assert days_between(text, PASSED.at) is None


def test_days_never_fall_below_zero() -> None:
    assert days_between("2026-01-03T12:00:00Z", "2026-01-01T00:00:00Z") == 0.0
    assert days_between("2026-01-01T00:00:00Z", "2026-01-03T12:00:00Z") == 2.5


@pytest.mark.parametrize(
    ("record", "every", "now", "said"),
    [
        (None, 0, "2030-01-01T00:00:00Z", ""),
        (None, 90, PASSED.at, "wallet has never been rehearsed; a drill is due every 90 days"),
        (PASSED, 90, "2026-04-01T00:00:00Z", ""),  # the ninetieth day
        (PASSED, 90, "2026-04-01T00:00:01Z", "passed its last drill 90 days ago"),
        (replace(PASSED, passed_at=""), 90, PASSED.at, "has never passed a drill"),
        (PASSED, 0, "2030-01-01T00:00:00Z", ""),
    ],
)
def test_when_a_drill_is_due(record: DrillRecord | None, every: int, now: str, said: str) -> None:
    found = overdue("wallet", record, every, now)
    assert said in found
    assert bool(found) == bool(said)


@given(st.integers(1, 3650), st.floats(0, 4000, allow_nan=False))
def test_it_is_overdue_exactly_when_more_days_have_passed(every: int, days: float) -> None:
    began = seconds_of(PASSED.at)
    assert began is not None
    seconds = round(days * DAY_S)
    now = datetime.fromtimestamp(began + seconds, UTC).isoformat().replace("+00:00", "Z")
    assert bool(overdue("wallet", PASSED, every, now)) == (seconds / DAY_S > every)
