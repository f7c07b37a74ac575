import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bgp.route import Prefix
from bgp.spec import BadSpec, BgpSpec, NeighborSpec
from tests.bgp.wire import make_spec

PLAIN: dict[str, Any] = json.loads(make_spec(Path("/run/tricast")).to_json())


def read(**changes: object) -> BgpSpec:
    return BgpSpec.from_json(json.dumps({**PLAIN, **changes}))


def test_it_comes_back_as_it_was() -> None:
    spec = make_spec(Path("/run/tricast"), host_name="dc1-edge")
    assert BgpSpec.from_json(spec.to_json()) == spec


def test_neighbors_are_chosen_by_family() -> None:
    spec = make_spec(Path("/run/tricast"))
    for neighbor in spec.neighbors:
        assert spec.neighbors_of(neighbor.family) == (neighbor.address,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"router_id": "2001:db8::1"}, "router_id"),
        ({"router_id": "x"}, "router_id: not an IP address"),
        ({"neighbors": []}, "there must be one"),
        ({"neighbors": PLAIN["neighbors"] * 2}, "is there twice"),
        ({"local_as": 64501}, "remote_as 64501 is our own"),
        ({"local_as": 0}, "not an AS number"),
        ({"local_as": "64510"}, "local_as is not a whole number"),
        ({"stances": {"override": 0, "preferred": 0, "backup": 3, "isolated": 5}}, "preferred"),
        ({"allowed_prefixes": ["192.0.2.0/24"]}, "not inside allowed_prefixes"),
        ({"services": {"a": ["192.0.2.0/24"], "b": ["192.0.2.0/24"]}}, "belongs to a and to b"),
        ({"services": {"A b": []}}, "use a-z"),
        ({"services": {"a": ["192.0.2.1/24"]}}, "not a prefix"),
        ({"services": {"a": "192.0.2.0/24"}}, "is not a list"),
        ({"permit_s": 0}, "permit_s"),
        ({"permit_s": "2"}, "permit_s is not a number"),
        ({"permit_s": True}, "permit_s is not a number"),
        ({"router_id": 7}, "router_id is not a text"),
        ({"refresh_s": 1e9}, "refresh_s"),
        ({"socket_path": "speaker.sock"}, "must be absolute"),
        ({"host_name": "a;b"}, "host_name"),
        ({"color": 1}, "color is not a known key"),
    ],
)
def test_what_cannot_run_is_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadSpec, match=message):
        read(**changes)


@pytest.mark.parametrize("key", sorted(PLAIN))
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(BadSpec, match=f"{key} is missing"):
        BgpSpec.from_json(json.dumps({k: v for k, v in PLAIN.items() if k != key}))


def test_unknown_stances_and_other_files_are_refused() -> None:
    with pytest.raises(BadSpec, match="best"):
        read(stances={**PLAIN["stances"], "best": 0})
    for text in ("", "[]", "{"):
        with pytest.raises(BadSpec):
            BgpSpec.from_json(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"address": "2001:db8::1"}, "another family"),
        ({"address": "isp1"}, "not an IP address"),
        ({"remote_as": 0}, "not an AS number"),
        ({"hold_s": 2}, "hold_s 2"),
        ({"hold_s": 70000}, "hold_s 70000"),
    ],
)
def test_neighbors_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    good = NeighborSpec(address="203.0.113.1", local_address="203.0.113.2", remote_as=64501)
    with pytest.raises(BadSpec, match=message):
        replace(good, **changes)


def test_more_specifics_of_an_allowed_block_are_allowed() -> None:
    spec = make_spec(Path("/run"), services={"wallet": (Prefix("198.51.100.128/25"),)})
    assert spec.services["wallet"] == (Prefix("198.51.100.128/25"),)
