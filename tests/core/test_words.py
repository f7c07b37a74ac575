"""Words that stand in records, logs and files of other versions: none may change by accident."""

import math
from dataclasses import MISSING, fields
from enum import StrEnum
from typing import Any

import pytest

from controller.core import wire
from controller.core.heartbeat import DropReason
from controller.core.intents import (
    ADDRESS_LANE,
    EPOCH_LANE,
    FENCE_LANE,
    ORDER_LANE,
    PROMISE_LANE,
    REQUEST_LANE,
    ROUTES_LANE,
    TRAFFIC_LANE,
    RaiseEpoch,
)
from controller.core.model import (
    FOREVER_S,
    NO_EPOCH,
    DatabaseKind,
    DatabaseState,
    Durability,
    Epoch,
    EpochRecord,
    Liveness,
    Outcome,
    Role,
    Seen,
    ServiceName,
    ServiceReport,
    SiteKind,
    SiteName,
    VoterState,
)
from controller.core.position import LogFormat, Order
from controller.core.requests import CLOSED, DRAIN_NUMBER, STANDING, Kind, Request, State
from controller.core.view import OtherSite, OwnSide, ServiceSpec, View
from controller.core.wants import Keep
from tests.core.views import dc2_view


def words(kind: type[StrEnum]) -> list[str]:
    return [str(member) for member in kind]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (SiteKind, ["data", "witness"]),
        (DatabaseKind, ["postgres", "mariadb", "mysql"]),
        (Durability, ["quorum", "lease"]),
        (Outcome, ["ok", "failed", "unknown"]),
        (Liveness, ["running", "starting", "down", "unknown"]),
        (Order, ["behind", "equal", "ahead", "diverged"]),
        (
            Kind,
            [
                *("switchover", "failover", "pause", "ack", "force-single", "drain", "fence"),
                *("weights", "rejoin", "reinit", "demote-voter", "promote-voter"),
            ],
        ),
        (State, ["open", "running", "done", "failed", "refused", "lapsed", "withdrawn"]),
        (LogFormat, ["lsn", "mariadb_gtid", "mysql_gtid"]),
        (
            DropReason,
            [
                "oversized",
                "truncated",
                "foreign",
                "forged",
                "malformed",
                "wrong cluster",
                "unknown sender",
                "wrong receiver",
                "old boot",
                "unproven",
                "replayed",
            ],
        ),
    ],
)
def test_words_of_records_and_logs_are_pinned(kind: type[StrEnum], expected: list[str]) -> None:
    assert words(kind) == expected


def test_roles_of_older_versions_are_still_known() -> None:
    assert {
        "starting",
        "standby",
        "taking over",
        "primary",
        "handing over",
        "stepping down",
        "rejoining",
        "isolated",
        "witness",
    } <= set(words(Role))


def test_lanes_and_wishes_are_called_as_in_status_and_metrics() -> None:
    lanes = (EPOCH_LANE, PROMISE_LANE, TRAFFIC_LANE, ROUTES_LANE, ADDRESS_LANE, FENCE_LANE)
    assert lanes == ("epoch", "promise", "traffic", "routes", "addresses", "fence")
    assert (REQUEST_LANE, ORDER_LANE) == ("request", "order")
    assert (Keep.KEEP.value, Keep.HOLD.value) == ("keep", "hold")


def test_keys_of_the_store_are_pinned() -> None:
    service, site = ServiceName("wallet"), SiteName("dc1")
    assert wire.epoch_key(service) == "services/wallet/epoch"
    assert wire.report_key(site) == "sites/dc1"
    assert wire.change_key(service, Epoch(7)) == "history/wallet/7"
    assert wire.request_key(service, 3) == "requests/wallet/3"
    assert wire.drain_key(site) == "requests/sites/dc1"
    assert wire.fence_key(site) == "fences/dc1"
    assert wire.service_of_epoch_key(wire.epoch_key(service)) == service
    assert wire.change_of_key(wire.change_key(service, Epoch(7))) == (service, 7)


