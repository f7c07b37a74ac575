"""Single values: what each may look like, and a sentence for when it does not."""

import re
from ipaddress import ip_address, ip_interface, ip_network
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from controller.core.model import DatabaseName, ServiceName, SiteName

_SITE: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_ENVIRONMENT: Final = re.compile(r"[A-Z][A-Z0-9_]{0,80}")
_CLIENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_COMMUNITY: Final = re.compile(r"[0-9]{1,10}(:[0-9]{1,10}){1,2}")
_ACCOUNT: Final = re.compile(r"[a-z_][a-z0-9_]{0,30}")
_INTERFACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,15}\*?")
# RFC 7607, RFC 6793 and RFC 7300.
_RESERVED_ASNS: Final = {0, 23456, 65535, 4294967295}


def _site_name(text: str) -> SiteName:
    if not _SITE.fullmatch(text) or text in {"any", "first"}:
        raise ValueError(
            "a site name is 1 to 31 of a-z, 0-9 and _, begins with a letter, and is not "
            '"any" or "first", which PostgreSQL keeps for itself'
        )
    return SiteName(text)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name is 1 to 41 of a-z, 0-9, _ and -, and begins with a letter")
    return text


def _account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise ValueError("an account name is 1 to 31 of a-z, 0-9 and _, and begins with a letter")
    return text


def _client(text: str) -> str:
    if not _CLIENT.fullmatch(text):
        raise ValueError("must be the name of an account, without a host")
    return text


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("must be one IPv4 or IPv6 address, without a mask") from None


def _ipv4(text: str) -> str:
    address = _address(text)
    if ":" in address:
        raise ValueError("must be written as an IPv4 address, also where BGP carries IPv6")
    return address


def _prefix(text: str) -> str:
    if "/" not in text:
        raise ValueError("must be a prefix with its length, like 198.51.100.0/24")
    try:
        return str(ip_network(text))
    except ValueError:
        pass
    try:
        meant = ip_interface(text).network
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 prefix, like 198.51.100.0/24") from None
    raise ValueError(f"has host bits set; did you mean {meant}?")


def _asn(number: int) -> int:
    if not 0 <= number <= 4294967295 or number in _RESERVED_ASNS:
        raise ValueError(
            "must be an AS number from 1 to 4294967294, except the reserved 23456 and 65535"
        )
    return number


def host_port(text: str) -> str:
    """`text`, if it is host:port."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        fine = 1 <= int(port) <= 65535 and str(int(port)) == port
        if host.startswith("["):
            ip_address(bare)
        elif not _HOST.fullmatch(host):
            fine = False
    except ValueError:
        fine = False
    if not colon or not fine:
        raise ValueError("must be host:port with a port from 1 to 65535, like 10.1.0.20:5432")
    return text


def http_url(text: str) -> str:
    """`text`, if it is a URL of a web server without credentials."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise ValueError("must be a URL that begins with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user or password")
    return text


def _absolute_path(text: str) -> str:
    if not text.startswith("/") or "\x00" in text or "/../" in f"{text}/":
        raise ValueError("must be an absolute path without '..'")
    return text


def _socket_path(text: str) -> str:
    if len(_absolute_path(text)) > 100:
        raise ValueError("must be at most 100 characters: the path of a unix socket is short")
    return text


def _interface(text: str) -> str:
    if not _INTERFACE.fullmatch(text):
        raise ValueError("must be the name of a network interface, or its beginning and a *")
    return text


def _environment(text: str) -> str:
    if not _ENVIRONMENT.fullmatch(text):
        raise ValueError("must be the name of an environment variable, like TRICAST_DB_PASSWORD")
    return text


def _community(text: str) -> str:
    parts = text.split(":")
    limit = 65535 if len(parts) == 2 else 4294967295
    if not _COMMUNITY.fullmatch(text) or any(int(part) > limit for part in parts):
        raise ValueError("must be a community like 64500:100, or a large one like 64500:1:2")
    return text


SiteKey = Annotated[SiteName, AfterValidator(_site_name)]
ServiceKey = Annotated[ServiceName, AfterValidator(_name)]
DatabaseKey = Annotated[DatabaseName, AfterValidator(_name)]
Name = Annotated[str, AfterValidator(_name)]
Account = Annotated[str, AfterValidator(_account)]
ClientAccount = Annotated[str, AfterValidator(_client)]
Address = Annotated[str, AfterValidator(_address)]
Ipv4 = Annotated[str, AfterValidator(_ipv4)]
Prefix = Annotated[str, AfterValidator(_prefix)]
Asn = Annotated[int, AfterValidator(_asn)]
HostPort = Annotated[str, AfterValidator(host_port)]
HttpUrl = Annotated[str, AfterValidator(http_url)]
AbsolutePath = Annotated[str, AfterValidator(_absolute_path)]
SocketPath = Annotated[str, AfterValidator(_socket_path)]
Interface = Annotated[str, AfterValidator(_interface)]
EnvironmentName = Annotated[str, AfterValidator(_environment)]
Community = Annotated[str, AfterValidator(_community)]
Backend = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,80}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
