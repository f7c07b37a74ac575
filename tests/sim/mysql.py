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
    holds more than its tail beyond the new primary's log is refused until an operator rebuilds it.
    """

    firm = 0  # up to here nothing was waiting: no recovery cuts it

    def open_history(self, epoch: int, *, by_hand: bool = False) -> None:
        """What it held is firm; the epoch's first record waits like any other."""
        self.firm = self.log.end
        super().open_history(epoch, by_hand=by_hand)

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

    def may_be_cut_for(self, other: Server) -> None:
        """Refused when it holds what the other does not, beyond its own saved tail."""
        if self.log.shared_with(other.durable) < self.firm:
            self.diverged = f"holds records that {other.site} does not"
            self.boot()
            raise Refused(f"{self.name} at {self.site} {self.diverged}; rebuild it")


def build_server(
    world: "World", service: ServiceName, name: DatabaseName, site: SiteName, kind: DatabaseKind
) -> Server:
    """The model of one server."""
    made = Server if kind is DatabaseKind.POSTGRES else Mysql
    return made(world, service, name, site, kind)
