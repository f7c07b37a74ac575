"""Records survive the round trip, neighbors in version read each other, garbage is named."""

import json
import zlib
from contextlib import suppress
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.policy import Stance
from controller.core import wire
from controller.core.model import (
    Closing,
    DatabaseKind,
    DatabaseName,
    DatabaseReport,
    DatabaseState,
    Epoch,
    EpochRecord,
    Follower,
    Liveness,
    Report,
    Role,
    Seen,
    ServiceName,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.position import LogFormat, Position
from controller.core.requests import Approval, Kind, Request

WALLET = ServiceName("wallet")
DC1 = SiteName("dc1")

sites = st.sampled_from([DC1, SiteName("dc2"), SiteName("witness")])
databases = st.sampled_from([DatabaseName("ledger"), DatabaseName("journal")])
epochs = st.integers(0, wire.EPOCH_MAX).map(Epoch)
owned = st.integers(1, wire.EPOCH_MAX).map(Epoch)
lsns = st.builds("{:X}/{:X}".format, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
gtids = st.builds("0-{}-{}".format, st.integers(1, 9), st.integers(0, 2**60))
positions = st.one_of(
    st.builds(Position, epoch=epochs, format=st.just(LogFormat.LSN), text=lsns),
    st.builds(Position, epoch=epochs, format=st.just(LogFormat.MARIADB_GTID), text=gtids),
)
maybe_position = st.none() | positions
counts = st.integers(0, 2**63 - 1)
seconds = st.floats(0, allow_nan=False, allow_infinity=True)
sentences = st.lists(st.text(max_size=30), max_size=2).map(tuple)
followers = st.builds(
    Follower, name=st.text(max_size=9), site=st.none() | sites, flushed=maybe_position
)
states = st.builds(
    DatabaseState,
    name=databases,
    kind=st.sampled_from(DatabaseKind),
    liveness=st.sampled_from(Liveness),
    writable=st.booleans(),
    epoch=epochs,
    position=maybe_position,
    applied=maybe_position,
    upstream=st.none() | sites,
    admitted=st.frozensets(sites),
    followers=st.lists(followers, max_size=2).map(tuple),
    waiting_commits=counts,
    lag_bytes=st.none() | counts,
    problems=sentences,
)
voters = st.builds(
    VoterState,
    database=databases,
    promised=epochs,
    sealed=st.booleans(),
    position=maybe_position,
    following=st.none() | sites,
    following_epoch=epochs,
    problems=sentences,
)
service_reports = st.builds(
    ServiceReport,
    service=st.just(WALLET),
    role=st.sampled_from(Role),
    epoch=epochs,
    stance=st.none() | st.sampled_from(Stance),
    rule=st.integers(0, 999),
    reason=st.text(max_size=50),
    databases=st.lists(st.builds(DatabaseReport, state=states, voter=voters), max_size=2).map(
        tuple
    ),
    voters=st.lists(voters, max_size=2).map(tuple),
    seen=st.dictionaries(
        sites, st.builds(Seen, control_s=seconds, front_s=seconds, data_s=seconds)
    ),
    warnings=sentences,
)
reports = st.builds(
    Report,
    site=st.just(DC1),
    boot=st.text(max_size=16),
    version=st.text(max_size=9),
    at=st.text(max_size=24),
    services=st.lists(service_reports, max_size=2).map(tuple),
)
records = st.builds(
    EpochRecord,
    epoch=owned,
    holder=sites,
    kind=st.text(max_size=12),
    reason=st.text(max_size=200),
    asked_by=st.text(max_size=20),
    at=st.text(max_size=24),
    revision=counts,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


def _epoch_record() -> EpochRecord:
    return EpochRecord(
        epoch=Epoch(7),
        holder=DC1,
        kind="failover",
        reason="dc2 was silent",
        asked_by="dc1",
        at="2026-01-02T03:04:05.678Z",
        revision=42,
    )


def _report() -> Report:
    state = DatabaseState(
        name=DatabaseName("ledger"),
        kind=DatabaseKind.POSTGRES,
        liveness=Liveness.RUNNING,
        position=Position(epoch=7, format=LogFormat.LSN, text="0/3000060"),
    )
    voter = VoterState(
        database=DatabaseName("ledger"), promised=Epoch(7), sealed=False, position=None
    )
    service = ServiceReport(
        service=WALLET,
        role=Role.STANDBY,
        epoch=Epoch(7),
        stance=Stance.BACKUP,
        rule=401,
        reason="dc2 holds it",
        healthy=True,
        eligible=True,
        databases=(DatabaseReport(state=state, voter=voter),),
        seen={SiteName("dc2"): Seen(control_s=0.05)},
    )
    return Report(site=DC1, boot="b", version="0.1.0", at="now", services=(service,))


def _changed(value: bytes, path: list[str | int], new: object) -> bytes:
    data = json.loads(value)
    spot = data
    for part in path[:-1]:
        spot = spot[part]
    spot[path[-1]] = new
    return json.dumps(data).encode()


@given(records)
def test_epoch_record_survives_the_round_trip(record: EpochRecord) -> None:
    value = wire.encode_epoch(record)
    assert wire.decode_epoch("services/wallet/epoch", value, record.revision) == record


@given(reports)
def test_report_survives_the_round_trip(report: Report) -> None:
    assert wire.decode_report("sites/dc1", wire.encode_report(report)) == report


def test_change_survives_the_round_trip() -> None:
    step = wire.ChangeStep(name="promoted", database="ledger", began_s=0.1, took_s=0.02)
    change = wire.Change(
        service=WALLET,
        epoch=Epoch(7),
        previous_holder="dc2",
        holder=DC1,
        kind="failover",
        reason="dc2 was silent",
        rule=301,
        asked_by="dc1",
        began_at="2026-01-02T03:04:05.678Z",
        took_s=0.8,
        evidence={"dc2 heard": "0.7 s ago"},
        steps=(step,),
    )
    key = wire.change_key(WALLET, Epoch(7))
    assert wire.decode_change(key, wire.encode_change(change)) == change


def test_requests_survive_the_round_trip() -> None:
    request = Request(
        number=3,
        kind=Kind.FAILOVER,
        service=WALLET,
        epoch=Epoch(7),
        target="dc2",
        asked_by="ann",
        asked_at="dc1",
        at="now",
        excused=(DC1,),
        approvals=(Approval(by="bob", site="dc2", at="later", plan="p"),),
        reason="x" * 1200,
    )
    stored = wire.decode_request("requests/wallet/3", wire.encode_request(request))
    assert stored == replace(request, reason="x" * 997 + "...")
    drain = Request(
        number=1, kind=Kind.DRAIN, target="dc1", asked_by="ann", asked_at="dc1", at="now"
    )
    assert wire.key_of_request(drain) == "requests/sites/dc1"
    assert wire.decode_request("requests/sites/dc1", wire.encode_request(drain)) == drain
    with pytest.raises(wire.BadRecord, match="requests/sites/dc1 stands under another key"):
        wire.decode_request("requests/sites/dc2", wire.encode_request(drain))


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        ("requests/wallet/1", True),
        ("requests/sites/dc1", True),
        ("requests/wallet/01", False),
        ("requests/wallet", False),
        ("requests/sites/../dc1", False),
        ("requests/-/1", False),
        ("history/wallet/1", False),
    ],
)
def test_which_keys_are_requests(key: str, *, is_one: bool) -> None:
    assert wire.is_request_key(key) is is_one


def test_epoch_record_as_stored_is_pinned() -> None:
    """Fields may be added; these keep their names and forms, for the sake of older readers."""
    stored = json.loads(wire.encode_epoch(_epoch_record()))
    assert "revision" not in stored
    assert (
        stored.items()
        >= {
            "format": 1,
            "epoch": 7,
            "holder": "dc1",
            "kind": "failover",
            "reason": "dc2 was silent",
            "asked_by": "dc1",
            "at": "2026-01-02T03:04:05.678Z",
        }.items()
    )


def test_endless_age_is_written_as_forever() -> None:
    stored = json.loads(wire.encode_report(_report()))
    assert stored["services"][0]["seen"]["dc2"]["data_s"] == "forever"


@pytest.mark.parametrize(
    "path", [["colour"], ["services", 0, "colour"], ["services", 0, "databases", 0, "state", "x"]]
)
def test_fields_of_a_newer_version_are_ignored(path: list[str | int]) -> None:
    value = _changed(wire.encode_report(_report()), path, {"blue": [1, 2]})
    assert wire.decode_report("sites/dc1", value) == _report()


def test_fields_an_older_version_did_not_write_get_their_defaults() -> None:
    data = json.loads(wire.encode_report(_report()))
    state = data["services"][0]["databases"][0]["state"]
    for name in [f.name for f in fields(DatabaseState)][3:]:
        del state[name]
    found = wire.decode_report("sites/dc1", json.dumps(data).encode())
    expected = DatabaseState(
        name=DatabaseName("ledger"), kind=DatabaseKind.POSTGRES, liveness=Liveness.RUNNING
    )
    assert found.services[0].databases[0].state == expected


def test_a_closing_that_tells_neither_when_nor_what_failed_is_read() -> None:
    closing = {"site": "dc2", "order": 4}
    value = _changed(wire.encode_report(_report()), ["services", 0, "closings"], [closing])
    found = wire.decode_report("sites/dc1", value).services[0].closings
    assert found == (Closing(site=SiteName("dc2"), order=4, at="", failed=()),)


@pytest.mark.parametrize(
    ("path", "new", "field"),
    [
        (["format"], 2, "format"),
        (["format"], True, "format"),
        (["site"], None, "site"),
        (["site"], "dc2", "site"),
        (["site"], "a/b", "site"),
        (["services"], {}, "services"),
        (["services", 0], [], "services[0]"),
        (["services", 0, "epoch"], -1, "services[0].epoch"),
        (["services", 0, "epoch"], 2**32, "services[0].epoch"),
        (["services", 0, "epoch"], 7.0, "services[0].epoch"),
        (["services", 0, "epoch"], True, "services[0].epoch"),
        (["services", 0, "role"], "king", "services[0].role"),
        (["services", 0, "healthy"], 1, "services[0].healthy"),
        (["services", 0, "reason"], 5, "services[0].reason"),
        (["services", 0, "seen"], [], "services[0].seen"),
        (["services", 0, "seen", "dc2", "data_s"], "soon", "services[0].seen.dc2.data_s"),
        (["services", 0, "seen", "dc2", "data_s"], 10**400, "services[0].seen.dc2.data_s"),
        (["services", 0, "seen", "dc 2"], {}, "services[0].seen.dc 2"),
        (
            ["services", 0, "databases", 0, "state", "position", "text"],
            "0-1-2",
            "services[0].databases[0].state.position",
        ),
        (
            ["services", 0, "databases", 0, "state", "position", "text"],
            "0/\u0663",
            "services[0].databases[0].state.position",
        ),
        (
            ["services", 0, "databases", 0, "state", "position"],
            {"epoch": 1, "format": "mariadb_gtid", "text": "0-1-" + "9" * 5000},
            "services[0].databases[0].state.position",
        ),
    ],
)
def test_what_does_not_fit_is_named(path: list[str | int], new: object, field: str) -> None:
    value = _changed(wire.encode_report(_report()), path, new)
    with pytest.raises(wire.BadRecord) as caught:
        wire.decode_report("sites/dc1", value)
    assert caught.value.key == "sites/dc1"
    assert caught.value.field == field


def test_missing_field_without_a_default_is_named() -> None:
    data = json.loads(wire.encode_epoch(_epoch_record()))
    del data["holder"]
    with pytest.raises(wire.BadRecord, match="services/wallet/epoch: holder: is missing"):
        wire.decode_epoch("services/wallet/epoch", json.dumps(data).encode(), 1)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format":1,"epoch":NaN}',
        b'{"format":1,"epoch":' + b"9" * 5000 + b"}",
        b"x not deflated",
        zlib.compress(b'{"format":1}')[:-3],
        zlib.compress(b" " * (wire.UNPACKED_BYTES_MAX + 1)),
        b" " * (wire.STORED_BYTES_MAX + 1),
    ],
)
def test_garbage_is_a_bad_record(value: bytes) -> None:
    with pytest.raises(wire.BadRecord, match="sites/dc1"):
        wire.decode_report("sites/dc1", value)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(zlib.compress))
