"""The whole configuration: one file for the cluster; a node only says which site it is."""

from enum import StrEnum

from pydantic import Field

from controller.config.api import ApiConf
from controller.config.notifications import NotificationsConf
from controller.config.policies import RequestsConf
from controller.config.record import Record
from controller.config.scalars import (
    AbsolutePath,
    Account,
    Address,
    HttpUrl,
    Interface,
    Name,
    Port,
    Seconds,
    SiteKey,
    SocketPath,
)
from controller.config.secret import Secret, read_secret
from controller.config.services import Service
from controller.config.sites import Routes, Site
from controller.config.timings import Profile, Timings
from controller.core.model import SiteKind, SiteName


class HeartbeatConf(Record):
    """Authenticated datagrams between the agents."""

    port: Port = 7801
    key_file: AbsolutePath
    accepted_key_files: tuple[AbsolutePath, ...] = ()

    @property
    def keys(self) -> tuple[Secret, ...]:
        """Every key that is believed; the first is used for sending."""
        return tuple(read_secret(path, None) for path in (self.key_file, *self.accepted_key_files))


class TlsConf(Record):
    """Client side of mutual TLS."""

    ca_file: AbsolutePath
    cert_file: AbsolutePath
    key_file: AbsolutePath


class EtcdConf(Record):
    """The store the sites share; each site's own member is named with the site."""

    prefix: str = Field(default="/tricast/", pattern=r"^/([A-Za-z0-9_.-]+/)+$")
    deadline_s: Seconds = 1.0
    tls: TlsConf | None = None


class SshConf(Record):
    """How host agents are reached. Host keys are pinned; there is no switch to turn that off."""

    user: Account = "tricast"
    port: Port = 22
    key_file: AbsolutePath
    known_hosts_file: AbsolutePath


class HaproxyConf(Record):
    """The load balancer of each data site."""

    socket: SocketPath = "/run/haproxy/admin.sock"
    state_dir: AbsolutePath | None = None
    alive_url: dict[SiteKey, HttpUrl] = Field(default_factory=dict)


class AddressesConf(Record):
    """Where the service addresses stand on the edge."""

    device: str = Field(default="lo", pattern=r"^[A-Za-z0-9_.-]{1,15}$")


class StraysConf(Record):
    """The operator's own way between the edges, for connections that outlive a change of routes."""

    interface: Interface
    via: dict[SiteKey, tuple[Address, ...]]
    packets_per_s: int = Field(default=20_000, ge=10, le=10_000_000)


class AuditConf(Record):
    """The audit log of each node."""

    rotate_bytes: int = Field(default=8 * 1024 * 1024, ge=64 * 1024, le=1024**3)


class LogFormat(StrEnum):
    """How log lines are written."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The least important line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogConf(Record):
    """What is written to standard output."""

    format: LogFormat = LogFormat.JSON
    level: LogLevel = LogLevel.INFO


class Cluster(Record):
    """Everything a daemon is told. Only `load` makes one that has passed the cross checks."""

    cluster: Name
    profile: Profile = Profile.FAST
    timings: Timings = Timings()
    sites: dict[SiteKey, Site]
    heartbeat: HeartbeatConf
    etcd: EtcdConf = EtcdConf()
    requests: RequestsConf = RequestsConf()
    api: ApiConf = ApiConf()
    ssh: SshConf | None = None
    state_dir: AbsolutePath = "/var/lib/tricast"
    log: LogConf = LogConf()
    audit: AuditConf = AuditConf()
    bgp: Routes = Routes()
    haproxy: HaproxyConf = HaproxyConf()
    addresses: AddressesConf = AddressesConf()
    strays: StraysConf | None = None
    notifications: NotificationsConf = NotificationsConf()
    services: tuple[Service, ...] = Field(min_length=1)

    @property
    def data_sites(self) -> tuple[SiteName, ...]:
        """In the order of the file."""
        return tuple(name for name, site in self.sites.items() if site.kind is SiteKind.DATA)

    @property
    def witnesses(self) -> tuple[SiteName, ...]:
        """In the order of the file."""
        return tuple(name for name, site in self.sites.items() if site.kind is SiteKind.WITNESS)

    def others(self, site: SiteName) -> tuple[SiteName, ...]:
        """Every site but `site`."""
        return tuple(name for name in self.sites if name != site)

    def service(self, name: str) -> Service:
        """The service called `name`; KeyError when there is none."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    def etcd_endpoints(self, site: SiteName) -> tuple[str, ...]:
        """Every store member, the nearest one first."""
        return (self.sites[site].etcd, *(self.sites[name].etcd for name in self.others(site)))

    def api_address(self, site: SiteName) -> str:
        """Where the daemon of `site` answers over TCP."""
        return self.api.address or self.sites[site].address

    def api_tls_address(self, site: SiteName) -> str:
        """Where the daemon of `site` answers over mutual TLS, when it does."""
        tls = self.api.tls
        return (tls and tls.address) or self.sites[site].address