DEFAULTS: dict[type, dict[str, Any]] = {
    ServiceSpec: {"min_healthy": 1, "max_lag_bytes": 0},
    OwnSide: {
        "databases": (),
        "promised": 0,
        "fenced": 0,
        "front_ok": True,
        "held": False,
        "held_s": 0.0,
        "can_hold": True,
        "in_flight": 0,
        "apps_up": 0,
        "apps_total": 0,
        "stance": None,
        "stance_epoch": 0,
        "sessions_up": 0,
        "sessions_total": 0,
        "addresses_missing": False,
        "canary_age_s": FOREVER_S,
        "lease_left_s": 0.0,
        "failing": (),
    },
    OtherSite: {"report_age_s": FOREVER_S},
    Seen: {"control_s": FOREVER_S, "front_s": FOREVER_S, "data_s": FOREVER_S},
    View: {
        "record": None,
        "record_seen_s": FOREVER_S,
        "record_unchanged_s": 0.0,
        "store_ok": False,
        "paused": "",
        "changed_s": FOREVER_S,
        "raised_here": False,
        "busy": frozenset(),
    },
    DatabaseState: {
        "writable": False,
        "epoch": 0,
        "quarantined": False,
        "receiving": False,
        "streaming": False,
        "diverged": False,
        "gate_open": False,
        "waiting_commits": 0,
        "alone": False,
        "lag_bytes": None,
    },
    VoterState: {"following": None, "following_epoch": 0, "streaming": False, "whole": True},
    EpochRecord: {"request": 0, "renewal": 0, "revision": 0, "previous": None, "excused": ()},
    Request: {
        "service": None,
        "target": "",
        "reason": "",
        "epoch": 0,
        "holder": "",
        "revision": 0,
        "plan": "",
        "allow_data_loss": False,
        "excused": (),
        "statement": "",
        "not_before_s": 0.0,
        "expires_s": 120.0,
        "lasts_s": FOREVER_S,
        "approvals_needed": 0,
        "approvals": (),
        "state": State.OPEN,
        "state_by": "",
        "state_why": "",
        "state_at": "",
    },
    RaiseEpoch: {"asked_by": "", "request": 0, "holder": None, "excused": ()},
    ServiceReport: {
        "yielding": "",
        "failing": (),
        "terms": "",
        "lands_at": "",
        "gate": True,
        "held": False,
        "quiet": False,
        "moving": False,
        "fenced": (),
        "closings": (),
    },
}


@pytest.mark.parametrize("kind", DEFAULTS, ids=lambda kind: kind.__name__)
def test_what_is_not_known_or_not_written_means_the_careful_thing(kind: Any) -> None:
    """An older version does not write a field; a daemon has not looked yet."""
    found = {field.name: field.default for field in fields(kind)}
    assert {name: found[name] for name in DEFAULTS[kind]} == DEFAULTS[kind]


def test_some_orders_stand_until_they_are_ended() -> None:
    assert frozenset({Kind.PAUSE, Kind.FORCE_SINGLE, Kind.DRAIN, Kind.FENCE}) == STANDING
    assert frozenset(State) - {State.OPEN, State.RUNNING} == CLOSED
    assert DRAIN_NUMBER == 1


def test_forever_is_infinite_and_no_epoch_is_zero() -> None:
    assert math.inf == FOREVER_S
    assert NO_EPOCH == 0
    assert EpochRecord.__dataclass_fields__["kind"].default is MISSING
    assert dict(OwnSide().commit_age_s) == {}
    assert dict(OtherSite(report=None).seen_by) == {}
    first = dc2_view()
    alone = View(now=first.now, me=first.me, spec=first.spec, own=first.own)
    assert (dict(alone.others), dict(alone.drains)) == ({}, {})


def test_the_limits_of_records_are_what_two_versions_agree_on() -> None:
    assert wire.FORMAT == 1
    assert wire.EPOCH_MAX == 0xFFFFFFFF  # a timeline of PostgreSQL has 32 bits
    assert wire.STORED_BYTES_MAX == 1 << 20  # the store refuses above 1.5 MiB
    assert wire.UNPACKED_BYTES_MAX == 8 << 20
    assert wire.DEFLATED_ABOVE_BYTES == 64 << 10
    assert wire.SENTENCE_LENGTH_MAX == 1000
