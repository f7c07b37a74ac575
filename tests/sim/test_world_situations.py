"""Plain situations, from bootstrap to lost sites: who serves, what is lost, who votes."""

from typing import Any

import pytest

from controller.core.intents import RaiseEpoch, Rejoin
from tests.sim import truth
from tests.sim.engine import Process
from tests.sim.shape import SHAPES
from tests.sim.store import LOST
from tests.sim.world import World


def told_ok(world: World) -> set[int]:
    return {e.write for e in world.truth.events if isinstance(e, truth.ClientTold) and e.ok}


def check(world: World, holder: str, epoch: int) -> None:
    """One primary, everybody votes, and nothing that a client was told is missing."""
    (service,) = world.final().services
    assert (service.holder, service.epoch) == (holder, epoch)
    for database in service.databases:
        assert database.writable == {holder: epoch}
        assert database.gates == {holder}
        assert database.voting == set(world.sites) - {holder}
        assert not told_ok(world) - database.holds[world.site(holder)]


def test_bootstrap_serves_at_the_first_holder() -> None:
    world = World(1)
    world.run(8.0)
    check(world, "dc1", 2)
    assert len(told_ok(world)) > 15


def test_an_isolated_holder_is_replaced_and_rejoins() -> None:
    world = World(2)
    world.run(5.0)
    before = len(told_ok(world))
    world.cut_site("dc1")
    world.run(3.0)
    assert len(told_ok(world)) > before
    world.heal_everything()
    world.run(15.0)
    check(world, "dc2", 3)


def test_a_cut_between_the_data_sites_moves_nothing() -> None:
    world = World(3)
    world.run(5.0)
    world.cut_link("dc1", "dc2")
    before = len(told_ok(world))
    world.run(10.0)
    assert len(told_ok(world)) > before + 15
    world.heal_everything()
    world.run(10.0)
    check(world, "dc1", 2)


def test_a_lost_witness_moves_nothing() -> None:
    world = World(4)
    world.run(5.0)
    world.power_off("witness")
    before = len(told_ok(world))
    world.run(10.0)
    assert len(told_ok(world)) > before + 20
    world.heal_everything()
    world.run(10.0)
    check(world, "dc1", 2)


def test_a_crashed_database_is_relieved() -> None:
    world = World(5)
    world.run(5.0)
    world.crash("ledger", "dc1")
    world.run(3.0)
    world.heal_everything()
    world.run(15.0)
    check(world, "dc2", 3)


def test_a_crashed_database_without_a_standby_serves_again_under_a_new_epoch() -> None:
    world = World(6)
    world.run(5.0)
    world.power_off("dc2")
    world.run(2.0)
    world.crash("ledger", "dc1")
    world.run(15.0)
    world.heal_everything()
    world.run(15.0)
    check(world, "dc1", 3)


def test_every_shape_survives_the_loss_of_its_holder() -> None:
    for name, shape in SHAPES.items():
        world = World(7, shape)
        world.run(6.0)
        world.power_off("dc1")
        world.run(6.0)
        world.heal_everything()
        world.run(25.0)
        for service in world.final().services:
            assert service.holder != "dc1", name
            for database in service.databases:
                assert database.voting == set(world.sites) - {service.holder}, name


def test_nothing_that_dies_with_all_daemons_and_the_store_costs_a_request() -> None:
    world = World(8)
    world.run(6.0)
    for site in ("dc1", "dc2"):
        world.kill("controller", site)
    world.kill("witness", "witness")
    for site in world.sites:
        world.kill("etcd", site)
    began = world.now
    world.run(20.0)
    late = [e for e in world.truth.events if isinstance(e, truth.ClientTold) and e.at > began]
    assert len(late) > 40
    assert all(event.ok for event in late)


def test_what_only_a_regained_primary_has_is_not_read_before_another_voter_has_it() -> None:
    """Its voter streams, and is slow: a retry that finds its key must not be told it is done."""
    world = World(1)
    world.run(6.0)
    world.power_off("dc2")
    world.cut_link("dc1", "witness", "replication")
    world.run(1.0)
    world.crash("ledger", "dc1")
    world.stall_disk("ledger keeper", "witness", 2.0)
    world.heal_link("dc1", "witness", "replication")
    world.run(8.0)
    server = world.servers[world.database("ledger")][world.site("dc1")]
    keeper = world.keepers[server.name][world.site("witness")]
    assert (server.opened_under, server.gate_open) == (3, True)
    assert told_ok(world) <= keeper.durable.writes()


