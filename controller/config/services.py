"""Services: prefixes, app servers, probes, databases and their voters."""

from enum import StrEnum

from pydantic import Field

from controller.config.policies import PolicyConf, Verb
from controller.config.record import Record
from controller.config.scalars import (
    AbsolutePath,
    Account,
    Address,
    Backend,
    ClientAccount,
    DatabaseKey,
    EnvironmentName,
    HostPort,
    HttpUrl,
    Name,
    Prefix,
    Seconds,
    ServiceKey,
    SiteKey,
)
from controller.config.secret import Secret, read_secret
from controller.core.model import DatabaseKind, Durability, SiteName
from controller.core.shed import ShedRule, When


class ProbeKind(StrEnum):
    """What a probe speaks."""

    TCP = "tcp"
    HTTP = "http"
    POSTGRES = "postgres"
    MYSQL = "mysql"
    HAPROXY = "haproxy"
    BGP = "bgp"
    EXEC = "exec"


class ProbeScope(StrEnum):
    """Whether a failure here says anything about the other site."""

    SITE = "site"
    SHARED = "shared"


class ProbeConf(Record):
    """One link of a service's health chain; the chain is the order of the list."""

    name: Name
    kind: ProbeKind
    scope: ProbeScope = ProbeScope.SITE
    target: str | None = Field(default=None, min_length=1, max_length=500)
    targets: dict[SiteKey, str] = Field(default_factory=dict)
    argv: tuple[str, ...] = ()
    rise: int = Field(default=2, ge=1, le=100)
    fall: int = Field(default=3, ge=1, le=100)
    interval_s: Seconds | None = None
    timeout_s: Seconds | None = None
    options: dict[str, str] = Field(default_factory=dict)

    def target_of(self, site: SiteName) -> str | None:
        """What this probe looks at when it runs at `site`; None when it does not run there."""
        return self.targets.get(site, self.target)


class AppServer(Record):
    """One app server; haproxy knows it as "<site>-<name>"."""

    name: Name
    address: HostPort


class ShedConf(Record):
    """Low-priority backends of haproxy, and when they are switched off."""

    backends: tuple[Backend, ...] = Field(min_length=1)
    when: tuple[When, ...] = Field(min_length=1)
    calm_s: Seconds = 30.0

    @property
    def rule(self) -> ShedRule:
        """The same for deciding."""
        return ShedRule(backends=self.backends, when=frozenset(self.when), calm_s=self.calm_s)


class VoterConf(Record):
    """One durable copy of a database's log."""

    address: HostPort | None = None  # of the database, or of the keeper where it is a server
    directory: AbsolutePath | None = None  # of a PostgreSQL keeper
    agent: Address | None = None  # host on which the host agent answers over ssh
    user: Account | None = None
    credential_file: AbsolutePath | None = None
    credential_env: EnvironmentName | None = None
    rejoin_user: Account | None = None
    rejoin_file: AbsolutePath | None = None
    rejoin_env: EnvironmentName | None = None

    @property
    def credential(self) -> Secret:
        """What this voter shows to the primary it follows."""
        return read_secret(self.credential_file, self.credential_env)

    @property
    def rejoin_credential(self) -> Secret:
        """What it shows while it is in quarantine."""
        return read_secret(self.rejoin_file, self.rejoin_env)


class DatabaseConf(Record):
    """One database of a service: a server in each data site, and a keeper in each witness site."""

    name: DatabaseKey
    kind: DatabaseKind
    database: str = Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    user: Account = "tricast"
    password_file: AbsolutePath | None = None
    password_env: EnvironmentName | None = None
    clients: tuple[ClientAccount, ...] = ()
    exempt: tuple[ClientAccount, ...] = ()
    voters: dict[SiteKey, VoterConf]

    @property
    def password(self) -> Secret:
        """The controller's own login."""
        return read_secret(self.password_file, self.password_env)

    def voter_user(self, site: SiteName) -> str:
        """The account under which the voter of `site` follows."""
        return self.voters[site].user or f"voter_{site}"

    def rejoin_user(self, site: SiteName) -> str:
        """The account under which a returning database of `site` follows, in quarantine."""
        return self.voters[site].rejoin_user or f"rejoin_{site}"


class Objectives(Record):
    """What is promised of a service; a drill is measured against it."""

    rto_s: Seconds = 5.0
    rpo_transactions: int = Field(default=0, ge=0, le=1_000_000_000)
    drill_every_days: int = Field(default=0, ge=0, le=3650)


class Service(Record):
    """What fails over as one."""

    name: ServiceKey
    durability: Durability = Durability.QUORUM
    holder: SiteKey
    prefixes: tuple[Prefix, ...] = ()
    addresses: tuple[Address, ...] = ()
    backend: Backend
    apps: dict[SiteKey, tuple[AppServer, ...]] = Field(default_factory=dict)
    min_healthy: int = Field(default=1, ge=1, le=1000)
    max_lag_bytes: int = Field(default=16 * 1024 * 1024, ge=0)
    canary_url: HttpUrl | None = None
    objectives: Objectives = Objectives()
    probes: tuple[ProbeConf, ...] = ()
    databases: tuple[DatabaseConf, ...] = ()
    shed: tuple[ShedConf, ...] = ()
    policies: dict[Verb, PolicyConf] = Field(default_factory=dict)

    def apps_of(self, site: SiteName) -> tuple[AppServer, ...]:
        """The app servers of `site`."""
        return self.apps.get(site, ())

    def database(self, name: str) -> DatabaseConf:
        """The database called `name`; KeyError when there is none."""
        for database in self.databases:
            if database.name == name:
                return database
        raise KeyError(name)
