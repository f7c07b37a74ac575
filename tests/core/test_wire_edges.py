"""Records to the letter: what is said of one that is wrong, and where the limits are."""

import json
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.core import wire
from controller.core.model import Epoch, EpochRecord, Report, ServiceName, SiteName
from controller.core.requests import Kind, Request
from tests.core.views import report_of_dc1
from tests.core.wishes import wish

WALLET = ServiceName("wallet")
DC1 = SiteName("dc1")
OWNED = EpochRecord(
    epoch=Epoch(7), holder=DC1, kind="failover", reason="", asked_by="", at="", revision=9
)
REPORT = Report(site=DC1, boot="b", version="1", at="")
CHANGE = wire.Change(
    service=WALLET,
    epoch=Epoch(7),
    previous_holder="",
    holder=DC1,
    kind="bootstrap",
    reason="",
    rule=1,
    asked_by="",
    began_at="",
    took_s=0.0,
)
ORDER: Request = wish(Kind.SWITCHOVER, target="dc2")
PLAIN = wire.encode_report(REPORT)
CUT = "is cut short, or inflates to more than a record may have"
LONG = "x" * 70


def turned(**changes: object) -> bytes:
    return json.dumps({**json.loads(PLAIN), **changes}).encode()


@pytest.mark.parametrize(
    ("value", "field", "problem"),
    [
        (b"[]", "record", "not a JSON object"),
        (b"nothing", "record", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"format":1,"site":NaN}', "record", "not JSON: NaN is not a JSON number"),
        (zlib.compress(PLAIN)[:-3], "record", CUT),
        (zlib.compress(b" " * (wire.UNPACKED_BYTES_MAX + 1)), "record", CUT),
        (
            b" " * (wire.STORED_BYTES_MAX + 1),
            "record",
            f"{wire.STORED_BYTES_MAX + 1} bytes are more than a record may have",
        ),
        (turned(format=2), "format", "2 is not understood; this version reads 1"),
        (turned(site="a/b"), "site", "'a/b' is not a name"),
        (turned(site=LONG), "site", f"'{LONG[:60]}' is not a name"),
        (turned(site="dc2"), "site", "'dc2' reports under another site's key"),
    ],
)
def test_what_is_wrong_with_a_report_is_said(value: bytes, field: str, problem: str) -> None:
    with pytest.raises(wire.BadRecord) as caught:
        wire.decode_report("sites/dc1", value)
    assert (caught.value.field, caught.value.problem) == (field, problem)
    assert str(caught.value) == f"sites/dc1: {field}: {problem}"


def test_what_is_no_stream_is_said_with_the_librarys_reason() -> None:
    with pytest.raises(wire.BadRecord, match=r"^sites/dc1: record: cannot be inflated: Error"):
        wire.decode_report("sites/dc1", b"x not deflated")


HELD = wire.encode_report(replace(REPORT, services=(report_of_dc1(),)))
HIGH = wire.EPOCH_MAX + 1
TEXT = "0/" + "\u0663" * 70


@pytest.mark.parametrize(
    ("position", "problem"),
    [
        ({"text": "0/\u0663"}, "not a position: '0/\u0663@2'"),
        ({"text": TEXT}, f"not a position: '{TEXT[:60]}'"),
        ({"epoch": HIGH}, f"not a position: '0/3000060@{HIGH}'"),
        ({"epoch": HIGH, "text": "0/\u0663"}, f"not a position: '0/\u0663@{HIGH}'"),
    ],
)
def test_a_position_that_could_not_be_compared_is_not_read(
    position: dict[str, object], problem: str
) -> None:
    data = json.loads(HELD)
    held = data["services"][0]["databases"][0]["state"]["position"]
    held["epoch"] = wire.EPOCH_MAX
    assert wire.decode_report("sites/dc1", json.dumps(data).encode())
    held |= {"epoch": 2, **position}
    with pytest.raises(wire.BadRecord) as caught:
        wire.decode_report("sites/dc1", json.dumps(data).encode())
    assert caught.value.field == "services[0].databases[0].state.position"
    assert caught.value.problem == problem


def test_an_epoch_above_the_highest_is_not_read() -> None:
    data = {**json.loads(wire.encode_epoch(OWNED)), "epoch": HIGH}
    with pytest.raises(wire.BadRecord) as caught:
        wire.decode_epoch("k", json.dumps(data).encode(), 1)
    assert str(caught.value) == f"k: epoch: {HIGH} is above the highest epoch, {wire.EPOCH_MAX}"


