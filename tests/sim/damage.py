"""What can be damaged inside a site: databases, keepers, disks, routes, the store, clocks."""

from dataclasses import replace
from typing import Final

from controller.core.model import Epoch, EpochRecord, ServiceName, SiteName
from tests.sim.asking import OPERATOR, Asking
from tests.sim.engine import Process
from tests.sim.keeper import Keeper
from tests.sim.replication import Copy
from tests.sim.server import Server

PROBE_S: Final = 0.9  # between two looks at what is outside, at most
NOTICED_S: Final = (4.0, 15.0)  # whoever restored etcd sees what became of it
ASKS: Final = 0.7  # and asks a site to take over


class Damage(Asking):
    """The part of the world that breaks within sites."""

    # --- things and their names -------------------------------------------------------------

    def things_at(self, site: str) -> tuple[str, ...]:
        """What can be killed, frozen and started there."""
        if site in self.witnesses:
            return ("witness", "etcd", *(f"{name} keeper" for name in self.keepers))
        return ("controller", "exabgp", "haproxy", "etcd", "app", "agent", *self.servers)

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

    def _server(self, database: str, site: str) -> Server | None:
        found = self.servers.get(self.database(database))
        return None if found is None else found.get(self.site(site))

    def _keeper(self, database: str, site: str) -> Keeper | None:
        found = self.keepers.get(self.database(database))
        return None if found is None else found.get(self.site(site))

    # --- databases, keepers, disks -----------------------------------------------------------

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
        if what.split(" ", maxsplit=1)[0] in self.servers and what in self.things_at(site):
            tell = self.broke if seconds else self.mended
            tell("stall_disk", what, site, seconds)
            disk = self.copy_at(what, site).disk
            disk.fsync_s = (seconds, 1.2 * seconds) if seconds else (0.0003, 0.002)

    def fill_disk(self, what: str, site: str) -> None:
        """Nothing more can be written."""
        if what.split(" ", maxsplit=1)[0] in self.servers and what in self.things_at(site):
            self.broke("fill_disk", what, site)
            self.copy_at(what, site).disk.full = True

    def free_disk(self, what: str, site: str) -> None:
        """There is space again."""
        if what.split(" ", maxsplit=1)[0] in self.servers and what in self.things_at(site):
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
        """Somebody starts the keeper as it was configured: for its last receiver's primary."""
        keeper = self._keeper(database, site)
        if keeper is not None and keeper.about is not None:
            self.broke("old_keeper", database, site)
            keeper.wanted = keeper.about
            keeper.keep_running()
            self.mended("old_keeper", database, site)

    def promote_by_hand(self, database: str, site: str) -> None:
        """Somebody promotes a server around tricast: it is numbered by itself. Not in the instant
        in which tricast promotes it: then the two cannot be told apart, which is a stated limit.
        """
        server = self._server(database, site)
        if server is None:
            return
        record = self.record_of(server.service)
        due = record is not None and record.holder == server.site
        due = due and record is not None and record.epoch > server.durable.epoch
        if server.up and not server.writable and not due:
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

    def batch(self, database: str, site: str, records: int) -> None:
        """A job of this many records writes at the primary, in one transaction."""
        server = self._server(database, site)
        if server is not None and server.writable and server.up and not server.disk.full:
            self.broke("batch", database, site, records)
            self.writes += 1
            server.batch(self.writes, records)
            self.mended("batch", database, site, records)

    # --- routes, the store, clocks -----------------------------------------------------------

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

    def slow_exabgp(self, site: str, seconds: float) -> None:
        """It reads and answers so much later; 0 mends."""
        (self.broke if seconds else self.mended)("slow_exabgp", site, seconds)
        self.speakers[self.site(site)].slow_s = seconds

    def refuse_routes(self, site: str) -> None:
        """ExaBGP answers `error` to every route."""
        self.broke("refuse_routes", site)
        self.speakers[self.site(site)].refuses = True

    def accept_routes(self, site: str) -> None:
        """It takes them again."""
        self.speakers[self.site(site)].refuses = False
        self.mended("refuse_routes", site)

    def restart_speaker(self, site: str) -> None:
        """ExaBGP starts its speaker again; the session stays."""
        speaker = self.speakers[self.site(site)]
        if speaker.process.works:
            self.broke("restart_speaker", site)
            speaker.speak_anew()
            self.mended("restart_speaker", site)

    def local_pref(self, provider: str, on: bool) -> None:
        """The provider prefers its own customer whatever the path."""
        (self.broke if on else self.mended)("local_pref", provider)
        self.table(provider).local_pref = on

    def unhealthy(self, site: str) -> None:
        """A link of the local health chain is found down."""
        self.broke("unhealthy", site)
        self.without_payments.add(self.site(site))
        self._probe_payments(self.site(site))

    def healthy(self, site: str) -> None:
        """It is up."""
        self.without_payments.discard(self.site(site))
        self._probe_payments(self.site(site))
        self.mended("unhealthy", site)

    def unhealthy_everywhere(self) -> None:
        """What every site depends on fails; each finds it out when it looks."""
        self.broke("unhealthy_everywhere")
        self.without_payments.update(self.data_sites)
        self._probe_payments_later()

    def healthy_everywhere(self) -> None:
        """It is back."""
        self.without_payments.clear()
        self._probe_payments_later()
        self.mended("unhealthy_everywhere")

    def _probe_payments_later(self) -> None:
        for site in self.data_sites:
            self.engine.after(self.engine.draw(0.0, PROBE_S), self._probe_payments, site)

    def _probe_payments(self, site: SiteName) -> None:
        self.failing[site] = (self.payments,) if site in self.without_payments else ()
        self.touched(site)

    def slow_etcd(self, seconds: float) -> None:
        """Every request takes so much longer; 0 mends."""
        (self.broke if seconds else self.mended)("slow_etcd", seconds)
        self.store.slow_s = seconds

    def silence_watch(self, site: str) -> None:
        """The site's watch says nothing any more."""
        self.broke("silence_watch", site)
        self.store.silent_watches.add(self.site(site))

    def restore_etcd(self) -> None:
        """etcd is set back to what it held before the last epoch was raised; whoever did it puts
        the record right a while later.
        """
        self.broke("restore_etcd")
        self.store.restore()
        self.tell_restored()
        self.engine.after(self.engine.draw(*NOTICED_S), self._restore_noticed)

    def _restore_noticed(self) -> None:
        """Somebody asks a site to take over; what that does not mend is put right by hand."""
        if self.engine.dice.random() < ASKS:
            for service in self.specs:
                if self._set_back(service):
                    self.decline(service, OPERATOR)  # an open one of the old store is in the way
                    self.request("failover", service, self._to_name(service))
        self.engine.after(self.engine.draw(*NOTICED_S), self._restore_mended)

    def _restore_mended(self) -> None:
        self.put_records_right()
        self.mended("restore_etcd")

    def put_records_right(self) -> None:
        """No record is below a promise."""
        for service in self.specs:
            self._put_record_right(service)

    def _put_record_right(self, service: ServiceName) -> None:
        if self._set_back(service):
            self.write_record_by_hand(service, self._to_name(service))

    def _set_back(self, service: ServiceName) -> bool:
        record, floor = self.record_of(service), self._floor(service)
        return bool(floor) and (record is None or record.epoch < floor)

    def _to_name(self, service: ServiceName) -> SiteName:
        """Whose databases are writable, or else the usual one; no status says that it has a
        database that was promoted by hand.
        """
        spec = self.specs[service]
        sound = [site for site in self.data_sites if self._sound(service, site)]
        writable = [
            site for site in sound if any(self.servers[n][site].writable for n in spec.databases)
        ]
        usual = [site for site in sound if site == spec.initial_holder]
        return (*writable, *usual, *sound, spec.initial_holder)[0]

    def _sound(self, service: ServiceName, site: SiteName) -> bool:
        """No database there is of an epoch that its site never promised."""
        promise = self.promise_of(site, service)
        names = self.specs[service].databases
        return all(self.servers[name][site].durable.epoch <= promise for name in names)

    def _above_all(self, service: ServiceName) -> int:
        """Above every promise and the epoch of every database, as a status shows them."""
        logs = [
            self.servers[name][site].durable.epoch
            for name in self.specs[service].databases
            for site in self.data_sites
        ]
        return max((self._floor(service), *logs)) + 1

    def _floor(self, service: ServiceName) -> int:
        return max(self.promise_of(site, service) for site in self.sites)

    def write_record_by_hand(self, service: ServiceName, holder: SiteName) -> None:
        """The record is above every promise and every log, and names this holder."""
        right = EpochRecord(
            epoch=Epoch(self._above_all(service)),
            holder=holder,
            kind="regained",
            reason="restored by hand",
            asked_by="ada",
            at="",
        )
        key = f"services/{service}/epoch"
        self.store.put(key, lambda revision: replace(right, revision=revision))
        self.tell_restored()

    def drift(self, what: str, site: str, rate: float) -> None:
        """Its clock runs at this rate; 1 mends."""
        process = self.process_of(what, site) if what in self.things_at(site) else None
        if process is not None:
            (self.broke if rate != 1.0 else self.mended)("drift", what, site, rate)
            process.clock.set_rate(rate)
