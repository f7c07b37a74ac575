"""A lab daemon that runs with a changed file finds a right one, and means what was meant."""

from pathlib import Path

import pytest
import yaml

from bgp.route import Prefix
from controller.config.cluster import Cluster
from controller.config.load import inspect_text
from controller.config.services import ProbeKind, ProbeScope
from controller.config.speaker_spec import speaker_spec
from controller.core.model import Durability, SiteName
from controller.core.requests import Kind
from controller.core.terms import own_terms
from controller.daemon.wiring import chain_probe, service_spec
from lab.scenario.settings import (
    Change,
    depends_on_payments,
    leased_wallet,
    more_specifics,
    needs_approval,
)

TRUE = (Path(__file__).parents[2] / "lab/containerlab/nodes/tricast.yml").read_text()


def changed(*changes: Change) -> Cluster:
    """The lab's cluster with these changes."""
    whole = yaml.safe_load(TRUE)
    for change in changes:
        change(whole)
    found = inspect_text(yaml.safe_dump(whole), "tricast.yml")
    assert found.problems == ()
    assert found.cluster is not None
    return found.cluster


def test_moves_may_need_approvals() -> None:
    cluster = changed(needs_approval("switchover"), needs_approval("failover"))
    assert cluster.requests.approvals == {Kind.SWITCHOVER: 1, Kind.FAILOVER: 1}
    assert changed().requests.approvals == {}


@pytest.mark.parametrize("scope", ProbeScope)
def test_every_service_may_depend_on_payments(scope: ProbeScope) -> None:
    for service in changed(depends_on_payments(scope.value)).services:
        link = service.probes[-1]
        assert (link.name, link.kind, link.scope) == ("payments", ProbeKind.EXEC, scope)
        assert chain_probe(link, "payments", 0.2) is not None


def test_providers_may_take_halves_of_every_prefix() -> None:
    cluster = changed(more_specifics)
    for service in cluster.services:
        halves = service_spec(cluster, service).more_specifics
        assert len(halves) == 2 * len(service.prefixes)
        assert frozenset(halves) <= {half.text for half in _halves_told(cluster, service.name)}
    assert not any(service_spec(changed(), found).more_specifics for found in changed().services)


def _halves_told(cluster: Cluster, service: str) -> tuple[Prefix, ...]:
    return speaker_spec(cluster, SiteName("dc1")).halves_of(service)


def test_a_leased_wallet_has_other_terms_and_the_lobby_the_same() -> None:
    true, other = changed(), changed(leased_wallet)
    (wallet, lobby), (leased, same) = true.services, other.services
    assert leased.durability is Durability.LEASE
    assert own_terms(service_spec(true, wallet)) != own_terms(service_spec(other, leased))
    assert own_terms(service_spec(true, lobby)) == own_terms(service_spec(other, same))
