"""Faults that belong together, because each alone is survived: the ways in which clusters are lost.

A recipe is given an instant at which the cluster serves; site names are those of the shape.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from controller.core.requests import Kind
from tests.sim.catalogue import databases
from tests.sim.plan import Argument, Fault, Mend, Moment
from tests.sim.shape import Shape

Recipe = Callable[[random.Random, Shape, float], list[Fault]]

BREAKS = (  # how one data site is lost, and what brings it back
    ("cut_site", "heal_site", 5),
    ("power_off", "power_on", 4),
    ("freeze_site", "thaw_site", 4),
    ("unhealthy", "healthy", 2),
)
PROGRAMS = (("kill", "start", 4), ("freeze", "thaw", 4), ("crash", "", 2))
WATCHED = ("RaiseEpoch", "SealDatabase", "CatchUp", "Promote", "Promote", "Admit", "SetGate")


def _lost(dice: random.Random, shape: Shape, site: str, at: float, lasts: float) -> Fault:
    """A data site, or what it needs to hold a service, is gone for a while."""
    names = databases(shape)
    if names and dice.random() < 0.4:
        name, mend, _ = dice.choices(PROGRAMS, [weight for *_, weight in PROGRAMS])[0]
        args: tuple[Argument, ...] = (dice.choice((*names, "controller")), site)
    else:
        name, mend, _ = dice.choices(BREAKS, [weight for *_, weight in BREAKS])[0]
        args = (site,)
    back = Mend(mend, args, round(lasts, 3)) if mend else None
    return Fault(name, args, round(at, 3), mend=back)


def _lasting(name: str, mend: str, args: tuple[Argument, ...], at: float, s: float) -> list[Fault]:
    """A fault, and what takes it back: no history ends before."""
    return [Fault(name, args, round(at, 3)), Fault(mend, args, round(at + s, 3))]


def _watching(dice: random.Random, site: str) -> Moment:
    return Moment(site, dice.choice(WATCHED), 1, after=dice.random() < 0.5)


def seesaw(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """The data sites fail in turn, each soon after the other has taken over or while it does."""
    faults = []
    sites = list(shape.data_names)
    for turn in range(dice.choice((2, 2, 3, 4))):
        site, other = sites[turn % len(sites)], sites[(turn + 1) % len(sites)]
        gap = dice.choice((0.4, 1.2, 2.5, 5.0)) * (0.5 + dice.random())
        lasts = gap * dice.choice((0.4, 0.9, 1.1, 1.6))
        fault = _lost(dice, shape, str(site), at, lasts)
        if turn and dice.random() < 0.4:
            fault = replace(fault, on=_watching(dice, str(site)))
        elif dice.random() < 0.25:
            more = _lost(dice, shape, str(other), at, lasts * dice.random())
            faults.append(replace(more, on=_watching(dice, str(other))))
        faults.append(fault)
        at += gap
    return faults


def _thin(dice: random.Random, at: float, primary: str, other: str, lasts: float) -> Fault:
    """A voter gets no log from the primary, and all else works."""
    link = (other, primary, "replication")
    return Fault("cut_link", link, round(at, 3), mend=Mend("heal_link", link, round(lasts, 3)))


def thin(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """A voter falls behind, only the others hold the newest writes; then a site is lost. Perhaps
    the daemon that takes over starts anew while it does.
    """
    primary = str(shape.data_names[0])
    others = (*shape.data_names[1:], *shape.witness_names)
    faults = [
        _thin(dice, at, primary, str(other), dice.choice((1.0, 2.0, 6.0)) * (0.5 + dice.random()))
        for other in dice.sample(others, len(others) // 2)
    ]
    at += 0.5 + dice.random()
    faults.extend(seesaw(dice, shape, at))
    if dice.random() < 0.5:
        site = str(dice.choice(shape.data_names[1:]))
        intent, after = dice.choice(
            (("RaiseEpoch", True), ("SealDatabase", True), ("CatchUp", False))
        )
        moment = Moment(site, intent, 1, after)
        faults.append(Fault("crash", ("controller", site), round(at, 3), on=moment))
    return faults


def _mute(site: str, shape: Shape, at: float, lasts: float) -> list[Fault]:
    """A site does not reach the store, and everything else."""
    return [
        Fault("cut_link", link, round(at, 3), mend=Mend("heal_link", link, round(lasts, 3)))
        for other in (*shape.data_names, *shape.witness_names)
        if other != site
        for link in ((site, str(other), "store"),)
    ]


def mute(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """One site's word grows old: it reads and writes no records while others move."""
    site = str(dice.choice((*shape.data_names, *shape.witness_names)))
    lasts = dice.choice((1.0, 3.0, 6.0)) * (0.5 + dice.random())
    begins = at + dice.choice((-0.3, 0.05, 0.3, 0.8)) * dice.random()
    silenced = _mute(site, shape, begins, lasts)
    if dice.random() < 0.5:
        mover = str(dice.choice(shape.data_names))
        moment = replace(_watching(dice, mover), intent=dice.choice(("Promote", "RaiseEpoch")))
        silenced = [replace(fault, on=moment) for fault in silenced]
    return [*silenced, *seesaw(dice, shape, at)]