@pytest.mark.parametrize(
    ("read", "sentence"),
    [
        (
            lambda: wire.decode_epoch("k", wire.encode_epoch(replace(OWNED, epoch=Epoch(0))), 1),
            "k: epoch: an owned epoch is at least 1",
        ),
        (
            lambda: wire.decode_change("history/wallet/8", wire.encode_change(CHANGE)),
            "history/wallet/8: epoch: records wallet epoch 7 instead",
        ),
        (
            lambda: wire.decode_request("requests/wallet/5", wire.encode_request(ORDER)),
            "requests/wallet/5: number: requests/wallet/4 stands under another key",
        ),
    ],
)
def test_a_record_that_is_not_what_its_key_says_is_refused(
    read: Callable[[], object], sentence: str
) -> None:
    with pytest.raises(wire.BadRecord) as caught:
        read()
    assert str(caught.value) == sentence


WRITTEN: list[tuple[str, Callable[[], bytes]]] = [
    ("epoch record", lambda: wire.encode_epoch(OWNED)),
    ("report", lambda: wire.encode_report(REPORT)),
    ("history record", lambda: wire.encode_change(CHANGE)),
    ("request", lambda: wire.encode_request(ORDER)),
]


@pytest.mark.parametrize(("what", "write"), WRITTEN, ids=[what for what, _ in WRITTEN])
def test_a_record_of_the_full_size_is_written_and_one_byte_more_is_not(
    what: str, write: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(write())
    monkeypatch.setattr(wire, "STORED_BYTES_MAX", size)
    assert len(write()) == size
    monkeypatch.setattr(wire, "STORED_BYTES_MAX", size - 1)
    with pytest.raises(wire.BadRecord) as caught:
        write()
    assert str(caught.value) == f"{what}: record: {size} bytes are more than a record may have"


def of_size(size: int) -> Report:
    """A report of so many bytes before it is deflated."""
    return replace(REPORT, boot="x" * (size - len(PLAIN) + len(REPORT.boot)))


def test_a_record_is_plain_until_it_is_large_and_then_deflated_in_a_hurry() -> None:
    assert PLAIN.startswith(b'{"format":1,"site":"dc1",')
    largest = wire.encode_report(of_size(wire.DEFLATED_ABOVE_BYTES))
    assert (largest[:1], len(largest)) == (b"{", wire.DEFLATED_ABOVE_BYTES)
    deflated = wire.encode_report(of_size(wire.DEFLATED_ABOVE_BYTES + 1))
    assert deflated == zlib.compress(zlib.decompress(deflated), 1)
    assert deflated[:2] == b"x\x01"  # the fastest level: it is written again and again


def test_what_inflates_to_the_limit_is_written_and_no_more() -> None:
    wire.encode_report(of_size(wire.UNPACKED_BYTES_MAX))
    with pytest.raises(wire.BadRecord, match=r"^report: record: 8388609 bytes are more than"):
        wire.encode_report(of_size(wire.UNPACKED_BYTES_MAX + 1))


def test_a_stored_value_of_the_full_size_is_read() -> None:
    padded = PLAIN + b" " * (wire.STORED_BYTES_MAX - len(PLAIN))
    assert wire.decode_report("sites/dc1", padded) == REPORT


def test_a_sentence_is_clipped_above_its_limit_wherever_it_stands() -> None:
    whole, long = "x" * 1000, "x" * 1001
    clipped = "x" * 997 + "..."
    for sentence, expected in ((whole, whole), (long, clipped)):
        owned = wire.encode_epoch(replace(OWNED, reason=sentence))
        assert wire.decode_epoch("k", owned, 9).reason == expected
        change = wire.encode_change(replace(CHANGE, reason=sentence))
        assert wire.decode_change("history/wallet/7", change).reason == expected
        told = replace(ORDER, reason=sentence, statement=sentence, state_why=sentence)
        read = wire.decode_request("requests/wallet/4", wire.encode_request(told))
        assert (read.reason, read.statement, read.state_why) == (expected,) * 3


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("history/wallet/4294967295", ("wallet", 4294967295)),
        ("history/a b/7", None),
        ("history/-/7", None),
    ],
)
def test_a_change_is_of_a_service_with_a_name(key: str, found: tuple[str, int] | None) -> None:
    assert wire.change_of_key(key) == found


def test_what_a_change_does_not_say_is_nothing() -> None:
    assert (CHANGE.outcome, dict(CHANGE.evidence), CHANGE.steps) == ("ok", {}, ())
    assert wire.ChangeStep(name="promoted") == wire.ChangeStep(
        name="promoted", database="", began_s=0.0, took_s=0.0, detail=""
    )
