"""Probes by kind, and the small ones themselves."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Final

from controller.adapters.probe_http import HaproxyProbe, HttpProbe
from controller.adapters.probe_look import LookFailed, Probe, ProbeSpec, host_and_port
from controller.adapters.probe_sql import MysqlProbe, PostgresProbe
from controller.config.services import ProbeKind
from controller.ports import AnnouncerState

__all__ = [
    "BgpProbe",
    "ExecProbe",
    "HaproxyProbe",
    "HttpProbe",
    "MysqlProbe",
    "PostgresProbe",
    "Probe",
    "ProbeSpec",
    "TcpProbe",
    "build_probe",
]

AnnouncerSupplier = Callable[[], AnnouncerState | None]

_MOST_OUTPUT: Final = 4096
_REAP_S: Final = 0.2

_BY_KIND: Final[dict[ProbeKind, Callable[[ProbeSpec], Probe]]] = {
    ProbeKind.HTTP: HttpProbe,
    ProbeKind.HAPROXY: HaproxyProbe,
    ProbeKind.POSTGRES: PostgresProbe,
    ProbeKind.MYSQL: MysqlProbe,
}


def build_probe(spec: ProbeSpec, announcer: AnnouncerSupplier | None = None) -> Probe:
    """The probe that `spec` describes; ValueError names what cannot be probed.

    `announcer` gives what the speaker last said of itself, for probes of kind bgp.
    """
    match spec.kind:
        case ProbeKind.TCP:
            return TcpProbe(spec)
        case ProbeKind.EXEC:
            return ExecProbe(spec)
        case ProbeKind.BGP:
            if announcer is None:
                raise ValueError(f"bgp {spec.target}: no speaker to ask at this site")
            return BgpProbe(spec, announcer)
        case _:
            return _BY_KIND[spec.kind](spec)


class TcpProbe(Probe):
    """Well when a connection is accepted; it is closed at once with a reset."""

    def __init__(self, spec: ProbeSpec) -> None:
        super().__init__(spec)
        self._place = host_and_port(spec.target)

    async def look(self) -> tuple[str, dict[str, str]]:
        """Connected."""
        _, writer = await asyncio.open_connection(*self._place)
        writer.transport.abort()
        return "connected", {}


class BgpProbe(Probe):
    """Well when the named neighbor's session is established (`any`, `all`: of those there are).

    Facts: `up` or `down` by neighbor.
    """

    def __init__(self, spec: ProbeSpec, announcer: AnnouncerSupplier) -> None:
        super().__init__(spec)
        self._announcer = announcer

    async def look(self) -> tuple[str, dict[str, str]]:
        """What the speaker last said of its sessions."""
        state = self._announcer()
        if state is None:
            raise LookFailed("the speaker has said nothing")
        sessions = dict(state.sessions)
        down = sorted(neighbor for neighbor, up in sessions.items() if not up)
        match self.spec.target:
            case "any":
                well = len(down) < len(sessions)
            case "all":
                well = bool(sessions) and not down
            case neighbor if neighbor in sessions:
                well = sessions[neighbor]
            case neighbor:
                known = ", ".join(sorted(sessions)) or "none"
                raise LookFailed(f"no such neighbor; the speaker has {known}")
        if not well:
            raise LookFailed(f"not established: {', '.join(down) or 'no neighbor at all'}")
        facts = {neighbor: "up" if up else "down" for neighbor, up in sessions.items()}
        return f"established: {len(sessions) - len(down)} of {len(sessions)}", facts


class ExecProbe(Probe):
    """Well when the program ends with 0 in time; if not, it and what it started are killed.

    Facts: `exit`, and `output`, the first line of what it printed.
    """

    def __init__(self, spec: ProbeSpec) -> None:
        super().__init__(spec)
        if not spec.argv:
            raise ValueError(f"exec {spec.target}: argv is empty")

    async def look(self) -> tuple[str, dict[str, str]]:
        """The program ran and ended."""
        process = await asyncio.create_subprocess_exec(
            *self.spec.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            line = await _first_line_of(process)
            code = await process.wait()
        finally:
            await _end(process)
        if code != 0:
            raise LookFailed(f"exit {code}: {line}" if line else f"exit {code}")
        return "exit 0", {"exit": "0", "output": line}


async def _first_line_of(process: asyncio.subprocess.Process) -> str:
    """Everything is read, so that the program never blocks; the beginning is kept."""
    kept = b""
    while process.stdout is not None and (chunk := await process.stdout.read(_MOST_OUTPUT)):
        kept = (kept + chunk)[:_MOST_OUTPUT]
    lines = kept.decode(errors="replace").splitlines()
    return lines[0].strip() if lines else ""


async def _end(process: asyncio.subprocess.Process) -> None:
    """Nothing of the program's session is left running, and the program is reaped."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REAP_S):
            await process.wait()
