"""The canary against a real web server: what is a good answer, and what is said of any other."""

import asyncio
import socket
import time

import pytest

from controller.cli.drill_canary import Canary, asked_once, site_of
from controller.drill.measure import Sample
from tests.drill.stage import Address, served


def once(url: str, patience_s: float) -> Sample:
    canary = Canary(url, patience_s=patience_s)
    asyncio.run(canary.once())
    (found,) = canary.samples
    return found


@pytest.mark.parametrize(
    ("status", "tells", "ok", "site", "detail"),
    [
        (200, True, True, "dc2", ""),
        (204, False, True, "", ""),
        (200, False, True, "", ""),
        (302, True, False, "", "status 302"),
        (503, True, False, "", "status 503"),
    ],
)
def test_what_is_a_good_answer(status: int, tells: bool, ok: bool, site: str, detail: str) -> None:
    address = Address(site=lambda: "dc2", status=status, tells=tells)
    with served(address):
        found = asked_once(address.url)
    assert (found.ok, found.site, found.detail) == (ok, site, detail)
    assert found.ended_s >= found.sent_s


def test_an_answer_that_does_not_come_is_given_up() -> None:
    address = Address(site=lambda: "dc2", silent_s=0.5)
    with served(address):
        found = once(address.url, patience_s=0.05)
    assert (found.ok, found.detail) == (False, "no answer within 0.05 s")


def test_an_address_where_nobody_listens_is_said_to_be_one() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        found = asked_once(f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert not found.ok
    assert found.detail.startswith("no connection: ")


def test_a_request_that_hangs_hides_none_that_does_not() -> None:
    address = Address(site=lambda: "dc2")
    with served(address), Canary(address.url, every_s=0.02, patience_s=5.0) as canary:
        until = time.monotonic() + 20
        while len(canary.samples) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        address.silent_s, before = 2.0, canary.now_s()
        while address.asked < len(canary.samples) + 3 and time.monotonic() < until:
            time.sleep(0.01)
        address.silent_s = 0.0
        while not any(s.sent_s > before for s in list(canary.samples)):
            assert time.monotonic() < until
            time.sleep(0.01)
        quick = next(s for s in canary.samples if s.sent_s > before)
        assert quick.ended_s - quick.sent_s < 2.0
    assert all(sample.ok for sample in canary.samples)
    assert max(s.ended_s - s.sent_s for s in canary.samples) >= 2.0
    assert canary.failures() == {}


@pytest.mark.parametrize(
    ("body", "site"),
    [
        (b'{"site": "dc1"}', "dc1"),
        (b'{"site": 7}', ""),
        (b"[1]", ""),
        (b"\xff", ""),
        (b"fine", ""),
        (b"", ""),
    ],
)
def test_the_site_of_an_answer(body: bytes, site: str) -> None:
    assert site_of(body) == site
