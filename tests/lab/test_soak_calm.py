"""What must not happen at rest is found in what clients, daemons and the store say."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from lab.client.attempts import Attempt, Outcome
from lab.rehearsal.rest import cpu_s
from lab.scenario.words import World
from lab.soak.calm import scenario
from lab.soak.calm_figures import (
    Calm,
    Window,
    complaints,
    line,
    render,
    report,
    requests_of,
    said,
    yielding,
)
from lab.soak.load import busy

QUIET = Window(seconds=60.0, requests=2400, slowest_s=0.2, longest_gap_s=0.3, late=2, reports=200)
CALM = Calm(
    windows=(QUIET, QUIET),
    wanted_share=0.8,
    shares={0: 0.5, 1: 0.6},
    cores={0: 0.9, 1: 0.95},
)


def attempt(
    at: float, took_s: float = 0.01, outcome: Outcome = Outcome.OK, detail: str = ""
) -> Attempt:
    return Attempt(
        sent_at=at - took_s,
        at=at,
        key=f"k{at}",
        attempt=1,
        outcome=outcome,
        latency_s=took_s,
        detail=detail,
    )


def decision(**words: Any) -> str:
    usual = {
        "event": "decision",
        "timestamp": "2026-01-01T00:00:00Z",
        "site": "dc1",
        "service": "wallet",
        "role": "primary",
        "rule": 401,
        "reason": "this site owns the epoch and serves",
        "yielding": "",
    }
    return json.dumps({**usual, **words})


def test_what_happens_at_rest_is_no_complaint() -> None:
    assert complaints(CALM) == ()
    told = report(CALM)
    assert told["passed"]
    assert (told["requests"], told["late"], told["seconds"]) == (4800, 4, 120.0)
    assert render(told).endswith("calm")
    assert max(map(len, render(told).splitlines())) <= 80


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"role_changes": 1, "changes": ("dc2 took it",)}, "1 role changes: dc2 took it"),
        ({"yields": ("wallet: slow",)}, "1 times yielding: wallet: slow"),
        ({"left_roles": ("dc1 isolated",)}, "1 times in no role of rest: dc1 isolated"),
        ({"failures": ("k1 fail: 503", "k2 unknown: x")}, "2 requests failed: k1 fail: 503; k2"),
    ],
)
def test_each_thing_that_must_not_be_is_named(changed: dict[str, Any], words: str) -> None:
    found = replace(CALM, windows=(QUIET, replace(QUIET, **changed)))
    (complaint,) = complaints(found)
    assert complaint.startswith(words)
    assert not report(found)["passed"]
    assert render(report(found)).endswith("NOT calm")


def test_what_shows_nothing_is_not_calm() -> None:
    idle = replace(CALM, cores={0: 0.3, 1: 0.95})
    assert complaints(idle) == ("1 cores were not kept busy: {0: 0.3, 1: 0.95}",)
    assert complaints(replace(CALM, windows=())) == ("1 clients: no request was sent",)
    deaf = replace(CALM, windows=(QUIET, replace(QUIET, reports=0)))
    assert complaints(deaf) == ("1 parts without a report at the store",)
    assert complaints(replace(CALM, lost=3)) == ("3 acknowledged writes are missing",)
    assert complaints(replace(CALM, ended="no lab")) == ("ended early: no lab",)


def test_a_gap_is_seen_across_two_windows() -> None:
    acked_at: dict[str, float] = {}
    first = requests_of({"client1": [attempt(1.0), attempt(1.2)], "client2": []}, acked_at)
    assert (first["requests"], first["longest_gap_s"]) == (2, 0.2)
    slow = attempt(5.0, took_s=0.6)
    lost = attempt(4.0, outcome=Outcome.UNKNOWN, detail="no answer within 4 s")
    second = requests_of({"client1": [lost, slow], "client2": [attempt(4.0)]}, acked_at)
    assert second["longest_gap_s"] == 3.8
    assert second["failures"] == ("k4.0 unknown: no answer within 4 s",)
    assert (second["stalls"], second["slowest_s"]) == (1, 0.6)
    assert acked_at == {"client1": 5.0, "client2": 4.0}


def test_daemons_logs_tell_who_was_late_and_who_changed() -> None:
    found = said(
        [
            json.dumps({"event": "a site is late", "sites": {"dc2": 0.26, "witness": 0.1}}),
            json.dumps({"event": "slow report", "took_s": 0.1}),
            decision(),
            decision(role="isolated", rule=110, reason="cut off"),
            decision(yielding="the ledger stalls"),
            "not json",
        ]
    )
    assert found.late == (0.26,)
    assert len(found.changes) == 3
    assert [text.partition("Z ")[2] for text in found.left_roles] == [
        "dc1 wallet: isolated, 110: cut off"
    ]
    assert found.yields == ("dc1 wallet: primary, 401: the ledger stalls",)


def test_a_plea_for_relief_is_found_in_a_report() -> None:
    quiet = '{"site":"dc1","services":[{"service":"lobby","yielding":""}]}'
    plea = (
        '{"services":[{"service":"lobby","yielding":""},'
        '{"service":"wallet","yielding":"no \\"answer\\" for 3 s","healthy":false}]}'
    )
    assert yielding(quiet) == ()
    assert yielding(plea) == ('wallet: no \\"answer\\" for 3 s',)
    assert yielding("PUT") == ()


def test_it_begins_as_a_scenario_with_patient_clients() -> None:
    assert scenario().worlds == {World.LAB}
    assert [given.key for given in scenario().givens] == ["healthy", "patient"]


def test_a_part_is_one_line() -> None:
    assert line(3, QUIET).startswith("part 3: 2400 requests, 0 failed, slowest 0.20 s;")


async def test_the_load_spins_on_every_core_and_is_gone_afterwards() -> None:
    async with busy(0.3) as load:
        pids = {core: spinner.pid for core, spinner in load.spinners.items()}
        async with asyncio.timeout(30):
            while min(*load.shares().values(), *load.cores().values()) == 0.0:
                await asyncio.sleep(0.05)  # a core's own ticks are samples: the first may all miss
        assert max(load.cores().values()) <= 1.0
        assert set(load.cores()) == set(pids)
    assert all(spinner.returncode is not None for spinner in load.spinners.values())
    for pid in pids.values():
        with pytest.raises(FileNotFoundError):
            cpu_s(pid)
