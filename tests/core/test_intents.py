"""Lanes: two intents of one thing never run side by side."""

import typing

import pytest

from bgp.policy import Stance
from controller.core import intents
from controller.core.intents import (
    Announce,
    AssumeAddresses,
    Direct,
    FenceOthers,
    ForwardStrays,
    Intent,
    Promise,
    RaiseEpoch,
    RenewLease,
    SetGate,
    StartDatabase,
    lane,
    name,
)
from controller.core.model import DatabaseName, Epoch

LEDGER = DatabaseName("ledger")
RAISE = RaiseEpoch(epoch=Epoch(2), kind="", reason="", expected_revision=0, previous=None)


@pytest.mark.parametrize(
    ("intent", "queue"),
    [
        (RAISE, "epoch"),
        (RenewLease(expected_revision=1, renewal=1), "epoch"),
        (Promise(epoch=Epoch(2)), "promise"),
        (Direct(site=None), "traffic"),
        (Announce(stance=Stance.BACKUP, epoch=Epoch(2)), "routes"),
        (FenceOthers(epoch=Epoch(2)), "fence"),
        (AssumeAddresses(), "addresses"),
        (ForwardStrays(site=None), "strays"),
        (StartDatabase(database=LEDGER), "database:ledger"),
        (SetGate(database=DatabaseName("journal"), opened=True), "database:journal"),
    ],
)
def test_every_intent_has_its_lane(intent: Intent, queue: str) -> None:
    assert lane(intent) == queue


def test_no_kind_of_intent_is_without_a_lane() -> None:
    kinds = set(typing.get_args(intents.Intent))
    of_databases = {kind for kind in kinds if "database" in kind.__slots__}
    assert of_databases | set(intents._LANES) == kinds
    assert set(typing.get_args(intents.Database)) == of_databases


def test_an_intent_is_called_by_its_kind() -> None:
    assert name(Promise(epoch=Epoch(2))) == "Promise"
