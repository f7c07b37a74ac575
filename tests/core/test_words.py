"""Words that stand in records, logs and files of other versions: none may change by accident."""

from enum import StrEnum

import pytest

from controller.core import wire
from controller.core.heartbeat import DropReason
from controller.core.intents import (
    ADDRESS_LANE,
    EPOCH_LANE,
    FENCE_LANE,
    PROMISE_LANE,
    ROUTES_LANE,
    TRAFFIC_LANE,
)
from controller.core.model import (
    DatabaseKind,
    Durability,
    Epoch,
    Liveness,
    Outcome,
    Role,
    ServiceName,
    SiteKind,
    SiteName,
)
from controller.core.position import LogFormat, Order
from controller.core.wants import Keep


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
        "stepping down",
        "rejoining",
        "isolated",
        "witness",
    } <= set(words(Role))


def test_lanes_and_wishes_are_called_as_in_status_and_metrics() -> None:
    lanes = (EPOCH_LANE, PROMISE_LANE, TRAFFIC_LANE, ROUTES_LANE, ADDRESS_LANE, FENCE_LANE)
    assert lanes == ("epoch", "promise", "traffic", "routes", "addresses", "fence")
    assert Keep.KEEP.value == "keep"


def test_keys_of_the_store_are_pinned() -> None:
    service, site = ServiceName("wallet"), SiteName("dc1")
    assert wire.epoch_key(service) == "services/wallet/epoch"
    assert wire.report_key(site) == "sites/dc1"
    assert wire.change_key(service, Epoch(7)) == "history/wallet/7"
    assert wire.request_key(service, 3) == "requests/wallet/3"
    assert wire.drain_key(site) == "requests/sites/dc1"
    assert wire.service_of_epoch_key(wire.epoch_key(service)) == service
    assert wire.change_of_key(wire.change_key(service, Epoch(7))) == (service, 7)