def test_no_bytes_raise_anything_else(value: bytes) -> None:
    with pytest.raises(wire.BadRecord):
        wire.decode_epoch("services/wallet/epoch", value, 1)


@given(
    st.sampled_from(["site", "services", "boot", "role", "seen", "databases", "state"]), json_values
)
def test_no_json_raises_anything_else(name: str, new: object) -> None:
    """Wherever a foreign value is put, the answer is a report or a BadRecord."""
    data = json.loads(wire.encode_report(_report()))
    service = data["services"][0]
    for spot in (data, service, service["databases"][0], service["databases"][0]["state"]):
        kept = spot.get(name)
        spot[name] = new
        with suppress(wire.BadRecord):
            wire.decode_report("sites/dc1", json.dumps(data).encode())
        spot[name] = kept


def test_owned_epoch_is_at_least_one() -> None:
    value = wire.encode_epoch(replace(_epoch_record(), epoch=Epoch(0)))
    with pytest.raises(wire.BadRecord, match="epoch"):
        wire.decode_epoch("services/wallet/epoch", value, 1)


def test_history_under_another_epochs_key_is_refused() -> None:
    change = wire.Change(
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
    with pytest.raises(wire.BadRecord, match="history/wallet/8: epoch"):
        wire.decode_change("history/wallet/8", wire.encode_change(change))


def test_thousand_services_fit_one_report() -> None:
    report = _report()
    many = tuple(
        replace(report.services[0], service=ServiceName(f"service-{n}"), rule=n)
        for n in range(1000)
    )
    large = replace(report, services=many)
    value = wire.encode_report(large)
    assert len(value) < wire.STORED_BYTES_MAX // 4
    assert wire.decode_report("sites/dc1", value) == large


def test_too_large_a_record_is_never_written() -> None:
    with pytest.raises(wire.BadRecord, match="more than a record may have"):
        wire.encode_report(replace(_report(), boot="x" * wire.UNPACKED_BYTES_MAX))


def test_long_reason_is_clipped_so_that_a_takeover_can_be_recorded() -> None:
    value = wire.encode_epoch(replace(_epoch_record(), reason="why " * 100_000))
    assert len(wire.decode_epoch("k", value, 1).reason) == wire.SENTENCE_LENGTH_MAX


@pytest.mark.parametrize(
    ("key", "service"),
    [
        ("services/wallet/epoch", "wallet"),
        ("services/wallet/epochs", None),
        ("services//epoch", None),
        ("services/a/b/epoch", None),
        ("services/a b/epoch", None),
        ("sites/dc1", None),
    ],
)
def test_epoch_keys_are_told_from_others(key: str, service: str | None) -> None:
    assert wire.service_of_epoch_key(key) == service


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("history/wallet/7", ("wallet", 7)),
        ("history/wallet/07", None),
        ("history/wallet/0", None),
        ("history/wallet/4294967296", None),
        ("history/wallet/-1", None),
    ],
)
def test_history_keys_are_told_from_others(key: str, found: tuple[str, int] | None) -> None:
    assert wire.change_of_key(key) == found


def test_orders_of_weights_stand_in_a_row_of_their_own() -> None:
    assert f"{wire.WEIGHTS}{wire.request_key(WALLET, 7)}" == "weights/requests/wallet/7"
