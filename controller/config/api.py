"""The API: where it listens, and who may ask for changes over mutual TLS."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from controller.config.record import Record
from controller.config.scalars import AbsolutePath, Address, Port, SocketPath

_PERSON: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")


def _person(text: str) -> str:
    if not _PERSON.fullmatch(text):
        raise ValueError(
            "must be the common name of a person's certificate: 1 to 64 of A-Z, a-z, 0-9, _, ., @ "
            "and -, the same as the person's account on the nodes"
        )
    return text


Person = Annotated[str, AfterValidator(_person)]


class ApiTlsConf(Record):
    """Mutual TLS for operators: our certificate, whose are believed, and who may do what."""

    port: Port = 7802
    address: Address | None = None  # None: the site's own
    cert_file: AbsolutePath
    key_file: AbsolutePath
    client_ca_file: AbsolutePath
    crl_file: AbsolutePath | None = None
    operators: tuple[Person, ...] = ()
    readers: tuple[Person, ...] = ()


class ApiConf(Record):
    """Status and metrics; the local socket and mutual TLS also take requests."""

    port: Port = 7800
    address: Address | None = None  # None: the site's own
    socket: SocketPath = "/run/tricast/tricast.sock"
    tls: ApiTlsConf | None = None
