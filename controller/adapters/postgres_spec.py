"""What an adapter has to be told about one PostgreSQL database and its voters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.adapters.postgres_look import Walsender
from controller.core.model import DatabaseName, SiteName

NOBODY = "nobody_is_admitted"  # in every closed list of the gate; never a role


@dataclass(frozen=True, slots=True, kw_only=True)
class VoterLink:
    """How the voter of one site is reached and called. A keeper has no address of its own."""

    address: str = ""
    port: int = 5432
    user: str = ""  # default voter_<site>
    rejoin_user: str = ""  # default rejoin_<site>


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSpec:
    """One PostgreSQL server of this site."""

    name: DatabaseName
    site: SiteName  # ours
    address: str
    port: int
    database: str  # where tricast's own table is
    user: str
    password: str = field(repr=False)
    voters: Mapping[SiteName, VoterLink]  # every voter, ours included
    clients: tuple[str, ...] = ()  # roles the gate lets in

    @property
    def target(self) -> dict[str, str]:
        """The connection of the controller itself."""
        return {
            "hostaddr": self.address,
            "port": str(self.port),
            "dbname": self.database,
            "user": self.user,
            "password": self.password,
            "application_name": "tricast",
            "options": "-c statement_timeout=0",
        }

    @property
    def strict_target(self) -> dict[str, str]:
        """As `target`; commits wait for the quorum whatever the server's settings say."""
        strict = f"{self.target['options']} -c synchronous_commit=on"
        return {**self.target, "options": strict}

    @property
    def others(self) -> tuple[SiteName, ...]:
        """Every voter but ours."""
        return tuple(site for site in self.voters if site != self.site)

    @property
    def standby_names(self) -> str:
        """What synchronous_standby_names must say: half of the voters, ours not counted."""
        names = ", ".join(_quoted(site) for site in self.others)
        return f"ANY {len(self.voters) // 2} ({names})"

    def voter_user(self, site: SiteName) -> str:
        """The role under which the voter of `site` replicates."""
        return self.voters[site].user or f"voter_{site}"

    def rejoin_user(self, site: SiteName) -> str:
        """The role under which a returning database of `site` replicates, in quarantine."""
        return self.voters[site].rejoin_user or f"rejoin_{site}"

    def voter_lists(self, voters: frozenset[SiteName]) -> dict[str, frozenset[str]]:
        """Who stands in each voter's list when exactly `voters` may replicate; never we."""
        invited = voters - {self.site}
        return {
            f"voter_{site}": frozenset({self.voter_user(site)} if site in invited else ())
            for site in self.voters
        }

    def site_of(self, user: str) -> tuple[SiteName | None, bool]:
        """The site whose role `user` is, and whether it is the one for quarantine."""
        for site in self.voters:
            if user == self.voter_user(site):
                return site, False
            if user == self.rejoin_user(site):
                return site, True
        return None, False

    def site_at(self, host: str, port: str) -> SiteName | None:
        """The site whose database listens there."""
        for site, link in self.voters.items():
            if (link.address, str(link.port)) == (host, port):
                return site
        return None

    def intruder(self, sender: Walsender) -> str:
        """Why this replication connection must not be there; "" when it may."""
        site, quarantined = self.site_of(sender.user)
        if site is not None and not quarantined and sender.name != site:
            return f"{sender.user} calls itself {sender.name!r}, not {str(site)!r}"
        if (site is None or quarantined) and sender.name in self.voters:
            return f"{sender.user} calls itself {sender.name!r}, the name of a voter"
        return ""

    def unwanted(self, senders: Iterable[Walsender], voters: frozenset[SiteName]) -> list[int]:
        """The replication connections that must end when only `voters` are admitted."""
        pids = []
        for sender in senders:
            site, quarantined = self.site_of(sender.user)
            uninvited = site is not None and not quarantined and site not in voters
            if uninvited or self.intruder(sender):
                pids.append(sender.pid)
        return pids

    def upstream(self, site: SiteName, gate_dir: str, *, quarantine: bool) -> dict[str, str]:
        """How our server reaches the one of `site`. The password stays in its file."""
        link, me = self.voters[site], self.site
        return {
            "host": link.address,
            "port": str(link.port),
            "user": self.rejoin_user(me) if quarantine else self.voter_user(me),
            "application_name": f"{me}_rejoin" if quarantine else me,
            "passfile": f"{gate_dir}/upstream.pgpass",
            "connect_timeout": "5",
            "keepalives_idle": "3",
            "keepalives_interval": "1",
            "keepalives_count": "3",
        }


def slot_name(site: SiteName) -> str:
    """The replication slot of the voter of `site`."""
    return site.replace("-", "_").replace(".", "_").lower()


def _quoted(site: SiteName) -> str:
    plain = site.replace("_", "a").isalnum() and site.islower() and site[0].isalpha()
    return site if plain else f'"{site}"'
