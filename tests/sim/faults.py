"""Everything that can be broken and mended, each a method with plain arguments.

Each is idempotent, harmless where it does not apply, and told as FaultBegan or FaultEnded.
"""

from tests.sim import agent, truth
from tests.sim.asking import Asking
from tests.sim.engine import Process
from tests.sim.keeper import Keeper
from tests.sim.log import Log
from tests.sim.network import EVERYTHING, Traffic
from tests.sim.replication import Copy
from tests.sim.server import Mysql, Server
from tests.sim.store import Store

RESTART_S = (0.5, 2.0)


class Faults(Asking):
    """The part of the world that breaks."""

    # --- links -------------------------------------------------------------------------------------

    def cut_site(self, site: str) -> None:
        """All packets of `site` are dropped; its providers keep its session up for the hold time."""
        self.broke("cut_site", site)
        me = self.site(site)
        for other in self.sites:
            if other != me:
                self.network.cut(me, other, EVERYTHING)
                self.network.cut(other, me, EVERYTHING)
        self.network.cut_internet(me)

    def heal_site(self, site: str) -> None:
        """They pass again."""
        me = self.site(site)
        for other in self.sites:
            if other != me:
                self.network.heal(me, other, EVERYTHING)
                self.network.heal(other, me, EVERYTHING)
        self.network.heal_internet(me)
        self.mended("cut_site", site)

    def cut_link(self, one: str, other: str, traffic: str = "all") -> None:
        """Nothing of `traffic` passes between the two."""
        self.broke("cut_link", one, other, traffic)
        a, b = self.site(one), self.site(other)
        self.network.cut(a, b, _classes(traffic))
        self.network.cut(b, a, _classes(traffic))

    def heal_link(self, one: str, other: str, traffic: str = "all") -> None:
        """It passes again."""
        a, b = self.site(one), self.site(other)
        self.network.heal(a, b, _classes(traffic))
        self.network.heal(b, a, _classes(traffic))
        self.mended("cut_link", one, other, traffic)

    def cut_one_way(self, sender: str, receiver: str, traffic: str = "all") -> None:
        """What `sender` sends to `receiver` is dropped; the other way it passes."""
        self.broke("cut_one_way", sender, receiver, traffic)
        self.network.cut(self.site(sender), self.site(receiver), _classes(traffic))

    def heal_one_way(self, sender: str, receiver: str, traffic: str = "all") -> None:
        """It passes again."""
        self.network.heal(self.site(sender), self.site(receiver), _classes(traffic))
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

    # --- processes ---------------------------------------------------------------------------------

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

    def things_at(self, site: str) -> tuple[str, ...]:
        """What can be killed, frozen and started there."""
        if site in self.witnesses:
            return ("witness", "etcd", *(f"{name} keeper" for name in self.keepers))
        return ("controller", "exabgp", "haproxy", "etcd", "app", "agent", *self.servers)

    def kill(self, what: str, site: str) -> None:
        """It ends at once, and stays so until it is started."""
        if what in self.things_at(site):
            self.broke("kill", what, site)
            self._kill(what, site)

    def crash(self, what: str, site: str) -> None:
        """It ends at once; its supervisor starts it again. A database has none but its controller."""
        if what in self.things_at(site):
            self.broke("crash", what, site)
            self._kill(what, site)
            if what not in self.servers:
                self.engine.after(self.engine.draw(*RESTART_S), self._start, what, site)
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

    def process_of(self, what: str, site: str) -> Process | None:
        """The process called so at `site`."""
        me = self.site(site)
        match what:
            case "controller" | "witness":
                return self.node(me)
            case "exabgp":
                return self.speakers[me].process
            case "haproxy":
                return self.balancers[me].process
            case "etcd":
                return self.store.members[me]
            case "agent":
                return self.hosts[me]
            case "app":
                return None
        return self.copy_at(what, site).process

    def copy_at(self, what: str, site: str) -> Copy:
        """The database called so, or its keeper, at `site`."""
        name = self.database(what.removesuffix(" keeper"))
        return self.copies(name)[self.site(site)]

    def _awake(self, what: str, site: str) -> None:
        if what in ("controller", "witness"):
            senses = self.senses(self.site(site))
            if senses is not None:
                senses.awoke()
        self.review()
        copy = self.copy_at(what, site) if what.split(" ")[0] in self.servers else None
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
        me = self.site(site)
        if not self.power[me]:
            return
        if what == "app":
            for service in self.specs:
                self._set_apps(site, service, self.apps_total)
        elif what in self.servers:
            server = self.servers[self.database(what)][me]
            if not server.process.alive:
                self.hosts[me].spawn(agent.start_if_it_can(server))
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
        self.review()
        self.touched(me)

    def _set_apps(self, site: str, service: str, count: int) -> None:
        me, name = self.site(site), self.service(service)
        self.apps_up[me, name] = count
        self.engine.after(self.engine.draw(1.0, 2.0), self._see_apps, me, name)

    def _see_apps(self, me: str, name: str) -> None:
        site, service = self.site(me), self.service(name)
        self.apps_seen[site, service] = self.apps_up[site, service]
        self.touched(site)

    # --- databases, keepers, disks -----------------------------------------------------------------

    def hang(self, database: str, site: str) -> None:
        """Sessions are taken and never answered."""
        server = self._server(database, site)
        if server is not None and server.process.alive:
            self.broke("hang", database, site)
            server.hung = True
            self.changed(server)

    def unhang(self, database: str, site: str) -> None:
        """They are answered."""
        server = self._server(database, site)
        if server is not None and server.hung:
            server.hung = False
            self.mended("hang", database, site)
            self.changed(server)

    def stall_disk(self, what: str, site: str, seconds: float) -> None:
        """Making something durable takes so long; 0 mends."""
        if what.split(" ")[0] in self.servers and what in self.things_at(site):
            tell = self.broke if seconds else self.mended
            tell("stall_disk", what, site, seconds)
            disk = self.copy_at(what, site).disk
            disk.fsync_s = (seconds, 1.2 * seconds) if seconds else (0.0003, 0.002)

    def fill_disk(self, what: str, site: str) -> None:
        """Nothing more can be written."""
        if what.split(" ")[0] in self.servers and what in self.things_at(site):
            self.broke("fill_disk", what, site)
            self.copy_at(what, site).disk.full = True

    def free_disk(self, what: str, site: str) -> None:
        """There is space again."""
        if what.split(" ")[0] in self.servers and what in self.things_at(site):
            copy = self.copy_at(what, site)
            if copy.disk.full:
                copy.disk.full = False
                self.mended("fill_disk", what, site)
                self.changed(copy)

    def lag(self, database: str, site: str, seconds: float) -> None:
        """Replay takes so much longer than receiving."""
        server = self._server(database, site)
        if server is not None:
            tell = self.broke if seconds else self.mended
            tell("lag", database, site, seconds)
            server.apply_lag_s = seconds

    def wipe_keeper(self, database: str, site: str) -> None:
        """Its directory is gone."""
        keeper = self._keeper(database, site)
        if keeper is not None:
            self.broke("wipe_keeper", database, site)
            keeper.wipe()
            keeper.changed()

    def gap_keeper(self, database: str, site: str) -> None:
        """A segment in the middle is missing."""
        keeper = self._keeper(database, site)
        if keeper is not None:
            self.broke("gap_keeper", database, site)
            keeper.kill_receiver()
            keeper.gap = True
            keeper.changed()

    def old_keeper(self, database: str, site: str) -> None:
        """Somebody starts the keeper as it was configured before: for the last receiver's primary."""
        keeper = self._keeper(database, site)
        if keeper is not None and keeper.about is not None:
            self.broke("old_keeper", database, site)
            keeper.wanted = keeper.about
            keeper.keep_running()
            self.mended("old_keeper", database, site)

    def promote_by_hand(self, database: str, site: str) -> None:
        """Somebody promotes a server around tricast: it is numbered by itself."""
        server = self._server(database, site)
        if server is not None and server.up and not server.writable:
            self.broke("promote_by_hand", database, site)
            server.unfollow()
            server.open_by_hand()
            self.mended("promote_by_hand", database, site)

    def cancel_waits(self, database: str, site: str) -> None:
        """Clients cancel what waits for its acknowledgement."""
        server = self._server(database, site)
        if server is not None and server.writable and server.up:
            self.broke("cancel_waits", database, site)
            server.cancel_waits()
            self.mended("cancel_waits", database, site)

    def unadmit(self, database: str, site: str) -> None:
        """Somebody takes every voter's admission away at a primary."""
        server = self._server(database, site)
        if server is not None and server.writable and server.up:
            self.broke("unadmit", database, site)
            server.admit(frozenset())
            self.mended("unadmit", database, site)

    # --- routes, the store, clocks -----------------------------------------------------------------

    def stick_routes(self, site: str) -> None:
        """Providers keep what this site told them for ever."""
        self.broke("stick_routes", site)
        for provider in self.providers:
            self.table(provider).stuck.add(self.site(site))

    def unstick_routes(self, site: str) -> None:
        """They hear it again; its session begins anew."""
        me = self.site(site)
        for provider in self.providers:
            self.table(provider).stuck.discard(me)
        if me in self.speakers:
            self.speakers[me].start_over()
        self.mended("stick_routes", site)

    def slow_routes(self, seconds: float) -> None:
        """Updates take so much longer; 0 mends."""
        (self.broke if seconds else self.mended)("slow_routes", seconds)
        self.slow_routes_s = seconds

    def local_pref(self, provider: str, on: bool) -> None:  # noqa: FBT001 - a fault's argument
        """The provider prefers its own customer whatever the path."""
        (self.broke if on else self.mended)("local_pref", provider)
        self.table(provider).local_pref = on

    def unhealthy(self, site: str) -> None:
        """A link of the local health chain is found down."""
        self.broke("unhealthy", site)
        self.unhealthy_links[self.site(site)] = ("payments: refused",)
        self.touched(self.site(site))

    def healthy(self, site: str) -> None:
        """It is up."""
        self.unhealthy_links[self.site(site)] = ()
        self.mended("unhealthy", site)
        self.touched(self.site(site))

    def slow_etcd(self, seconds: float) -> None:
        """Every request takes so much longer; 0 mends."""
        (self.broke if seconds else self.mended)("slow_etcd", seconds)
        self.store.slow_s = seconds

    def silence_watch(self, site: str) -> None:
        """The site's watch says nothing any more."""
        self.broke("silence_watch", site)
        self.store.silent_watches.add(self.site(site))

    def restore_etcd(self) -> None:
        """etcd is set back to what it held before the last epoch was raised."""
        self.broke("restore_etcd")
        self.store.restore()
        self.tell_restored()
        self.mended("restore_etcd")

    def drift(self, what: str, site: str, rate: float) -> None:
        """Its clock runs at this rate; 1 mends."""
        process = self.process_of(what, site) if what in self.things_at(site) else None
        if process is not None:
            (self.broke if rate != 1.0 else self.mended)("drift", what, site, rate)
            process.clock.set_rate(rate)

    # --- the end of all faults -----------------------------------------------------------------------

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
        self.review()
        self.tell(truth.AllHealed(self.now))
        self.engine.after(5.0, self._operator_rebuilds)

    def _heal(self, site: str) -> None:
        me = self.site(site)
        self.power_on(site)
        self.unhealthy_links[me] = ()
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
                self._start(what, site)

    def _start_keeper_anew(self, keeper: Keeper) -> None:
        keeper.gap = False
        keeper.kill_receiver()
        keeper.replace(Log(self.roots[keeper.name], 0))
        keeper.wiped = True

    def _operator_rebuilds(self) -> None:
        """Whoever looks after the service copies afresh what refuses to rejoin, one by one."""
        for servers in self.servers.values():
            for server in servers.values():
                if isinstance(server, Mysql) and server.diverged and not server.writable:
                    self.hosts[server.site].spawn(agent.rebuild(server))
        self.engine.after(5.0, self._operator_rebuilds)

    def _server(self, database: str, site: str) -> Server | None:
        found = self.servers.get(self.database(database))
        return None if found is None else found.get(self.site(site))

    def _keeper(self, database: str, site: str) -> Keeper | None:
        found = self.keepers.get(self.database(database))
        return None if found is None else found.get(self.site(site))


def _classes(traffic: str) -> frozenset[Traffic]:
    return EVERYTHING if traffic == "all" else frozenset({Traffic(traffic)})
