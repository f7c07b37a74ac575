"""What a heartbeat tells of the other sites is read as it was seen, or as never seen."""

import json
from typing import Any

import pytest

from controller.core import heartbeat, sightings
from controller.core.heartbeat import Datagram
from controller.core.model import FOREVER_S, Seen, ServiceName, SiteName

DC1, DC2, WITNESS = SiteName("dc1"), SiteName("dc2"), SiteName("witness")
LOBBY, WALLET = ServiceName("lobby"), ServiceName("wallet")
SEEN = Seen(control_s=0.25, front_s=0.5, data_s=1.5)
SLOW = Seen(control_s=0.25, front_s=0.5, data_s=3.0)
OLD = Seen(control_s=9e9, front_s=9e9, data_s=9e9)
NEVER = Seen(control_s=FOREVER_S, front_s=FOREVER_S, data_s=FOREVER_S)


def test_each_service_is_read_as_it_was_seen() -> None:
    never = dict.fromkeys((WALLET, LOBBY), NEVER)
    payload = sightings.tell({DC1: {WALLET: SEEN, LOBBY: SLOW}, WITNESS: never})
    for services in ((WALLET, LOBBY), (LOBBY, WALLET)):
        assert sightings.told(payload, DC1, WALLET, services) == SEEN
        assert sightings.told(payload, DC1, LOBBY, services) == SLOW
        for site in (WITNESS, DC2):
            assert sightings.told(payload, site, WALLET, services) == NEVER


def test_milliseconds_are_told_and_what_is_older_than_hours_is_all_the_same() -> None:
    seen = Seen(control_s=0.0129, front_s=12_345.6, data_s=FOREVER_S)
    payload = sightings.tell({DC1: {WALLET: seen}})
    assert payload["seen"] == {"dc1": {"c": 12, "f": 9_999_999, "d": [-1]}}
    assert sightings.told(payload, DC1, WALLET, (WALLET,)) == Seen(
        control_s=0.012, front_s=9999.999, data_s=FOREVER_S
    )


def test_what_is_seen_this_very_moment_is_seen() -> None:
    now = Seen(control_s=0.0, front_s=0.0004, data_s=0.0)
    payload = sightings.tell({DC1: {WALLET: now}})
    assert sightings.told(payload, DC1, WALLET, (WALLET,)) == Seen(
        control_s=0.0, front_s=0.0, data_s=0.0
    )


def test_two_versions_know_the_same_services_by_the_same_fingerprint() -> None:
    assert sightings.tell({DC1: {WALLET: SEEN, LOBBY: SLOW}})["of"] == "832e78ec"


def test_a_site_seen_for_no_service_is_told_as_never_seen() -> None:
    assert sightings.told(sightings.tell({DC1: {}}), DC1, WALLET, ()) == NEVER


@pytest.mark.parametrize("services", [(WALLET,), (WALLET, ServiceName("shop"))])
def test_with_other_services_only_what_is_common_to_all_is_read(services: Any) -> None:
    payload = sightings.tell({DC1: {WALLET: SEEN, LOBBY: SLOW}})
    told = sightings.told(payload, DC1, WALLET, services)
    assert (told.control_s, told.front_s, told.data_s) == (0.25, 0.5, FOREVER_S)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"seen": 3},
        {"seen": {"dc1": []}},
        {"seen": {"dc1": {"c": True, "f": -2, "d": 7}}},
        {"seen": {"dc1": {"c": 10_000_000, "f": "1", "d": [1]}}, "of": "x"},
        {"seen": {"dc1": {"d": [1, 2]}}, "of": sightings.tell({DC1: {WALLET: SEEN}})["of"]},
        {"seen": {"dc1": {"d": [1.5]}}, "of": sightings.tell({DC1: {WALLET: SEEN}})["of"]},
    ],
)
def test_garbage_is_read_as_never_seen(payload: dict[str, Any]) -> None:
    assert sightings.told(payload, DC1, WALLET, (WALLET,)) == NEVER


def test_what_may_have_to_be_told_fits_to_the_byte() -> None:
    names = [ServiceName(f"service-{number}") for number in range(25)]
    fitting = []
    for length in range(1, 64):
        sites = (DC1, DC2, SiteName("w" * length))
        worst = sightings.tell({site: dict.fromkeys(names, OLD) for site in sites})
        size = len(json.dumps(worst, separators=(",", ":")))
        fitting.append(sightings.fit(sites, names))
        assert fitting[-1] is (size <= heartbeat.PAYLOAD_BYTES_MAX)
    assert set(fitting) == {True, False}


def test_as_many_services_as_fit_make_a_datagram() -> None:
    sites = (DC1, DC2, WITNESS)
    names = [ServiceName(f"a-service-with-a-long-name-{number}") for number in range(100)]
    most = max(count for count in range(100) if sightings.fit(sites, names[:count]))
    assert most == 26
    worst = {site: dict.fromkeys(names[:most], OLD) for site in sites}
    datagram = Datagram(
        cluster="c" * 63,
        sender="s" * 63,
        receiver="r" * 63,
        boot="b" * 16,
        number=2**63 - 1,
        echoes={f"{number:016d}": 2**63 - 1 for number in range(3)},
        payload=sightings.tell(worst),
    )
    assert len(heartbeat.encode(datagram, b"k" * 32)) <= heartbeat.DATAGRAM_BYTES_MAX
