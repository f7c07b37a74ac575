"""The simulated world: the real deciding code among models of everything it deals with.

    world = World(seed, SHAPES["postgres"], watchers=())
    world.run(seconds)           true time passes
    world.now, world.truth       the instant; what truly happened (tests/sim/truth.py)
    world.on_intent = hook       told IntentBegan just before an intent's effect begins, IntentEnded
                                 when its effect is there and its daemon does not know yet
    world.heal_everything()      every fault mended, every process running; tells AllHealed
    world.final()                everything in truth
    world.rules, world.trace()   rule numbers reached; the history as text

One seed is one history, byte for byte, on every machine. Every fault is a method with plain
arguments, idempotent, harmless where it does not apply (`tests/sim/faults.py`):

    cut_site(site) heal_site(site)                    all its packets; providers keep its session
    cut_link(a, b, traffic) heal_link(a, b, traffic)  both ways; traffic: control store replication
                                                      data agent, or all
    cut_one_way(sender, receiver, traffic) heal_one_way(...)
    degrade(a, b, loss, delay_s)                      zeros mend
    cut_provider(site) heal_provider(site)            its Internet link
    power_off(site) power_on(site)                    all its processes fall, silently
    kill(what, site) start(what, site)                what: controller exabgp haproxy etcd agent,
    freeze(what, site) thaw(what, site)               witness (the daemon), app, NAME (a database),
    crash(what, site)                                 NAME keeper; crash: its supervisor restarts it
    freeze_site(site) thaw_site(site)
    hang(database, site) unhang(database, site)       takes sessions, never answers
    stall_disk(what, site, seconds) fill_disk(what, site) free_disk(what, site)
    lag(database, site, seconds)                      replay lags behind what was received
    wipe_keeper(database, site) gap_keeper(database, site) old_keeper(database, site)
    promote_by_hand(database, site) cancel_waits(database, site) unadmit(database, site)
    batch(database, site, records)                    one long transaction at a primary
    stick_routes(site) unstick_routes(site) slow_routes(seconds) local_pref(provider, on)
    slow_exabgp(site, seconds) restart_speaker(site) refuse_routes(site) accept_routes(site)
    unhealthy(site) healthy(site)                     a link of its local health chain
    unhealthy_everywhere() healthy_everywhere()       what every site's chain depends on
    slow_etcd(seconds) silence_watch(site) restore_etcd()
    drift(what, site, rate)                           a clock that runs fast or slow
    pause(service) resume(service)
    request(kind, service, target, approvals) approve(service) decline(service) withdraw(service)
    repair(kind, site, database)                      rejoin, or reinit: a copy is made anew
    vote(kind, site)                                  demote-voter, or promote-voter
    drain(site) undrain(site) force_single(site) force_failover(site)

Kinder than reality: no page is torn and no bit flips (a keeper has a torn tail, a gap, or nothing);
memory and file descriptors never run short; all of a site is one host; a statement is carried out
whole or not at all; MariaDB's keeper has no relay log of its own; heartbeats are not forged;
haproxy keeps its directions over a restart; an operator acts by the runbook, soon after all is
mended; clients and the daemons write seldom while nothing happens (`stir`), and at their full pace
from shortly before each fault of a plan. Harsher: looks are as stale as polling allows; the host
agent works on when its caller is dead; a frozen process does late everything it was asked; an
unanswered store request may be applied later.
"""

from collections.abc import Iterable

from tests.sim import truth
from tests.sim.faults import Faults
from tests.sim.shape import SHAPES, Shape

__all__ = ["SHAPES", "Shape", "World"]


class World(Faults):
    """Everything, one die, and the list of what truly happened."""

    def __init__(
        self,
        seed: int,
        shape: Shape = SHAPES["postgres"],
        watchers: Iterable[truth.Watcher] = (),
    ) -> None:
        super().__init__(seed, shape, watchers)
        self.begin()
