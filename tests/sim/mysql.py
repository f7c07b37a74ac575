"""MariaDB and MySQL servers, and the choice of a model for a kind of database."""

from typing import TYPE_CHECKING

from controller.core.model import DatabaseKind, DatabaseName, ServiceName, SiteName
from controller.ports import Refused
from tests.sim.commits import Commit
from tests.sim.log import Log
from tests.sim.server import Server

if TYPE_CHECKING:
    from tests.sim.world import World


class Mysql(Server):
    """MariaDB and MySQL: what differs from PostgreSQL.

    The tail that crash recovery would cut is saved and counts as held; a returning server that
    holds more than its tail beyond the new primary's log becomes a copy of a proven primary.
    """

    firm = 0  # up to here nothing was waiting: no recovery cuts it
    before_epoch = 0  # what it held when it was promoted last

    def promote(self, epoch: int, *, waits: bool = True) -> None:
        """Writable; the epoch's first record is firm where it waits for nobody."""
        super().promote(epoch)
        if not waits:
            self.firm = self.log.end

    def open_history(self, epoch: int, *, by_hand: bool = False) -> None:
        """What it held is firm; the epoch's first record waits like any other."""
        self.firm = self.before_epoch = self.log.end
        super().open_history(epoch, by_hand=by_hand)

    @property
    def proven(self) -> bool:
        """A voter has acknowledged a record of its epoch: it holds all that ever was."""
        return self.writable and self.firm > self.before_epoch

    def acknowledge(self, commit: Commit, by: frozenset[SiteName]) -> None:
        """What was acknowledged is firm."""
        self.firm = max(self.firm, commit.end)
        super().acknowledge(commit, by)

    def receive(self, log: Log) -> None:
        """What was received is applied."""
        super().receive(log)
        self.firm = self.log.end

    def replace(self, log: Log) -> None:
        """What was fetched or copied is applied."""
        super().replace(log)
        self.firm = log.end

    def must_be_copied(self, other: Server) -> bool:
        """It holds what the other does not, beyond its own saved tail."""
        if self.log.shared_with(other.durable) >= self.firm:
            return False
        self.diverged = f"holds records that {other.site} does not"
        self.boot()
        return True

    def become_copy_of(self, other: Server) -> None:
        """The other's data take the place of its own, whose logs are kept aside."""
        if not isinstance(other, Mysql) or not other.proven:
            raise Refused(f"{other.site} is not proven to be primary: nothing is thrown away")
        if other.waiting and not any(stream.voter for stream in other.streams):
            raise Refused(f"commits wait at {other.site} for a voter: a copy would wait for them")
        before = self.log
        self.crash()
        self.replace(other.durable)
        self.diverged = ""
        self._tell_cut(before, f"a copy of {other.site}", saved=True)


def build_server(
    world: "World", service: ServiceName, name: DatabaseName, site: SiteName, kind: DatabaseKind
) -> Server:
    """The model of one server."""
    made = Server if kind is DatabaseKind.POSTGRES else Mysql
    return made(world, service, name, site, kind)
