"""What each model does that matters: the store, copies and streams, servers, keepers, processes."""

import random

import pytest

from controller.core.model import DatabaseName, ServiceName, SiteName
from controller.ports import Refused, TimedOut, Unreachable
from tests.sim import truth
from tests.sim.engine import Clock, Engine, Process, Steps
from tests.sim.mysql import Mysql
from tests.sim.network import EVERYTHING
from tests.sim.shape import SHAPES
from tests.sim.store import LOST
from tests.sim.world import World

DC1, DC2, WITNESS = SiteName("dc1"), SiteName("dc2"), SiteName("witness")
LEDGER, WALLET = DatabaseName("ledger"), ServiceName("wallet")


def serving(shape: str = "postgres", seed: int = 1) -> World:
    """dc1 is primary of epoch 2, and everybody votes."""
    world = World(seed, SHAPES[shape])
    world.run(6.0)
    assert world.servers[LEDGER][DC1].opened_under == 2
    assert set(world.final().services[0].databases[0].voting) == {DC2, WITNESS}
    return world


def quiet(world: World) -> None:
    """No daemon and no client disturbs."""
    for site in (DC1, DC2):
        world.kill("controller", site)
    world.kill("witness", WITNESS)
    for client in world.clients:
        client.stopped = True
    world.run(2.0)


def commit(world: World, number: int) -> list[bool]:
    """The answers, so far, to a write at dc1."""
    answers: list[bool] = []
    assert world.servers[LEDGER][DC1].commit(number, answers.append)
    return answers


def acknowledged(world: World, number: int) -> list[truth.Acknowledged]:
    found = [e for e in world.truth.events if isinstance(e, truth.Acknowledged)]
    return [event for event in found if event.write == number]


# --- the store -----------------------------------------------------------------------------------


def test_of_two_swaps_at_one_revision_the_second_is_refused() -> None:
    store = World(1).store
    first = store.swap("key", lambda _: "a", 0)
    assert first is not None
    assert store.swap("key", lambda _: "b", 0) is None
    assert store.swap("key", lambda _: "b", first) == first + 1


def test_a_request_can_be_applied_and_its_answer_lost() -> None:
    world = serving()
    told: list[object] = []

    def work() -> object:
        revision = world.store.put("key", lambda _: "written")
        world.cut_site(DC1)
        return revision

    world.store.ask(world.hosts[DC1], DC1, 1.0, work, told.append)
    world.run(2.0)
    assert told == [LOST]
    assert world.store.contents["key"].value == "written"


def test_without_a_majority_nobody_is_answered() -> None:
    world = serving()
    world.kill("etcd", DC1)
    world.kill("etcd", WITNESS)
    told: list[object] = []
    world.store.ask(world.hosts[DC2], DC2, 1.0, world.store.read, told.append)
    world.run(1.5)
    assert told == [LOST]


def test_a_dead_leader_is_replaced_after_a_while() -> None:
    world = serving()
    assert world.store.leader == WITNESS
    world.kill("etcd", WITNESS)
    assert not world.store.ready(DC1)
    world.run(3.0)
    assert world.store.ready(DC1)


def test_a_lease_outlives_its_time_when_the_leader_changes() -> None:
    world = serving()
    world.store.put("leased", lambda _: "x", 0.5)
    world.kill("etcd", WITNESS)
    world.run(1.9)
    assert "leased" in world.store.read()
    world.run(4.0)
    assert "leased" not in world.store.read()


# --- commits -------------------------------------------------------------------------------------


def test_a_commit_needs_any_one_other_voter() -> None:
    world = serving()
    quiet(world)
    world.cut_link(DC1, DC2, "replication")
    assert commit_and_wait(world, 9001) == [True]
    (event,) = acknowledged(world, 9001)
    assert event.by == {WITNESS}
    assert event.held_by == {DC1, WITNESS}


def commit_and_wait(world: World, number: int) -> list[bool]:
    answers = commit(world, number)
    world.run(1.0)
    return answers


def test_alone_it_waits_and_is_released_by_whoever_comes_back() -> None:
    world = serving()
    quiet(world)
    world.cut_link(DC1, DC2, "replication")
    world.cut_link(DC1, WITNESS, "replication")
    answers = commit_and_wait(world, 9001)
    assert answers == []
    assert not world.servers[LEDGER][DC1].sees(9001)
    world.heal_link(DC1, DC2, "replication")
    world.run(1.0)
    assert answers == [True]


def test_who_waits_when_the_server_is_closed_is_never_answered() -> None:
    world = serving()
    quiet(world)
    world.cut_site(DC1)
    answers = commit_and_wait(world, 9001)
    server = world.servers[LEDGER][DC1]
    server.close()
    server.boot()
    world.heal_site(DC1)
    world.run(2.0)
    assert answers == []
    assert server.holds(9001)  # the tail is kept, and proves nothing
    assert acknowledged(world, 9001) == []


def test_a_cancelled_wait_is_visible_and_not_acknowledged() -> None:
    world = serving()
    quiet(world)
    world.cut_site(DC1)
    answers = commit_and_wait(world, 9001)
    world.cancel_waits("ledger", DC1)
    assert answers == [False]
    assert world.servers[LEDGER][DC1].sees(9001)
    assert acknowledged(world, 9001) == []


