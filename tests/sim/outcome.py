"""What the world tells of what truly happens, and everything at the end of a history."""

from dataclasses import fields, is_dataclass
from enum import Enum

from controller.core.model import DatabaseName, EpochRecord, ServiceName, ServiceReport, SiteName
from controller.core.requests import CLOSED, Kind, Request
from tests.sim import truth
from tests.sim.commits import Committer
from tests.sim.ground import Ground
from tests.sim.log import Log
from tests.sim.replication import Copy
from tests.sim.server import Server


class Telling(Ground):
    """The part of the world that tells."""

    def trace(self) -> str:
        """The history as text: the same for the same seed."""
        return "\n".join(plain(event) for event in self.truth.events)

    def copies(self, name: DatabaseName) -> dict[SiteName, Copy]:
        """Every voter of a database."""
        return {**self.servers[name], **self.keepers[name]}

    def copy_of(self, copy: Copy, service: ServiceName) -> truth.Copy:
        """One voter as it truly is."""
        receiving = 0
        if copy.stream is not None and copy.stream.alive:
            receiving = copy.stream.sender.opened_under
        return truth.Copy(
            copy.site, self.promise_of(copy.site, service), end_of(copy.durable), receiving
        )

    def tell_promoted(self, server: Server, before: Log, *, by_hand: bool) -> None:
        """A server has become writable; with less than a proof, its cost is told first."""
        said = self.loss_said(server, server.opened_under) or server.loss_said
        if said is not None:
            self._tell_loss(server, *said)
        self.tell(
            truth.Promoted(
                self.now,
                server.service,
                server.name,
                server.site,
                server.opened_under,
                server.log.writes(),
                end_of(before),
                tuple(
                    self.copy_of(copy, server.service)
                    if copy is not server
                    else truth.Copy(
                        copy.site, self.promise_of(copy.site, server.service), end_of(before)
                    )
                    for copy in self.copies(server.name).values()
                ),
                by_hand,
                self.learners_of(server.service),
            )
        )

    def learners_of(self, service: ServiceName) -> frozenset[SiteName]:
        """Who does not vote, as the store says now."""
        record = self.record_of(service)
        return frozenset(() if record is None else record.learners)

    def loss_said(self, server: Server, epoch: int) -> tuple[frozenset[SiteName], str] | None:
        """Whose writes an operator gives up with a promotion under `epoch`, and in which words."""
        record, order = self.record_of(server.service), self.order_of(server.site, server.service)
        if order is not None:
            return frozenset(order.request.excused), order.request.statement
        if record is not None and record.excused and record.epoch == epoch:
            return frozenset(record.excused), record.reason
        return None

    def _tell_loss(self, server: Server, missing: frozenset[SiteName], statement: str) -> None:
        self.tell(
            truth.LossStated(
                self.now,
                server.service,
                server.name,
                server.site,
                server.opened_under,
                missing,
                server.log.writes(),
                statement,
            )
        )

    def tell_alone(self, server: Server) -> None:
        """Its commits wait for nobody any more, or wait again."""
        if server.alone:
            others = frozenset(self.sites) - {server.site}
            self._tell_loss(server, others, truth.SERVES_ALONE)

    def tell_acknowledged(
        self, server: Committer, write: int, end: int, by: frozenset[SiteName]
    ) -> None:
        """A commit was released."""
        place = server.log.cut_to(end)
        told = tuple(
            (s.receiver.site, s.told_at)
            for s in server.streams
            if s.voter and s.receiver.site in by
        )
        left = sorted(at for _, at in told)
        needed = self.acks_needed
        if server.alone and len(by) < needed:
            by = frozenset()  # whoever has it as well was not waited for
        self.tell(
            truth.Acknowledged(
                self.now,
                server.service,
                server.name,
                server.site,
                server.opened_under,
                write,
                by,
                frozenset(
                    site
                    for site, copy in self.copies(server.name).items()
                    if place.begins(copy.durable) and end > copy.oldest
                ),
                left[needed - 1] if len(left) >= needed > 0 else self.now,
                place.epoch,
                told,
            )
        )

    def lease_served(self, service: ServiceName, site: SiteName) -> None:
        """A service without a quorum has answered a request."""
        self.tell(truth.LeaseServed(self.now, service, site, self.promise_of(site, service)))

    def seals_shown(self, site: SiteName, report: ServiceReport) -> None:
        """A site says that its copies are sealed under its promise."""
        voters = (*report.voters, *(found.voter for found in report.databases))
        for voter in voters:
            if not voter.sealed or not voter.promised:
                continue
            copy = self.copies(voter.database)[site]
            shown = (voter.promised, str(voter.position))
            key = (site, voter.database)
            if self._shown_seals.get(key) != shown:
                self._shown_seals[key] = shown
                self.tell(
                    truth.Sealed(
                        self.now,
                        report.service,
                        voter.database,
                        site,
                        voter.promised,
                        end_of(copy.durable),
                    )
                )

    def request_moved(self, request: Request) -> None:
        """A request is in another state."""
        if request.state in CLOSED and request.service is not None:
            self.tell(
                truth.RequestEnded(
                    self.now,
                    request.service,
                    str(request.number),
                    request.state.value,
                    request.state_why,
                )
            )

    def is_paused(self, service: ServiceName) -> bool:
        """A pause is in force in the store."""
        if f"pause/{service}" in self.store.contents:
            return True
        return any(
            isinstance(found.value, Request)
            and found.value.kind is Kind.PAUSE
            and found.value.state not in CLOSED
            for key, found in self.store.contents.items()
            if key.startswith(f"requests/{service}/")
        )

    # --- the end -----------------------------------------------------------------------------

    def record_of(self, service: ServiceName) -> EpochRecord | None:
        """What truly stands in the store."""
        found = self.store.contents.get(f"services/{service}/epoch")
        return found.value if found and isinstance(found.value, EpochRecord) else None

    def final(self) -> truth.Final:
        """Everything in truth."""
        return truth.Final(
            at=self.now, services=tuple(self._final_service(name) for name in self.specs)
        )

    def _final_service(self, name: ServiceName) -> truth.FinalService:
        spec, record = self.specs[name], self.record_of(name)
        holder = None if record is None else record.holder
        return truth.FinalService(
            name=name,
            durability=spec.durability,
            data_sites=self.data_sites,
            witnesses=self.witnesses,
            epoch=0 if record is None else record.epoch,
            holder=holder,
            learners=self.learners_of(name),
            paused=self.is_paused(name),
            databases=tuple(self._final_database(found, holder) for found in spec.databases),
            directed={site: self.balancers[site].directed[name] for site in self.data_sites},
            routes={
                (provider, site): said[0] if (said := table.routes.get((name, site))) else None
                for provider in self.providers
                for table in (self.table(provider),)
                for site in self.data_sites
            },
        )

    def _final_database(self, name: DatabaseName, holder: SiteName | None) -> truth.FinalDatabase:
        servers = self.servers[name]
        primary = None if holder is None else servers[holder]
        return truth.FinalDatabase(
            name=name,
            holds={site: copy.durable.writes() for site, copy in self.copies(name).items()},
            writable={s: server.opened_under for s, server in servers.items() if server.writable},
            gates=frozenset(s for s, server in servers.items() if server.gate_open),
            voting=frozenset()
            if primary is None
            else frozenset(s.receiver.site for s in primary.streams if s.voter and s.connected),
        )


def plain(value: object) -> str:
    """`value` as text that does not depend on the order of hashes."""
    if isinstance(value, Enum):
        return str(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        inner = ", ".join(plain(getattr(value, f.name)) for f in fields(value))
        return f"{type(value).__name__}({inner})"
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(plain(found) for found in value)) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(plain(found) for found in value) + ")"
    return repr(value)


def end_of(log: Log) -> truth.End:
    """Epoch of the last record, and how many there are."""
    return log.epoch, log.end
