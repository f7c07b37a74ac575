"""Objectives in the cluster file: what is taken, what is refused, what is only said."""

from pathlib import Path

import pytest

from controller.config import Inspection, Objectives, inspect_text

LAB = (Path(__file__).parents[2] / "lab/containerlab/nodes/tricast.yml").read_text()
CANARY = "    canary_url: http://198.51.100.10/whoami\n"
assert LAB.count(CANARY) == 1


def found(lines: str) -> Inspection:
    return inspect_text(LAB.replace(CANARY, lines), "x.yml")


def test_there_are_defaults_and_nobody_is_reminded() -> None:
    cluster = found(CANARY).cluster
    assert cluster is not None
    goals = cluster.service("wallet").objectives
    assert goals == Objectives()
    assert (goals.rto_s, goals.rpo_transactions, goals.drill_every_days) == (5.0, 0, 0)


def test_they_are_read() -> None:
    text = CANARY + "    objectives: {rto_s: 2.5, rpo_transactions: 3, drill_every_days: 30}\n"
    cluster = found(text).cluster
    assert cluster is not None
    goals = cluster.service("wallet").objectives
    assert (goals.rto_s, goals.rpo_transactions, goals.drill_every_days) == (2.5, 3, 30)


@pytest.mark.parametrize(
    ("lines", "key", "why"),
    [
        ("    objectives: {drill_every_days: 30}\n", "drill_every_days", "needs a canary_url"),
        (CANARY + "    objectives: {rto_s: 0}\n", "rto_s", "greater than 0"),
        (CANARY + "    objectives: {drill_every_days: -1}\n", "drill_every_days", "0"),
        (CANARY + "    objectives: {rpo: 0}\n", "rpo", "rpo_transactions"),
    ],
)
def test_what_cannot_be_is_refused(lines: str, key: str, why: str) -> None:
    (problem,) = found(lines).problems
    assert problem.key == f"services[0].objectives.{key}"
    assert why in problem.render()


def test_a_promise_that_no_failover_can_keep_is_said() -> None:
    said = [
        warning.render() for warning in found(CANARY + "    objectives: {rto_s: 0.2}\n").warnings
    ]
    assert any("rto_s = 0.2" in line and "timings.suspect_after_s" in line for line in said)
