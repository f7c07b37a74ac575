"""A planned switchover under load, as an operator types it: requests wait, and go on.

No request fails and no connection is reset, unless a hand-over took longer than a request may wait,
which happens where one busy machine plays fifteen nodes.
"""

import json
from collections import Counter

import pytest

from controller.web.schema import Move
from lab.client.attempts import Attempt, Outcome
from lab.netns.inside import Finished
from tests.lab.system import PYTHON, System, edge

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

GATE_S = 2.0


async def tricast(system: System, site: str, *words: str) -> Finished:
    """What the command line says on the node of `site`."""
    program = ["env", "PYTHONPATH=/opt/tricast", PYTHON, "-m", "controller.cli.main"]
    return await system.lab.run(edge(site), [*program, *words], check=False, deadline_s=60)


def longest(attempts: list[Attempt]) -> float:
    """The longest that one request took."""
    return max((attempt.latency_s for attempt in attempts), default=0.0)


async def moved(system: System, asked_at: str, target: str) -> None:
    """`target` serves. On a busy machine a hand-over may take too long and be taken back, which no
    client may notice either; then it is asked for again.
    """
    for _ in range(4):
        await system.settled()
        epoch = await system.epoch(asked_at)
        done = await tricast(
            system, asked_at, "switchover", "--service", "wallet", "--to", target,
            "--reason", "patches", "--yes", "--json",
        )  # fmt: skip
        request = Move.model_validate_json(done.stdout)
        if done.code == 0:
            assert (request.state, request.target) == ("done", target)
            assert request.change is not None
            assert (request.change.epoch, request.change.outcome) == (epoch + 1, "ok")
            assert {loss.acknowledged for loss in request.change.losses} == {"none"}
            change = await system.change(target, epoch + 1)
            assert (change["kind"], change["asked_by"]) == ("handover", "root")
            return
        assert (done.code, request.state) == (1, "failed"), done.stderr
    raise AssertionError(f"not moved: {request.state_why}")


async def test_there_and_back_under_load(system: System) -> None:
    home, away = await system.settled()
    async with system.load("client1", "client2", rate=40, timeout_s=4.0) as load:
        for target, asked_at in ((away, home), (home, home)):
            await moved(system, asked_at, target)
        await load.acked(40)
    assert load.writers.keys() == {"client1", "client2"}
    answered = {
        node: [a for a in writer.log().attempts if a.outcome is Outcome.OK]
        for node, writer in load.writers.items()
    }
    stalls = {node: round(longest(attempts), 3) for node, attempts in answered.items()}
    counts = {node: len(attempts) for node, attempts in answered.items()}
    failed = Counter(f"{a.edge} {a.site} {a.status} {a.detail[:60]}" for a in load.not_ok())
    print(json.dumps({"answered": counts, "failed": failed, "longest_s": stalls}))  # noqa: T201
    assert [a for a in load.not_ok() if "reset" in a.detail] == []
    if max(stalls.values()) < GATE_S:  # nobody waited longer than a gate lets them
        assert not failed
    await system.intact(load)


async def test_a_candidate_that_is_not_there_is_refused_and_nobody_notices(
    system: System,
) -> None:
    holder, other = await system.settled()
    async with system.load(rate=40, timeout_s=4.0) as load:
        system.stop_daemon(other)
        refused = await tricast(
            system, holder, "switchover", "--service", "wallet", "--to", other, "--yes"
        )
        assert refused.code in (1, 3), refused.stderr
        assert await system.holder() == holder
        await load.acked(20)
        assert load.not_ok() == []
        await system.restart_daemon(other)
    await system.intact(load)