def test_a_voter_that_was_not_rewound_is_heard_if_it_is_admitted() -> None:
    """The trap of the real program; it is the controllers that must not admit it."""
    world = serving()
    quiet(world)
    primary, other = world.servers[LEDGER][DC1], world.servers[LEDGER][DC2]
    world.cut_link(DC1, WITNESS, "replication")
    world.promote_by_hand("ledger", DC2)
    for number in range(9100, 9120):
        other.commit(number, lambda _: None)
    world.run(0.1)  # all of it is flushed
    other.close()
    other.boot()
    world.run(1.0)
    answers = commit_and_wait(world, 9001)
    assert answers == []
    other.follow(DC1, 2, quarantine=False)
    world.run(1.0)
    assert answers == [True]
    assert acknowledged(world, 9001)[0].held_by == {DC1}
    assert primary.claimed


def test_in_quarantine_it_is_not_heard() -> None:
    world = serving()
    quiet(world)
    world.cut_link(DC1, WITNESS, "replication")
    world.servers[LEDGER][DC2].follow(DC1, 2, quarantine=True)
    world.run(1.0)
    assert commit_and_wait(world, 9001) == []
    assert world.servers[LEDGER][DC2].holds(9001)


# --- servers -------------------------------------------------------------------------------------


def test_a_statement_to_a_frozen_server_is_carried_out_when_it_thaws() -> None:
    world = serving()
    quiet(world)
    server = world.servers[LEDGER][DC2]
    server.seal()
    world.freeze("ledger", DC2)
    server.process.after(0.01, server.promote, 7)
    world.run(60.0)
    assert not server.writable
    world.thaw("ledger", DC2)
    world.run(0.1)
    assert server.opened_under == 7
    assert commit_at(world, DC2, 9001) == []


def commit_at(world: World, site: SiteName, number: int) -> list[bool]:
    answers: list[bool] = []
    world.servers[LEDGER][site].commit(number, answers.append)
    world.run(1.0)
    return answers


def test_a_server_starts_closed_with_its_tail() -> None:
    world = serving()
    quiet(world)
    world.cut_site(DC1)
    commit_and_wait(world, 9001)
    server = world.servers[LEDGER][DC1]
    world.kill("ledger", DC1)
    world.start("ledger", DC1)
    world.run(1.0)
    assert server.up
    assert not server.writable
    assert not server.gate_open
    assert server.holds(9001)


def test_postgres_rewinds_and_mariadb_copies_what_was_received_and_lost() -> None:
    for shape in ("postgres", "mariadb"):
        world = serving(shape)
        quiet(world)
        mine, theirs = world.servers[LEDGER][DC2], world.servers[LEDGER][DC1]
        mine.seal()
        mine.promote(7)
        mine.commit(9001, lambda _: None)
        world.run(0.1)  # it is flushed
        mine.close()
        if shape == "mariadb":
            mine.firm = mine.log.end  # type: ignore[attr-defined]
            assert mine.must_be_copied(theirs)
            proven, theirs.firm = theirs.firm, theirs.before_epoch  # type: ignore[attr-defined]
            with pytest.raises(Refused, match="not proven"):
                mine.become_copy_of(theirs)
            assert mine.holds(9001)
            theirs.firm = proven  # type: ignore[attr-defined]
            mine.become_copy_of(theirs)
        else:
            assert not mine.must_be_copied(theirs)
            mine.make_prefix_of(theirs)
        assert not mine.holds(9001)


def test_a_copy_wants_a_primary_that_is_proven_and_has_nothing_waiting() -> None:
    world = serving("mariadb")
    quiet(world)
    mine, theirs = world.servers[LEDGER][DC2], world.servers[LEDGER][DC1]
    assert isinstance(theirs, Mysql)
    for stream in [*theirs.streams]:
        stream.close_there()
    for epoch, waits in ((7, True), (8, False)):
        theirs.close()
        theirs.boot()
        world.run(1.0)
        theirs.promote(epoch, waits=waits)
        assert theirs.proven is not waits
    assert theirs.commit(9001, lambda _: None)
    with pytest.raises(Refused, match="commits wait"):
        mine.become_copy_of(theirs)
    theirs.waiting.clear()
    mine.become_copy_of(theirs)


# --- keepers -------------------------------------------------------------------------------------


def test_a_keeper_that_loses_power_tears_off_what_it_had_not_synced() -> None:
    world = serving()
    quiet(world)
    world.cut_link(DC1, DC2, "replication")
    world.stall_disk("ledger keeper", WITNESS, 5.0)
    answers = commit(world, 9001)
    world.run(1.0)
    keeper = world.keepers[LEDGER][WITNESS]
    assert keeper.log.end > keeper.flushed
    assert answers == []
    world.power_off(WITNESS)
    assert keeper.log.end == keeper.flushed
    assert 9001 not in keeper.log.writes()


