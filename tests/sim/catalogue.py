"""Every fault that can be drawn: the World method, its arguments, and what mends it.

`rows` names the faults that an entry stands for, in words of the design's table of faults.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from controller.core.model import Durability
from controller.core.requests import Kind
from tests.sim.plan import Argument
from tests.sim.shape import Shape

Arguments = tuple[Argument, ...]
Draw = Callable[[random.Random, Shape], Arguments]
TRAFFIC = ("control", "store", "replication", "data", "agent")


@dataclass(frozen=True, slots=True)
class Breakage:
    """One kind of fault."""

    name: str
    draw: Draw
    mend: str = ""  # the method that takes it back with `mended` of the arguments; "": nothing does
    mended: Callable[[Arguments], Arguments] = lambda args: args
    weight: int = 2
    needs: Callable[[Shape], bool] = lambda shape: True


def _nothing(dice: random.Random, shape: Shape) -> Arguments:
    return ()


def _data_site(dice: random.Random, shape: Shape) -> Arguments:
    return (dice.choice(shape.data_names),)


def _witness(dice: random.Random, shape: Shape) -> Arguments:
    return (dice.choice(shape.witness_names),)


def _site(dice: random.Random, shape: Shape) -> Arguments:
    return (dice.choice((*shape.data_names, *shape.witness_names)),)


def _pair(dice: random.Random, shape: Shape) -> Arguments:
    return tuple(dice.sample((*shape.data_names, *shape.witness_names), 2))


def _link(dice: random.Random, shape: Shape) -> Arguments:
    traffic = "all" if dice.random() < 0.5 else dice.choice(TRAFFIC)
    return (*_pair(dice, shape), traffic)


def _database_at(dice: random.Random, shape: Shape) -> Arguments:
    return (dice.choice(databases(shape)), dice.choice(shape.data_names))


def _keeper_at(dice: random.Random, shape: Shape) -> Arguments:
    return (dice.choice(databases(shape)), dice.choice(shape.witness_names))


def _server(dice: random.Random, shape: Shape) -> Arguments:
    return _database_at(dice, shape)


def _receiver(dice: random.Random, shape: Shape) -> Arguments:
    database, site = _keeper_at(dice, shape)
    return (f"{database} keeper", site)


def _copy(dice: random.Random, shape: Shape) -> Arguments:
    return dice.choice((_server, _receiver))(dice, shape)


def _of(*programs: str) -> Draw:
    def draw(dice: random.Random, shape: Shape) -> Arguments:
        return (dice.choice(programs), dice.choice(shape.data_names))

    return draw


def _daemon(dice: random.Random, shape: Shape) -> Arguments:
    site = dice.choice((*shape.data_names, *shape.data_names, *shape.witness_names))
    return ("witness" if site in shape.witness_names else "controller", site)


def _etcd(dice: random.Random, shape: Shape) -> Arguments:
    return ("etcd", *_site(dice, shape))


def _stall(dice: random.Random, shape: Shape) -> Arguments:
    return (*_copy(dice, shape), round(dice.choice((0.05, 0.5, 3.0)), 2))


def _lag(dice: random.Random, shape: Shape) -> Arguments:
    return (*_database_at(dice, shape), dice.choice((0.5, 2.0, 8.0)))


def _batch(dice: random.Random, shape: Shape) -> Arguments:
    return (*_database_at(dice, shape), dice.choice((3, 20)))


def _degrade(dice: random.Random, shape: Shape) -> Arguments:
    return (*_pair(dice, shape), dice.choice((0.0, 0.1, 0.3)), dice.choice((0.02, 0.2, 0.5)))


def _drift(dice: random.Random, shape: Shape) -> Arguments:
    """Where a service rests on a lease, by no more than its margin makes up for."""
    leased = any(service.durability is Durability.LEASE for service in shape.services)
    rates = (0.94, 0.97, 1.03, 1.06) if leased else (0.5, 0.9, 1.1, 2.0)
    return (*_daemon(dice, shape), dice.choice(rates))


def _service(dice: random.Random, shape: Shape) -> Arguments:
    return (dice.choice(shape.services).name,)


def _request(dice: random.Random, shape: Shape) -> Arguments:
    kind = dice.choice((Kind.SWITCHOVER, Kind.SWITCHOVER, Kind.SWITCHOVER, Kind.FAILOVER, Kind.ACK))
    return (kind.value, *_service(dice, shape), *_data_site(dice, shape))


def _proposal(dice: random.Random, shape: Shape) -> Arguments:
    """What somebody else has to approve; that is done late, or never."""
    kind = dice.choice((Kind.SWITCHOVER, Kind.SWITCHOVER, Kind.FAILOVER))
    return (kind.value, *_service(dice, shape), *_data_site(dice, shape), 1)


def _repair(dice: random.Random, shape: Shape) -> Arguments:
    kind = dice.choice((Kind.REJOIN, Kind.REINIT, Kind.REINIT, Kind.REINIT))
    database, site = _database_at(dice, shape)
    return (kind.value, site, database)


def _demotion(dice: random.Random, shape: Shape) -> Arguments:
    return (Kind.DEMOTE.value, *_site(dice, shape))


def _promotion(args: Arguments) -> Arguments:
    return (Kind.PROMOTE.value, *args[1:])


def _of_service(args: Arguments) -> Arguments:
    return args[1:2]


def _provider(dice: random.Random, shape: Shape) -> Arguments:
    return (f"isp{dice.randrange(shape.data_sites) + 1}", True)


def databases(shape: Shape) -> tuple[str, ...]:
    """All of them, by name."""
    return tuple(name for service in shape.services for name, _ in service.databases)


def _has_databases(shape: Shape) -> bool:
    return bool(databases(shape))


def _first(args: Arguments) -> Arguments:
    return args[:1]


def _two(args: Arguments) -> Arguments:
    return args[:2]


def _undegraded(args: Arguments) -> Arguments:
    return (*args[:2], 0.0, 0.0)


def _in_time(args: Arguments) -> Arguments:
    return (*args[:2], 1.0)


def _no_lag(args: Arguments) -> Arguments:
    return (*args[:2], 0.0)


def _at_once(args: Arguments) -> Arguments:
    return (0.0,)


CATALOGUE: tuple[Breakage, ...] = (
    # --- sites and links
    Breakage("cut_site", _data_site, "heal_site", weight=10),
    Breakage("cut_site", _witness, "heal_site", weight=3),
    Breakage("power_off", _data_site, "power_on", weight=8),
    Breakage("power_off", _witness, "power_on", weight=3),
    Breakage("freeze_site", _data_site, "thaw_site", weight=6),
    Breakage("freeze_site", _witness, "thaw_site"),
    Breakage("cut_link", _link, "heal_link", weight=10),
    Breakage("cut_one_way", _link, "heal_one_way", weight=8),
    Breakage("degrade", _degrade, "degrade", _undegraded, weight=4),
    Breakage("cut_provider", _data_site, "heal_provider", weight=3),
    # --- processes
    Breakage("kill", _daemon, "start", weight=6),
    Breakage("crash", _daemon, weight=8),
    Breakage("freeze", _daemon, "thaw", weight=6),
    Breakage("kill", _of("haproxy", "exabgp", "app", "agent"), "start", weight=3),
    Breakage("crash", _of("haproxy", "exabgp"), weight=2),
    Breakage("freeze", _of("haproxy", "exabgp"), "thaw", weight=3),
    Breakage("kill", _etcd, "start", weight=4),
    Breakage("freeze", _etcd, "thaw", weight=2),
    # --- databases and keepers
    Breakage("kill", _server, "start", weight=8, needs=_has_databases),
    Breakage("crash", _server, weight=3, needs=_has_databases),
    Breakage("freeze", _server, "thaw", weight=8, needs=_has_databases),
    Breakage("hang", _database_at, "unhang", weight=3, needs=_has_databases),
    Breakage("kill", _receiver, "start", weight=4, needs=_has_databases),
    Breakage("freeze", _receiver, "thaw", weight=4, needs=_has_databases),
    Breakage(
        "stall_disk",
        _stall,
        "stall_disk",
        lambda args: (*args[:2], 0.0),
        weight=3,
        needs=_has_databases,
    ),
    Breakage("fill_disk", _copy, "free_disk", weight=3, needs=_has_databases),
    Breakage("lag", _lag, "lag", _no_lag, weight=2, needs=_has_databases),
    Breakage("wipe_keeper", _keeper_at, weight=2, needs=_has_databases),
    Breakage("gap_keeper", _keeper_at, weight=1, needs=_has_databases),
    Breakage("old_keeper", _keeper_at, weight=2, needs=_has_databases),
    Breakage("promote_by_hand", _database_at, weight=1, needs=_has_databases),
    Breakage("cancel_waits", _database_at, weight=2, needs=_has_databases),
    Breakage("unadmit", _database_at, weight=1, needs=_has_databases),
    Breakage("batch", _batch, weight=3, needs=_has_databases),
    # --- routes
    Breakage("stick_routes", _data_site, "unstick_routes", weight=2),
    Breakage(
        "slow_routes",
        lambda dice, shape: (dice.choice((0.5, 2.0)),),
        "slow_routes",
        _at_once,
        weight=1,
    ),
    Breakage("local_pref", _provider, "local_pref", lambda args: (args[0], False), weight=1),
    Breakage(
        "slow_exabgp",
        lambda dice, shape: (*_data_site(dice, shape), dice.choice((0.1, 0.7, 3.0))),
        "slow_exabgp",
        lambda args: (*args[:1], 0.0),
        weight=2,
    ),
    Breakage("refuse_routes", _data_site, "accept_routes", weight=1),
    Breakage("restart_speaker", _data_site, weight=2),
    Breakage("unhealthy", _data_site, "healthy", weight=3),
    Breakage("unhealthy_everywhere", _nothing, "healthy_everywhere", weight=2),
    # --- the store and clocks
    Breakage(
        "slow_etcd",
        lambda dice, shape: (dice.choice((0.1, 0.4, 2.0)),),
        "slow_etcd",
        _at_once,
        weight=2,
    ),
    Breakage("silence_watch", _site, weight=2),
    Breakage("restore_etcd", _nothing, weight=1),
    Breakage("drift", _drift, "drift", _in_time, weight=2),
    # --- people
    Breakage("pause", _service, "resume", _first, weight=3),
    Breakage("request", _request, weight=8),
    Breakage("request", _proposal, "approve", _of_service, weight=3),
    Breakage("request", _proposal, "decline", _of_service, weight=1),
    Breakage("drain", _data_site, "undrain", weight=2),
    Breakage("fence", _data_site, "unfence", weight=2),
    Breakage("repair", _repair, weight=6, needs=_has_databases),
    Breakage("vote", _demotion, "vote", _promotion, weight=3, needs=_has_databases),
    Breakage("force_single", _data_site, weight=1, needs=_has_databases),
    Breakage("force_failover", _data_site, weight=1, needs=_has_databases),
    Breakage("withdraw", _service, weight=1),
)
