"""Clients that wait while a service moves: the figures, and one real move each way."""

import os
import shutil
from typing import Any

import pytest

from lab.holding import pgbouncer
from lab.holding.series import HoldBench, figures, render
from lab.holding.world import EACH_KIND


def run(way: str, failed: int, stall_s: float) -> dict[str, Any]:
    met = {
        "requests": 10,
        "failed": failed,
        "stall_s": stall_s,
        "slowest_s": stall_s,
        "errors": {"refused": failed} if failed else {},
    }
    return {
        "protocol": "HTTP",
        "way": way,
        "held_s": 0.65,
        "kinds": {"new connection": met},
        "missing": 0,
    }


def test_the_moves_of_a_way_are_one_row() -> None:
    rows = figures([run("gate", 0, 0.7), run("none", 3, 0.6), run("gate", 1, 0.9)])
    assert [(row["way"], row["moves"], row["requests"], row["failed"]) for row in rows] == [
        ("none", 1, 10, 3),
        ("gate", 2, 20, 1),
    ]
    assert [row["longest_stall_s"] for row in rows] == [0.6, 0.9]
    assert rows[0]["error"] == "refused"


def test_the_table_has_a_line_for_each_row_and_says_what_is_missing() -> None:
    text = render({"figures": figures([run("gate", 0, 0.7)]), "missing": 2})
    assert "HTTP  new connection    gate" in text
    assert text.endswith("does not have: 2")


@pytest.mark.contract
@pytest.mark.timeout(60)
@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
async def test_clients_wait_at_the_gate_and_fail_without_one(protocol: str) -> None:
    bench = HoldBench(print, runs=1)
    held = (await bench.once(protocol, "gate"))["kinds"]
    bare = (await bench.once(protocol, "none"))["kinds"]
    # A line that is under way over TCP when its server goes is cut: at most one of each client.
    assert held["new connection"]["failed"] <= (0 if protocol == "HTTP" else EACH_KIND)
    assert held["kept connection"]["failed"] <= (0 if protocol == "HTTP" else EACH_KIND)
    assert held["new connection"]["stall_s"] > 0.6
    assert min(met["failed"] for met in bare.values()) > 2 * EACH_KIND


@pytest.mark.contract
@pytest.mark.timeout(90)
@pytest.mark.skipif(os.geteuid() != 0, reason="starts servers as another user")
async def test_a_pair_of_servers_changes_places_and_no_acknowledged_row_is_missing() -> None:
    """New sessions wait at the gate; those that were open are cut, and their next use fails."""
    held = await HoldBench(print, runs=1).once("SQL", "gate")
    assert held["missing"] == 0
    assert held["kinds"]["new session"]["failed"] <= EACH_KIND  # those that were open
    assert held["kinds"]["new session"]["stall_s"] > 0.6
    assert 0 < held["kinds"]["kept session"]["failed"] <= EACH_KIND


@pytest.mark.contract
@pytest.mark.timeout(90)
@pytest.mark.skipif(os.geteuid() != 0, reason="starts servers as another user")
@pytest.mark.skipif(shutil.which(pgbouncer.PROGRAM) is None, reason="no pgbouncer here")
async def test_sessions_at_pgbouncer_outlive_the_move() -> None:
    held = await HoldBench(print, runs=1).once("SQL", "pgbouncer, transaction")
    assert held["missing"] == 0
    assert {kind: met["failed"] for kind, met in held["kinds"].items()} == {
        "new session": 0,
        "kept session": 0,
        "pool that looks": 0,
    }