@pytest.mark.parametrize("answered", [True, False])
def test_a_move_is_remembered_for_the_flap_window_whatever_becomes_of_the_answer(
    *, answered: bool
) -> None:
    world = World(9)
    world.run(8.0)
    asked = world.store.ask
    dc2 = world.controllers[world.site("dc2")].process
    raised: list[int] = []

    def ask(process: Process, *question: Any) -> None:
        said = question[-1]
        if process is dc2 and not answered:
            question = (*question[:-1], lambda _: said(LOST))
        asked(process, *question)

    def hook(event: truth.IntentBegan | truth.IntentEnded) -> None:
        if isinstance(event.intent, RaiseEpoch):
            began = isinstance(event, truth.IntentBegan)
            world.store.ask = ask if began else asked  # type: ignore[method-assign,assignment]
            raised.extend([event.intent.epoch] if began else [])

    world.on_intent = hook
    world.unhealthy("dc1")
    world.run(4.0)
    world.healthy("dc1")
    world.run(3.0)
    assert raised == [3]
    check(world, "dc2", 3)
    world.unhealthy("dc2")
    world.run(6.0)
    assert world.final().services[0].epoch == 3
    assert raised == [3]


def ended(world: World) -> list[tuple[str, str]]:
    return [(e.state, e.why) for e in world.truth.events if isinstance(e, truth.RequestEnded)]


def made_anew(world: World) -> list[truth.IntentEnded]:
    found = [e for e in world.truth.events if isinstance(e, truth.IntentEnded)]
    return [e for e in found if isinstance(e.intent, Rejoin) and e.intent.fresh]


@pytest.mark.parametrize("shape", ["postgres", "mysql"])
def test_a_copy_is_made_anew_and_votes_again(shape: str) -> None:
    world = World(6, SHAPES[shape])
    world.run(6.0)
    world.repair("reinit", "dc1", "ledger")
    world.repair("rejoin", "dc1", "ledger")
    assert not ended(world), "not at the holder: nothing was asked"
    before = len(told_ok(world))
    world.repair("reinit", "dc2", "ledger")
    world.run(14.0)
    assert ended(world) == [("done", "ledger votes at dc2")]
    assert [e.site for e in made_anew(world)] == ["dc2"]
    assert len(told_ok(world)) > before + 15, "the witness's keeper acknowledges meanwhile"
    check(world, "dc1", 2)


@pytest.mark.parametrize("moment", [0.3, 0.8, 1.5, 3.0])
def test_a_copy_is_made_anew_although_the_daemon_falls_meanwhile(moment: float) -> None:
    world = World(7)
    world.run(6.0)
    world.repair("reinit", "dc2", "ledger")
    world.run(moment)
    world.crash("controller", "dc2")
    world.run(25.0)
    assert ended(world) == [("done", "ledger votes at dc2")]
    assert made_anew(world)
    check(world, "dc1", 2)


def test_no_copy_is_given_up_that_commits_need() -> None:
    world = World(8)
    world.run(6.0)
    world.repair("reinit", "dc2", "ledger")
    world.power_off("witness")
    world.run(10.0)
    assert [state for state, _ in ended(world)] in (["refused"], ["failed"])
    world.heal_everything()
    world.run(15.0)
    check(world, "dc1", 2)


def test_a_promotion_by_hand_since_the_last_look_does_not_pass_for_the_next_epoch() -> None:
    world = World(10)
    world.run(8.0)
    world.cut_link("dc2", "dc1", "replication")  # the last writes are at dc1 and the witness alone
    world.run(2.0)
    raised: list[int] = []

    def hook(event: truth.IntentBegan | truth.IntentEnded) -> None:
        if isinstance(event, truth.IntentBegan) and isinstance(event.intent, RaiseEpoch):
            raised.append(event.intent.epoch)
            if len(raised) == 1:
                world.promote_by_hand("ledger", "dc2")

    world.on_intent = hook
    world.unhealthy("dc1")
    world.run(4.0)
    world.heal_everything()
    world.run(20.0)
    (service,) = world.final().services
    assert raised[0] == 3
    assert service.holder is not None
    assert not told_ok(world) - service.databases[0].holds[service.holder]
