"""Sites, their BGP neighbors, and the stances their routes may take."""

from enum import StrEnum
from typing import Final

from pydantic import Field

from bgp.policy import Stance
from bgp.specifics import MoreSpecifics, When
from controller.config.record import Record
from controller.config.scalars import (
    AbsolutePath,
    Address,
    Asn,
    Community,
    EnvironmentName,
    HttpUrl,
    Ipv4,
    Prefix,
    SocketPath,
)
from controller.config.secret import Secret, read_secret
from controller.core.model import SiteKind

WEIGHT_MAX: Final = 1000


class Family(StrEnum):
    """An address family of BGP; unicast is meant."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


class Neighbor(Record):
    """One eBGP session to a provider."""

    address: Address
    local_address: Address
    remote_as: Asn
    family: Family
    hold_s: int = Field(default=9, ge=3, le=65535)
    description: str = Field(default="", max_length=80, pattern=r"^[A-Za-z0-9 ,()._-]*$")
    password_file: AbsolutePath | None = None
    password_env: EnvironmentName | None = None

    @property
    def password(self) -> Secret | None:
        """The TCP MD5 password; None where the session has none."""
        if self.password_file is None and self.password_env is None:
            return None
        return read_secret(self.password_file, self.password_env)


class Bgp(Record):
    """How one data site speaks BGP."""

    router_id: Ipv4
    local_as: Asn
    neighbors: tuple[Neighbor, ...] = Field(min_length=1)


class Site(Record):
    """A place that can be lost as one."""

    kind: SiteKind
    address: Address
    etcd: HttpUrl
    weight: int = Field(default=100, ge=0, le=WEIGHT_MAX)
    bgp: Bgp | None = None


class StanceConf(Record):
    """What the routes of a site say in one stance. A bare number in the file is `prepends`."""

    prepends: int = Field(ge=0, le=30)
    med: int | None = Field(default=None, ge=0, le=4294967295)
    communities: tuple[Community, ...] = ()


class Stances(Record):
    """All stances that announce something; `withdrawn` announces nothing."""

    override: StanceConf = StanceConf(prepends=0)
    preferred: StanceConf = StanceConf(prepends=1)
    backup: StanceConf = StanceConf(prepends=3)
    isolated: StanceConf = StanceConf(prepends=5)
    drained: StanceConf = StanceConf(prepends=5)

    def of(self, stance: Stance) -> StanceConf | None:
        """The attributes of `stance`; None for `withdrawn`."""
        found = getattr(self, stance.value, None)
        return found if isinstance(found, StanceConf) else None


class MoreSpecificsConf(Record):
    """When the halves of each prefix are announced beside it, and how long they may be."""

    when: When = When.NEVER
    max_length_ipv4: int = Field(default=24, ge=8, le=30)
    max_length_ipv6: int = Field(default=48, ge=16, le=64)
    after_s: float = Field(default=2.0, ge=0, le=60, allow_inf_nan=False)
    take_back_s: float = Field(default=30.0, ge=0, le=3600, allow_inf_nan=False)

    @property
    def rules(self) -> MoreSpecifics:
        """The same, as `bgp` knows it."""
        return MoreSpecifics(
            when=self.when,
            max_length_ipv4=self.max_length_ipv4,
            max_length_ipv6=self.max_length_ipv6,
            after_s=self.after_s,
            take_back_s=self.take_back_s,
        )


class Routes(Record):
    """What every site of the cluster may announce, and how."""

    allowed_prefixes: tuple[Prefix, ...] = ()
    max_prepends: int = Field(default=5, ge=3, le=30)
    stances: Stances = Stances()
    more_specifics: MoreSpecificsConf = MoreSpecificsConf()
    refresh_s: float = Field(default=45.0, ge=5, le=3600, allow_inf_nan=False)
    speaker_socket: SocketPath = "/run/tricast/speaker.sock"
