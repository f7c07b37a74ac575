"""What every probe shares: one look within its time, told as a sample.

A probe may keep its connection from look to look. Two looks of one probe are never taken at once.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.config.services import ProbeKind
from controller.ports import Sample


class LookFailed(Exception):
    """What was looked at is not well; the message says what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """What to look at, and how long a look may take.

    Options by kind. http, haproxy: `expect` (statuses, comma separated), `body` (text that must be
    in the answer), `host`, `fresh` (`yes`: a new connection each time), `connect` (host:port to
    connect to instead of the target's), `ca_file`. postgres, mysql: `user`, `database`,
    `password_file`, `query`. tcp, bgp, exec: none.
    """

    kind: ProbeKind
    target: str  # host:port, URL, or for bgp a neighbor's address, `any` or `all`
    timeout_s: float
    argv: tuple[str, ...] = ()  # exec only
    options: Mapping[str, str] = field(default_factory=dict)


class Probe(ABC):
    """Implements `Prober`."""

    def __init__(self, spec: ProbeSpec) -> None:
        self.spec = spec

    async def sample(self) -> Sample:
        """One look; what failed says so in `detail`."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.spec.timeout_s):
                ok, (detail, facts) = True, await self.look()
        except TimeoutError:
            ok, detail, facts = False, f"no answer within {self.spec.timeout_s:g} s", {}
        except LookFailed as error:
            ok, detail, facts = False, str(error), {}
        except (OSError, EOFError, ValueError) as error:
            ok, detail, facts = False, _words(error), {}
        took_s = time.monotonic() - started
        detail = f"{self.spec.kind} {self.spec.target}: {detail}"
        return Sample(ok=ok, detail=detail, took_s=took_s, facts=facts)

    @abstractmethod
    async def look(self) -> tuple[str, dict[str, str]]:
        """What was seen, in words and as facts; raises when it is not well."""

    async def aclose(self) -> None:  # noqa: B027  # most probes keep nothing open
        """Nothing is kept open."""


def host_and_port(target: str) -> tuple[str, int]:
    """The two parts of `host:port`; an IPv6 address stands in brackets."""
    host, colon, port = target.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(f"not host:port: {target!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