def outdated(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """A voter reaches the store no more once it has sealed for who takes over from a lost site, and
    follows; then the new holder is lost too, and whoever is back reads the voter's old word. Or a
    database there falls, and the same holder reads it, for its next epoch.
    """
    first, second = (str(site) for site in dice.sample(shape.data_names, 2))
    voter = str(dice.choice(shape.witness_names))
    back = 1.2 + 2.0 * dice.random()
    moment = Moment(second, "Promote", 1, after=dice.random() < 0.5)
    lost = Fault(
        "cut_site", (first,), round(at, 3), mend=Mend("heal_site", (first,), round(back, 3))
    )
    muted = [replace(fault, on=moment) for fault in _mute(voter, shape, at, 8.0)]
    if dice.random() < 0.4:
        opened = Moment(second, "SetGate", 1, after=True)
        fallen = (dice.choice(databases(shape)), second)
        return [lost, *muted, Fault("crash", fallen, round(at, 3), on=opened)]
    return [lost, *muted, _lost(dice, shape, second, at + back + dice.random(), 4.0)]


def two_lost(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """Two sites of three are lost; perhaps an operator orders the third to go on."""
    left = str(dice.choice(shape.data_names))
    gone = [str(s) for s in (*shape.data_names, *shape.witness_names) if s != left]
    faults = []
    for site in gone:
        lasts = dice.choice((3.0, 6.0, 10.0)) * (0.5 + dice.random())
        name, back = dice.choice((("cut_site", "heal_site"), ("power_off", "power_on")))
        faults.append(Fault(name, (site,), round(at, 3), mend=Mend(back, (site,), round(lasts, 3))))
        at += dice.choice((0.0, 0.2, 1.5)) * dice.random()
    at += 1.0 + 2.0 * dice.random()
    if dice.random() < 0.7:
        order = dice.choice(("force_single", "force_failover"))
        faults.append(Fault(order, (left,), round(at, 3)))
    return faults


def no_store(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """etcd's majority is lost, then a data site; sometimes it comes back as it was long ago."""
    everybody = [str(s) for s in (*shape.data_names, *shape.witness_names)]
    faults = []
    for site in dice.sample(everybody, len(everybody) // 2 + 1):
        lasts = 2.0 + 6.0 * dice.random()
        back = Mend("start", ("etcd", site), round(lasts, 3))
        faults.append(Fault("kill", ("etcd", site), round(at, 3), mend=back))
    at += 2.0 * dice.random()
    faults.extend(seesaw(dice, shape, at))
    return faults


def restored(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """The store forgets an epoch, and then a site is lost."""
    faults = seesaw(dice, shape, at)
    at = max(fault.at for fault in faults) + 2.0 * dice.random()
    faults.append(Fault("restore_etcd", (), round(at, 3)))
    site = str(dice.choice(shape.data_names))
    faults.append(_lost(dice, shape, site, at + 2.0 * dice.random(), 3.0))
    return faults


def cold_start(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """All sites lose power together, and come back in any order."""
    return [
        Fault(
            "power_off",
            (str(site),),
            round(at + 0.3 * dice.random() * dice.randrange(2), 3),
            mend=Mend("power_on", (str(site),), round(1.0 + 6.0 * dice.random(), 3)),
        )
        for site in (*shape.data_names, *shape.witness_names)
    ]


def own_clock(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """A controller's clock runs slow or fast while sites are lost: leases must not overlap.

    By no more than the margin makes up for: beyond it they may.
    """
    faults = []
    for site in shape.data_names:
        rate = dice.choice((0.94, 0.97, 1.0, 1.03, 1.06))
        faults.append(Fault("drift", ("controller", str(site), rate), round(at - 0.5, 3)))
    return [*faults, *seesaw(dice, shape, at)]


def full_disk(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """Slow disks, so that much is received and not yet durable; then power is lost."""
    names = databases(shape)
    faults = []
    copies = [(name, str(site)) for name in names for site in shape.data_names]
    copies += [(f"{name} keeper", str(site)) for name in names for site in shape.witness_names]
    for what, site in dice.sample(copies, max(1, len(copies) // 2)):
        faults.append(Fault("stall_disk", (what, site, dice.choice((0.1, 0.5))), round(at, 3)))
    at += 0.5 + dice.random()
    for site in dice.sample([str(s) for s in (*shape.data_names, *shape.witness_names)], 2):
        back = Mend("power_on", (site,), round(0.5 + 4.0 * dice.random(), 3))
        faults.append(Fault("power_off", (site,), round(at, 3), mend=back))
    return faults


def paused(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """The automation is paused, and sites are lost meanwhile."""
    service = dice.choice(shape.services).name
    back = Mend("resume", (service,), round(4.0 + 8.0 * dice.random(), 3))
    return [Fault("pause", (service,), round(at, 3), mend=back), *seesaw(dice, shape, at + 3.2)]


def amnesia(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """A voter is behind, and a keeper loses what it holds; the primary is lost as well."""
    names = databases(shape)
    primary = str(shape.data_names[0])
    behind = dice.sample(shape.data_names[1:], max(1, (len(shape.data_names) - 1) // 2))
    lasts = dice.choice((2.0, 5.0, 9.0)) * (0.5 + dice.random())
    faults = [_thin(dice, at, primary, str(other), lasts) for other in behind]
    at += 0.4 + 1.5 * dice.random()
    gone = _lost(dice, shape, primary, at, dice.choice((1.0, 3.0, 6.0)) * (0.5 + dice.random()))
    keeper = (dice.choice(names), str(dice.choice(shape.witness_names)))
    when = round(at + dice.choice((-0.2, 0.1, 0.3)) * dice.random(), 3)
    return [*faults, Fault("wipe_keeper", keeper, when), gone]


def lonely(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """A primary that no voter follows writes on, falls and comes back, while control works; then it
    is lost, and who was lost before returns.
    """
    names = databases(shape)
    primary, others = str(shape.data_names[0]), [str(s) for s in shape.data_names[1:]]
    apart = dice.choice((6.0, 9.0, 12.0)) * (0.7 + 0.6 * dice.random())
    name, mend = dice.choice((("power_off", "power_on"), ("cut_site", "heal_site")))
    away = Mend(mend, (others[0],), round(apart + dice.random(), 3))
    faults = [Fault(name, (others[0],), round(at, 3), mend=away)]
    at += 0.05 + 0.4 * dice.random()
    faults += [
        _thin(dice, at, primary, str(other), apart + 4.0)
        for other in (*others[1:], *shape.witness_names)
    ]
    at += 0.3 + 1.5 * dice.random()
    faults.append(Fault("crash", (dice.choice(names), primary), round(at, 3)))
    at += apart - 2.0 - 2.0 * dice.random()
    lasts = dice.choice((2.0, 5.0)) * (0.5 + dice.random())
    back = Mend("power_on", (primary,), round(lasts, 3))
    return [*faults, Fault("power_off", (primary,), round(at, 3), mend=back)]


def parted(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """A primary writes much that too few voters get, and is lost with them; its successor writes a
    little and is lost, too, when the first is back: the longer log is the older one.
    """
    names = databases(shape)
    first, second = (str(s) for s in shape.data_names[:2])
    others = [str(s) for s in (*shape.data_names[2:], *shape.witness_names)]
    few = dice.sample(others, (len(others) + 2) // 2 - 1)
    alone_s = 0.4 + 1.2 * dice.random()
    apart = [second, *(site for site in others if site not in few)]
    faults = [_thin(dice, at, first, site, alone_s + 4.0) for site in apart]
    job = (dice.choice(names), first, dice.choice((5, 20, 60)))
    faults.append(Fault("batch", job, round(at + 0.1 + 0.2 * dice.random(), 3)))
    at += alone_s
    away_s = 2.0 + 4.0 * dice.random()
    name, mend = dice.choice((("power_off", "power_on"), ("cut_site", "heal_site")))
    back = Mend(mend, (first,), round(away_s + 0.8 * dice.random() - 0.4, 3))
    faults += [
        Fault(name, (s,), round(at, 3), mend=replace(back, args=(s,))) for s in (first, *few)
    ]
    lasts = dice.choice((3.0, 6.0, 9.0)) * (0.5 + dice.random())
    faults.append(_lost(dice, shape, second, at + away_s, lasts))
    return faults


def restless(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """Something that keeps a site from serving, at one data site and soon at the next."""
    faults = []
    for site in shape.data_names[:2]:
        troubles: list[tuple[str, str, tuple[Argument, ...]]] = [
            ("unhealthy", "healthy", (str(site),)),
            ("kill", "start", ("app", str(site))),
            ("kill", "start", ("haproxy", str(site))),
        ]
        troubles += [("hang", "unhang", (name, str(site))) for name in databases(shape)]
        name, mend, args = dice.choice(troubles)
        lasts = 6.0 + 2.5 * dice.random()
        faults.append(Fault(name, args, round(at, 3), mend=Mend(mend, args, round(lasts, 3))))
        at += lasts + 0.5 + 2.0 * dice.random()
    return faults


def headless(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """What decides is gone for long, at one site or at several, and what carries clients' requests
    works; sometimes that fails, too, later.
    """
    sites = [str(s) for s in (*shape.data_names, *shape.witness_names)]
    faults, lasts = [], dice.choice((4.0, 16.0, 18.0)) + 2.0 * dice.random()
    name, mend = dice.choice((("kill", "start"), ("freeze", "thaw")))
    for site in dice.sample(sites, dice.choice((1, 1, 1, len(sites)))):
        daemon = "witness" if site in shape.witness_names else "controller"
        faults += _lasting(name, mend, (daemon, site), at, lasts)
    if lasts > 10.0 and databases(shape):
        broken = dice.choice((*databases(shape), "haproxy"))
        args = (broken, str(shape.data_names[0]))
        back = Mend("start", args, round(lasts - 2.0, 3))
        faults.append(Fault("kill", args, round(at + 0.2 + dice.random(), 3), mend=back))
    return faults


def unheard(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """Packets from one data site to all others are lost, or those from all others to it, or both;
    its clients, on the Internet, still reach it.
    """
    site = str(shape.data_names[0])
    lasts = dice.choice((3.0, 7.0, 9.0)) * (0.6 + dice.random())
    ways = dice.choice(("out", "out", "out", "in", "in", "both"))
    faults = []
    for other in (*shape.data_names, *shape.witness_names):
        for sender, receiver, way in ((site, str(other), "out"), (str(other), site, "in")):
            if sender != receiver and ways in (way, "both"):
                link = (sender, receiver, "all")
                faults += _lasting("cut_one_way", "heal_one_way", link, at, lasts)
    if dice.random() < 0.75:
        faults.append(Fault("local_pref", ("isp1", True), round(at - 1.0, 3)))
    if dice.random() < 0.3:
        slow = Mend("slow_etcd", (0.0,), round(lasts, 3))
        faults.append(Fault("slow_etcd", (dice.choice((0.1, 0.4)),), round(at - 1.0, 3), mend=slow))
    return faults


def unpaid(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """What every site depends on fails for a while; now and then a site is lost meanwhile."""
    lasts = dice.choice((2.0, 5.0, 10.0)) * (0.5 + dice.random())
    faults = _lasting("unhealthy_everywhere", "healthy_everywhere", (), at, lasts)
    if dice.random() < 0.4:
        site, later = str(dice.choice(shape.data_names)), at + lasts * dice.random()
        faults.append(_lost(dice, shape, site, later, lasts * dice.random()))
    return faults


def learning(dice: random.Random, shape: Shape, at: float) -> list[Fault]:
    """A site only learns, most often until a little later; and a site is lost before, while or
    after that is changed, now and then with the log of a voter held back.
    """
    primary, *others = (str(site) for site in (*shape.data_names, *shape.witness_names))
    learner = dice.choice(others)
    again = at + dice.choice((0.05, 0.4, 2.0, 6.0)) * (0.5 + dice.random())
    faults = [Fault("vote", (Kind.DEMOTE.value, learner), round(at, 3))]
    if dice.random() < 0.75:
        faults.append(Fault("vote", (Kind.PROMOTE.value, learner), round(again, 3)))
    if dice.random() < 0.4:
        lasts = dice.choice((1.0, 4.0)) * (0.5 + dice.random())
        held = dice.choice(others)
        faults.append(_thin(dice, at - 0.5 * dice.random(), primary, held, lasts))
    site = dice.choice((primary, primary, *shape.data_names))
    later = dice.choice((at, again)) + dice.choice((0.02, 0.1, 0.5, 2.0)) * dice.random()
    faults.append(_lost(dice, shape, str(site), later, 3.0 + 6.0 * dice.random()))
    if dice.random() < 0.4:
        moment = Moment(
            primary,
            dice.choice(("SetLearners", "Admit", "SettleRequest")),
            1,
            after=dice.random() < 0.5,
        )
        faults[-1] = replace(faults[-1], on=moment)
    return faults


# How often, of a cluster with databases and of one without.
RECIPES: dict[Recipe, tuple[int, int]] = {
    paused: (3, 3),
    seesaw: (16, 8),
    thin: (14, 0),
    mute: (8, 5),
    outdated: (6, 0),
    two_lost: (5, 2),
    no_store: (3, 3),
    restored: (6, 2),
    cold_start: (3, 2),
    own_clock: (3, 5),
    full_disk: (4, 0),
    amnesia: (5, 0),
    lonely: (6, 0),
    parted: (8, 0),
    restless: (8, 3),
    headless: (7, 4),
    unheard: (9, 25),
    unpaid: (4, 4),
    learning: (8, 0),
}


def recipe_for(dice: random.Random, shape: Shape) -> Recipe:
    """One that fits the shape."""
    column = 0 if databases(shape) else 1
    weights = [weight[column] for weight in RECIPES.values()]
    return dice.choices(tuple(RECIPES), weights)[0]
