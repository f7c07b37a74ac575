"""`tricast plan` as an operator types it at two sites, held to what the move then did.

What it says is decided again when it is asked for: the steps that are foreseen are those that are
climbed, in their order, and the wait is that of the move before.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from controller.web.history_schema import HistoryLoss
from controller.web.plan_schema import Plan, PlanLadder
from controller.web.schema import History, HistoryEntry, RequestView
from lab.netns.inside import Finished
from tests.lab.system import PYTHON, System, edge

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

SETTLED_S = 40


async def tricast(system: System, site: str, *words: str) -> Finished:
    """What the command line says on the node of `site`."""
    program = ["env", "PYTHONPATH=/opt/tricast", PYTHON, "-m", "controller.cli.main"]
    return await system.lab.run(edge(site), [*program, *words], check=False, deadline_s=60)


async def planned(system: System, site: str, *words: str, code: int = 0) -> Plan:
    """The plan as the node of `site` shows it."""
    done = await tricast(system, site, "plan", *words, "--json")
    assert done.code == code, f"{done.stdout}{done.stderr}"
    return Plan.model_validate_json(done.stdout)


def asked(target: str) -> tuple[str, ...]:
    """The move that is planned, and then asked for."""
    return "switchover", "--service", "wallet", "--to", target


def ladders(plan: Plan) -> dict[str, PlanLadder]:
    """Of the one service that moves."""
    (moved,) = plan.services
    return {ladder.ladder: ladder for ladder in moved.ladders}


def foreseen(plan: Plan) -> dict[str, tuple[str, list[tuple[str, str, bool | None]]]]:
    """Who climbs what, and which goals hold."""
    return {
        name: (ladder.site, [(step.name, step.database, step.met) for step in ladder.steps])
        for name, ladder in ladders(plan).items()
    }


async def told(system: System, site: str, epoch: int, plan: Plan) -> HistoryEntry:
    """The change that made `epoch`, once the sites have said all that was foreseen."""
    found: list[HistoryEntry] = []

    async def look() -> str:
        done = await tricast(system, site, "history", f"wallet/{epoch}", "--json")
        if done.code:
            return done.stderr
        (entry,) = History.model_validate_json(done.stdout).changes
        found[:] = [entry]
        return "; ".join(untold(plan, entry))

    await system.until(f"epoch {epoch} is told as it was foreseen", look, within_s=SETTLED_S)
    return found[0]


def untold(plan: Plan, entry: HistoryEntry) -> Iterator[str]:
    """Steps that were foreseen and not climbed, and routes that do not say what was foreseen."""
    for name in ("HAND_OVER", "TAKE_OVER", "REJOIN"):
        reached = times(entry, name)
        for step in ladders(plan)[name].steps:
            if (step.name, step.database) not in reached:
                yield f"{name}: {step.name} {step.database}".rstrip()
    said = {each.site: [stage.what for stage in each.routes] for each in entry.sites}
    for routes in plan.services[0].routes:
        if said.get(routes.site, [""])[-1:] != [routes.after[-1]]:
            yield f"routes of {routes.site}: {said.get(routes.site)}"


def times(entry: HistoryEntry, ladder: str) -> dict[tuple[str, str], float]:
    """When each step of `ladder` was first seen reached."""
    if ladder == "TAKE_OVER":
        return {
            (step.name, step.database): step.took_s or 0.0
            for step in entry.steps
            if not step.name.startswith("intent ")
        }
    return {
        (step.name, step.database): step.at_s
        for each in entry.sites
        for step in each.steps
        if step.ladder == ladder
    }


def in_order(plan: Plan, entry: HistoryEntry, ladder: str, chain: tuple[str, ...]) -> None:
    """The steps of `chain` are foreseen one after the other, and were climbed so."""
    reached = times(entry, ladder)
    steps = [(s.name, s.database) for s in ladders(plan)[ladder].steps if s.name in chain]
    assert [name for name, _ in steps] == sorted((name for name, _ in steps), key=chain.index)
    for database in {database for _, database in steps} - {""} or {""}:
        at = [reached[step] for step in steps if step[1] in ("", database)]
        assert at == sorted(at), f"{ladder} of {database}: {reached}"


def thrown_away(entry: HistoryEntry, loss: HistoryLoss) -> str:
    """The transactions that were thrown away, as the site that did so listed them; "" for none.

    PostgreSQL notes things by itself though nobody writes (who is running, a checkpoint, a hint):
    such records can lie beyond the log that was handed over. No transaction can.
    """
    told = [
        gone.what
        for site in entry.sites
        for gone in site.discarded
        if gone.database == loss.database and not gone.what.startswith("0 transactions after ")
    ]
    listed = {gone.database for site in entry.sites for gone in site.discarded}
    if loss.beyond and loss.database not in listed:
        told.append(f"unlisted: {loss.beyond}")
    return "; ".join(told)


async def moved(system: System, asked_at: str, target: str, plan: Plan) -> Finished:
    """`target` was asked to serve, by the very plan."""
    return await tricast(
        system, asked_at, *asked(target), "--plan", plan.plan, "--reason", "as planned", "--yes",
        "--json",
    )  # fmt: skip


async def by_plan(system: System, home: str, away: str) -> tuple[Plan, int]:
    """`away` serves, as it was planned. A hand-over that was too slow on a busy machine is taken
    back; then it is planned again.
    """
    for _ in range(4):
        await system.settled()
        epoch = await system.epoch(home)
        plan = await planned(system, home, *asked(away))
        done = await moved(system, home, away, plan)
        if done.code == 0:
            return plan, epoch + 1
        request = RequestView.model_validate_json(done.stdout)
        assert (done.code, request.state) == (1, "failed"), done.stderr
    raise AssertionError(f"not moved: {request.state_why}")


async def test_what_is_foreseen_at_either_site_is_what_is_done(system: System) -> None:
    home, away = await system.settled()
    here = await planned(system, home, *asked(away))
    there = await planned(system, away, *asked(away))
    assert here.accepted
    assert there.accepted
    assert here.plan == there.plan != ""
    assert (here.judge, here.services[0].begins, here.unanswered) == (home, True, ())
    assert {name: site for name, (site, _) in foreseen(here).items()} == {
        "HAND_OVER": home, "TAKE_OVER": away, "STEP_DOWN": home, "REJOIN": home,
    }  # fmt: skip
    for name, (site, steps) in foreseen(here).items():
        assert None not in {met for _, _, met in steps}, f"{name} is not known at {home}"
        assert foreseen(there)[name][0] == site
        assert [step[:2] for step in foreseen(there)[name][1]] == [step[:2] for step in steps]

    plan, epoch = await by_plan(system, home, away)
    await system.settled()
    entry = await told(system, away, epoch, plan)
    assert (entry.holder, entry.kind, entry.order and entry.order.kind) == (
        away, "handover", "switchover",
    )  # fmt: skip
    in_order(plan, entry, "HAND_OVER", ("announced", "held", "quiet", "gate_closed", "handed"))
    in_order(
        plan, entry, "TAKE_OVER",
        ("promised", "logs_sealed", "caught_up", "promoted", "admitted", "committing", "opened"),
    )  # fmt: skip
    in_order(plan, entry, "REJOIN", ("promised", "started", "sealed", "following", "voting"))
    routes = {each.site: each for each in plan.services[0].routes}
    for said in entry.sites:
        assert said.routes[0].what == routes[said.site].now
    assert {loss.database: loss.acknowledged for loss in entry.losses} == {
        "ledger": "none", "journal": "none",
    }  # fmt: skip
    for loss in entry.losses:
        assert thrown_away(entry, loss) == ""

    # The wait that is foreseen now is that of the move that was just made, as it was measured.
    back = await planned(system, away, *asked(home))
    served = [step.took_s for step in entry.steps if step.name == "serving"]
    assert back.services[0].stall_s is not None
    assert back.services[0].stall_s >= max(took for took in served if took is not None)
    assert "switchover" in back.services[0].stall_from
    assert entry.outage_s is not None
    assert entry.outage_s >= max(took for took in served if took is not None)
    print(json.dumps({"outage_s": entry.outage_s, "foreseen_s": back.services[0].stall_s}))  # noqa: T201


async def test_a_plan_of_before_is_refused_with_what_it_would_be_now(system: System) -> None:
    home, away = await system.settled()
    old = await planned(system, home, *asked(away))
    _, epoch = await by_plan(system, home, away)
    await system.settled()
    _, again = await by_plan(system, away, home)
    await system.settled()
    refused = await moved(system, home, away, old)
    assert refused.code == 3, refused.stdout
    said = f"it would move wallet from {home}, who holds epoch {again}, to {away}"
    assert said in refused.stderr
    assert (await system.holder(), await system.epoch(home)) == (home, again)
    assert again > epoch


async def test_a_failover_and_a_drain_are_foreseen_and_nothing_happens(system: System) -> None:
    home, away = await system.settled()
    epoch = await system.epoch(home)
    took: dict[str, Any] = {}
    for site in (home, away):
        plan = await planned(system, site, "failover", "--service", "wallet", "--to", away)
        assert (plan.accepted, plan.judge, plan.statement) == (True, away, "")
        assert set(ladders(plan)) >= {"TAKE_OVER"}
        drained = await planned(system, site, "drain", home)
        moved_to = {each.service: each.target for each in drained.services}
        assert (drained.accepted, moved_to["wallet"]) == (True, away)
        refused = await planned(
            system, site, "switchover", "--service", "wallet", "--to", home, code=3
        )
        assert refused.reasons
        took[site] = plan.plan
    assert took[home] == took[away]
    done = await tricast(system, home, "requests", "--json", "--service", "wallet")
    open_now = [r for r in json.loads(done.stdout)["requests"] if r["state"] in ("open", "running")]
    assert open_now == []
    assert (await system.holder(), await system.epoch(home)) == (home, epoch)


async def test_what_a_holder_that_is_cut_off_threw_away_is_told_when_it_is_back(
    system: System,
) -> None:
    home, away = await system.settled()
    epoch = await system.epoch(home)
    async with system.load("client2", rate=40) as load:
        await system.lab.cut(home)
        await system.until_held_by(away, above=epoch)
        await load.acked(20)
        await system.lab.heal(home)
    await system.intact(load)
    entry = await told_loss(system, away, home)
    assert entry.outage_s is not None
    assert 0.2 < entry.outage_s < 20
    assert entry.outage_from == f"{home} was last seen to serve"
    for loss in entry.losses:
        assert (loss.acknowledged, loss.excused) == ("none", ())
        assert away in loss.sealed
        for beyond in loss.beyond:
            assert beyond.site == home
            assert beyond.size is None or beyond.size > 0
    (outside,) = entry.outside
    assert outside.entered[0].what == home
    assert away in {stage.what for stage in outside.entered}
    print(json.dumps(entry.model_dump(include={"outage_s", "losses", "outside"})))  # noqa: T201


async def told_loss(system: System, site: str, back: str) -> HistoryEntry:
    """The newest change, once the site that was deposed has told where its logs ended."""
    epoch, found = await system.epoch(site), list[HistoryEntry]()

    async def look() -> str:
        done = await tricast(system, site, "history", f"wallet/{epoch}", "--json")
        if done.code:
            return done.stderr
        (entry,) = History.model_validate_json(done.stdout).changes
        found[:] = [entry]
        return "" if back in {each.site for each in entry.sites} else f"{back} has said nothing"

    await system.until(f"{back} has told where its logs ended", look, within_s=SETTLED_S)
    return found[0]
