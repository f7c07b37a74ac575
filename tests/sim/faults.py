"""Everything that can be broken and mended, each a method with plain arguments.

Each is idempotent, harmless where it does not apply, and told as FaultBegan or FaultEnded.
"""

from controller.core.view import ServiceSpec
from tests.sim import agent, truth
from tests.sim.damage import Damage
from tests.sim.keeper import Keeper
from tests.sim.log import Log
from tests.sim.network import EVERYTHING, Traffic
from tests.sim.replication import Copy
from tests.sim.server import Server
from tests.sim.store import Store

RESTART_S = (0.5, 2.0)
OPERATOR_S = 5.0


class Faults(Damage):
    """The part of the world that breaks."""

    # --- links -------------------------------------------------------------------------------

    def cut_site(self, site: str) -> None:
        """All packets of `site` are dropped; its sessions end when the hold time is over."""
        self.broke("cut_site", site)
        me = self.site(site)
        self.network.cut(EVERYTHING, *self.network.all_links(me))
        self.network.cut_internet(me)

    def heal_site(self, site: str) -> None:
        """They pass again."""
        me = self.site(site)
        self.network.heal(EVERYTHING, *self.network.all_links(me))
        self.network.heal_internet(me)
        self.mended("cut_site", site)

    def cut_link(self, one: str, other: str, traffic: str = "all") -> None:
        """Nothing of `traffic` passes between the two."""
        self.broke("cut_link", one, other, traffic)
        a, b = self.site(one), self.site(other)
        self.network.cut(_classes(traffic), (a, b), (b, a))

    def heal_link(self, one: str, other: str, traffic: str = "all") -> None:
        """It passes again."""
        a, b = self.site(one), self.site(other)
        self.network.heal(_classes(traffic), (a, b), (b, a))
        self.mended("cut_link", one, other, traffic)

    def cut_one_way(self, sender: str, receiver: str, traffic: str = "all") -> None:
        """What `sender` sends to `receiver` is dropped; the other way it passes."""
        self.broke("cut_one_way", sender, receiver, traffic)
        self.network.cut(_classes(traffic), (self.site(sender), self.site(receiver)))

    def heal_one_way(self, sender: str, receiver: str, traffic: str = "all") -> None:
        """It passes again."""
        self.network.heal(_classes(traffic), (self.site(sender), self.site(receiver)))
        self.mended("cut_one_way", sender, receiver, traffic)

    def degrade(self, one: str, other: str, loss: float, delay_s: float) -> None:
        """The link loses and delays; zeros mend."""
        tell = self.broke if loss or delay_s else self.mended
        tell("degrade", one, other, loss, delay_s)
        self.network.degrade(self.site(one), self.site(other), loss=loss, delay_s=delay_s)

    def cut_provider(self, site: str) -> None:
        """The site's Internet link is dead; the WAN is not."""
        self.broke("cut_provider", site)
        self.network.cut_internet(self.site(site))

    def heal_provider(self, site: str) -> None:
        """It works again."""
        self.network.heal_internet(self.site(site))
        self.mended("cut_provider", site)

    # --- processes ---------------------------------------------------------------------------

    def power_off(self, site: str) -> None:
        """Every process of the site falls; no packet says so."""
        me = self.site(site)
        if not self.power[me]:
            return
        self.broke("power_off", site)
        self.power[me] = False
        self.network.darken(me, dark=True)
        for what in self.things_at(site):
            self._kill(what, site)
        self.addresses[me] = False
        for name in self.keepers:
            if me in self.keepers[name]:
                self.keepers[name][me].fall()
        self.review()

    def power_on(self, site: str) -> None:
        """Everything that has a supervisor starts; databases wait for their controller."""
        me = self.site(site)
        if self.power[me]:
            return
        self.power[me] = True
        self.hosts[me].begin()
        self.network.darken(me, dark=False)
        for what in self.things_at(site):
            if what not in self.servers:
                self.engine.after(self.engine.draw(*RESTART_S), self._start, what, site)
        self.mended("power_off", site)

    def kill(self, what: str, site: str) -> None:
        """It ends at once, and stays so until it is started."""
        if what in self.things_at(site):
            self.broke("kill", what, site)
            self._kill(what, site)

    def crash(self, what: str, site: str) -> None:
        """It ends at once; its supervisor, of a database its controller, starts it again."""
        if what in self.things_at(site):
            self.broke("crash", what, site)
            self._kill(what, site)
            if what in self.servers:
                self.mended("crash", what, site)
            else:
                self.engine.after(self.engine.draw(*RESTART_S), self._start_again, what, site)

    def _start_again(self, what: str, site: str) -> None:
        self._start(what, site)
        self.mended("crash", what, site)

    def start(self, what: str, site: str) -> None:
        """It runs."""
        if what in self.things_at(site):
            self._start(what, site)
            self.mended("kill", what, site)

    def freeze(self, what: str, site: str) -> None:
        """SIGSTOP."""
        if what in self.things_at(site):
            process = self.process_of(what, site)
            if process is not None and process.works:
                self.broke("freeze", what, site)
                process.freeze()
                senses = self.senses(self.site(site))
                if what in ("controller", "witness") and senses is not None:
                    senses.froze()
                self.review()

    def thaw(self, what: str, site: str) -> None:
        """SIGCONT."""
        if what in self.things_at(site):
            process = self.process_of(what, site)
            if process is not None and process.frozen:
                process.thaw()
                self.mended("freeze", what, site)
                self._awake(what, site)

    def freeze_site(self, site: str) -> None:
        """Every process of the site stands still."""
        for what in self.things_at(site):
            self.freeze(what, site)

    def thaw_site(self, site: str) -> None:
        """They go on."""
        for what in self.things_at(site):
            self.thaw(what, site)

    def _awake(self, what: str, site: str) -> None:
        if what in ("controller", "witness"):
            senses = self.senses(self.site(site))
            if senses is not None:
                senses.awoke()
        self.review()
        copy = self.copy_at(what, site) if what.split(" ", maxsplit=1)[0] in self.servers else None
        if copy is not None:
            self.changed(copy)
        self.touched(self.site(site))

    def _kill(self, what: str, site: str) -> None:
        me = self.site(site)
        if what == "app":
            for service in self.specs:
                self._set_apps(site, service, 0)
            return
        if what in self.servers:
            self.servers[self.database(what)][me].crash()
            return
        if what.endswith(" keeper"):
            copy = self.copy_at(what, site)
            assert isinstance(copy, Keeper)
            copy.kill_receiver()
            copy.changed()
            return
        process = self.process_of(what, site)
        if process is not None and process.alive:
            if what in ("controller", "witness"):
                self.daemon_dies(me)
            process.end()
            self.review()
            self.touched(me)

    def _start(self, what: str, site: str) -> None:
        if self.power[self.site(site)]:
            self._begin(what, site)
            self._look_around(site)

    def _look_around(self, site: str) -> None:
        self.review()
        self.touched(self.site(site))

    def _begin(self, what: str, site: str) -> None:
        me = self.site(site)
        if what == "app":
            for service in self.specs:
                self._set_apps(site, service, self.apps_total)
        elif what in self.servers:
            server = self.servers[self.database(what)][me]
            if not server.process.alive:
                self.hosts[me].spawn(agent.if_it_can(agent.alone(server, agent.start(server))))
        elif what == "controller":
            self.controllers[me].boot()
        elif what == "witness":
            self.witness_daemons[me].boot()
        elif what == "exabgp":
            self.speakers[me].boot()
        elif not what.endswith(" keeper"):
            process = self.process_of(what, site)
            if process is not None and not process.alive:
                process.begin()

    def _set_apps(self, site: str, service: str, count: int) -> None:
        me, name = self.site(site), self.service(service)
        self.apps_up[me, name] = count
        self.engine.after(self.engine.draw(1.0, 2.0), self._see_apps, me, name)

    def _see_apps(self, me: str, name: str) -> None:
        site, service = self.site(me), self.service(name)
        self.apps_seen[site, service] = self.apps_up[site, service]
        self.touched(site)

    # --- the end of all faults ---------------------------------------------------------------

    def heal_everything(self) -> None:
        """Every fault is mended and every process runs, or is being started."""
        store: Store = self.store
        self.network.mend()
        store.slow_s, self.slow_routes_s = 0.0, 0.0
        store.silent_watches.clear()
        for site in self.sites:
            self._heal(site)
        for name in self.servers:
            for copy in self.copies(name).values():
                copy.disk.full, copy.disk.fsync_s = False, (0.0003, 0.002)
        for provider in self.providers:
            table = self.table(provider)
            table.local_pref = False
            for site in list(table.stuck):
                self.unstick_routes(site)
        for site in self.data_sites:
            self.unfence(site)
        self.review()
        self.tell(truth.AllHealed(self.now))
        self.engine.after(OPERATOR_S, self._operator_looks)

    def _heal(self, site: str) -> None:
        me = self.site(site)
        self.power_on(site)
        self.without_payments.discard(me)
        self.failing[me] = ()
        if me in self.speakers:
            self.speakers[me].slow_s, self.speakers[me].refuses = 0.0, False
        self.thaw_site(site)
        for what in self.things_at(site):
            process = self.process_of(what, site)
            if process is not None:
                process.clock.set_rate(1.0)
            if what in self.servers:
                server = self.servers[self.database(what)][me]
                server.hung, server.apply_lag_s = False, 0.0
                self.changed(server)
            elif what.endswith(" keeper"):
                keeper = self.copy_at(what, site)
                assert isinstance(keeper, Keeper)
                if keeper.gap:
                    self._start_keeper_anew(keeper)
                keeper.changed()
            else:
                self._begin(what, site)
        self._look_around(site)

    def _start_keeper_anew(self, keeper: Keeper) -> None:
        keeper.gap = False
        keeper.kill_receiver()
        keeper.replace(Log(self.roots[keeper.name], 0))
        keeper.wiped = True

    def _operator_looks(self) -> None:
        """Whoever looks after the service does by hand what the runbook leaves to them: a record
        below a promise is put right, a fence is taken back, a drain while nothing is writable,
        what is left is opened where no majority can prove it.
        """
        self.put_records_right()
        for site in self.data_sites:
            self.unfence(site)
        for spec in self.specs.values():
            copies = [
                self.servers[name][site] for name in spec.databases for site in spec.data_sites
            ]
            if copies and not any(server.writable for server in copies):
                for site in spec.data_sites:
                    self.undrain(site)
                self._open_what_is_left(spec)
        self.engine.after(OPERATOR_S, self._operator_looks)

    def _open_what_is_left(self, spec: ServiceSpec) -> None:
        """Fewer copies than a majority are left, and nothing but a person's word opens them."""
        record = self.record_of(spec.name)
        everybody = len(self.copies(spec.databases[0]))
        gone = [sum(_gone(copy) for copy in self.copies(name).values()) for name in spec.databases]
        if record is not None and everybody - max(gone) < everybody // 2 + 1:
            self.force_failover(record.holder)


def _gone(copy: Copy) -> bool:
    """What it held cannot be had from it any more: half rewound, emptied, or with a gap."""
    if isinstance(copy, Keeper):
        return copy.wiped or copy.gap
    return isinstance(copy, Server) and copy.rebuilding


def _classes(traffic: str) -> frozenset[Traffic]:
    return EVERYTHING if traffic == "all" else frozenset({Traffic(traffic)})