def test_a_keeper_follows_only_the_epoch_it_was_told() -> None:
    world = serving()
    quiet(world)
    keeper = world.keepers[LEDGER][WITNESS]
    keeper.kill_receiver()
    keeper.wanted = (DC1, 1)
    with pytest.raises(Refused, match="is on 2, not 1"):
        keeper.try_attach()
    with pytest.raises(Unreachable, match="dc2: reset by the firewall of witness"):
        keeper.attach(DC2, 2)
    keeper.fenced = frozenset()  # as after its host has started anew
    with pytest.raises((Refused, TimedOut)):
        keeper.attach(DC2, 2)


def test_a_keeper_with_a_gap_follows_nobody_and_a_full_one_ends() -> None:
    world = serving()
    quiet(world)
    keeper = world.keepers[LEDGER][WITNESS]
    world.gap_keeper("ledger", WITNESS)
    assert not keeper.observe().whole
    with pytest.raises(Unreachable, match="gap"):
        keeper.attach(DC1, 2)
    keeper.gap = False
    keeper.attach(DC1, 2)
    world.fill_disk("ledger keeper", WITNESS)
    commit_and_wait(world, 9001)
    assert not keeper.process.alive


def test_a_wiped_keeper_holds_nothing_and_begins_anew() -> None:
    world = serving()
    quiet(world)
    keeper = world.keepers[LEDGER][WITNESS]
    world.wipe_keeper("ledger", WITNESS)
    assert keeper.position().epoch == 0
    assert commit_and_wait(world, 9001) == [True]
    keeper.attach(DC1, 2)
    world.run(0.5)
    assert keeper.log.end == world.servers[LEDGER][DC1].log.end
    assert 0 < keeper.oldest < keeper.log.end


# --- signs, routes, processes --------------------------------------------------------------------


def test_signs_grow_old_from_the_last_that_came() -> None:
    world = serving()
    senses = world.controllers[DC2].senses
    assert senses.control_s(DC1) <= 0.1
    world.cut_site(DC1)
    world.run(0.4)
    assert 0.4 <= senses.control_s(DC1) <= 0.52
    assert senses.seen(DC1, WALLET).data_s >= 0.4
    told = senses.told(WITNESS, DC1, WALLET)
    assert 0.4 <= told.control_s <= 0.62
    world.heal_site(DC1)
    world.run(0.2)
    assert senses.control_s(DC1) <= 0.1


def test_one_direction_can_be_deaf() -> None:
    world = serving()
    world.cut_one_way(DC1, DC2, "control")
    world.run(1.0)
    assert world.controllers[DC2].senses.control_s(DC1) > 0.9
    assert world.controllers[DC1].senses.control_s(DC2) <= 0.1
    world.run(6.0)  # nothing of ours is echoed any more: it is not believed
    assert world.controllers[DC1].senses.control_s(DC2) > 0.3


def test_a_silent_sites_routes_last_for_the_hold_time_and_stuck_ones_for_ever() -> None:
    for stuck in (False, True):
        world = serving()
        quiet(world)
        if stuck:
            world.stick_routes(DC1)
        world.cut_site(DC1)
        world.run(8.0)
        assert (WALLET, DC1) in world.table("isp1").routes
        world.run(2.0)
        assert ((WALLET, DC1) in world.table("isp1").routes) is stuck


def test_a_process_plans_by_its_own_clock_and_does_late_what_it_slept_through() -> None:
    engine = Engine(random.Random(1))
    process = Process(engine, Clock(engine, 50.0), "p")
    process.begin()
    done: list[float] = []
    process.clock.set_rate(2.0)
    process.after(1.0, lambda: done.append(engine.now))
    process.after(4.0, lambda: done.append(engine.now))
    engine.run_until(1.0)
    assert done == [0.5]
    process.freeze()
    engine.run_until(9.0)
    assert done == [0.5]
    process.thaw()
    engine.run_until(9.0)
    assert done == [0.5, 9.0]
    assert process.clock.now() == pytest.approx(68.0)
    process.after(1.0, lambda: done.append(-1.0))
    process.end()
    engine.run_until(20.0)
    assert done == [0.5, 9.0]


def test_a_task_ends_with_its_process() -> None:
    engine = Engine(random.Random(1))
    process = Process(engine, Clock(engine, 0.0), "p")
    process.begin()
    done: list[str] = []

    def steps() -> Steps:
        yield 1.0
        done.append("one")
        yield 1.0
        done.append("two")

    process.spawn(steps())
    engine.run_until(1.5)
    process.end()
    process.begin()
    engine.run_until(5.0)
    assert done == ["one"]


def test_links_are_cut_by_class_and_direction() -> None:
    network = World(1).network
    network.cut(EVERYTHING, (DC1, DC2))
    assert not any(network.hears(DC2, DC1, traffic) for traffic in EVERYTHING)
    assert all(network.hears(DC1, DC2, traffic) for traffic in EVERYTHING)
    assert not any(network.path(DC1, DC2, traffic) for traffic in EVERYTHING)
    network.heal(EVERYTHING, (DC1, DC2))
    assert all(network.path(DC1, DC2, traffic) for traffic in EVERYTHING)
