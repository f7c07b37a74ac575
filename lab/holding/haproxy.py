"""One haproxy in front of two servers, and the ways in which it lets clients wait."""

import asyncio
import csv
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.netns.error import LabError
from lab.netns.topology import REPOSITORY
from lab.rehearsal.eyes import wait_for

GATE: Final = REPOSITORY / "configs/haproxy/hold.lua"
WAYS: Final = ("none", "gate", "queue", "listener")
DRAIN_S: Final = 0.5
_LIMIT_MS: Final = 5000
_READY_WITHIN_S: Final = 5.0

_CONFIGURATION: Final = """
global
    stats socket {socket} mode 600 level admin
    lua-load {lua}
defaults
    mode {mode}
    timeout connect 300ms
    timeout client 30s
    timeout server 30s
    timeout queue 3s
    retries 1
    option redispatch 1
    default-server on-marked-down shutdown-sessions
frontend fe
    bind {bind}
{gate}
    default_backend be
frontend fe_plug
    bind {plug_bind}
    default_backend be
backend be
    use-server plug if {{ fe_name fe_plug }}
    server old {old}
    server new {new} disabled
    server plug {plug} weight 0 maxconn 1
backend tricast_hold
    server be 127.0.0.1:9 no-check disabled
"""
_HELD: Final = "if { srv_is_up(tricast_hold/be) }"
_GATES: Final = {
    "http": f"    http-request lua.tricast_hold be {_LIMIT_MS} {_HELD}",
    "tcp": f"    tcp-request inspect-delay 6s\n"
    f"    tcp-request content lua.tricast_hold be {_LIMIT_MS} {_HELD}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where it listens and what is behind it: addresses as haproxy spells them."""

    bind: str
    plug_bind: str
    old: str
    new: str
    plug: str  # accepts, and never answers


class Haproxy:
    """A running one, which is told to hold and to let go in one way."""

    def __init__(self, directory: Path, mode: str, way: str) -> None:
        self._socket = directory / "admin.sock"
        self._mode = mode
        self._way = way

    async def hold(self) -> None:
        """Nobody is let in to `old` any more; what was under way there has ended, or was cut."""
        begin = {
            "none": "",
            "gate": "set server tricast_hold/be state ready",
            "queue": "set weight be/plug 100;set server be/old state drain",
            "listener": "disable frontend fe",
        }[self._way]
        await self.say(begin)
        if self._way != "none" and self._mode == "http":
            await self._drained()
        await self.say("set server be/old state maint")

    async def let_go(self) -> None:
        """Everybody is let in to `new`."""
        await self.say("set server be/new state ready")
        end = {
            "none": "",
            "gate": "set server tricast_hold/be state maint",
            "queue": "set weight be/plug 0",
            "listener": "enable frontend fe",
        }[self._way]
        await self.say(end)

    async def plugged(self) -> None:
        """The one place at `plug` is taken."""

        async def missing() -> str:
            return "" if (await self._sessions()).get("plug") else "no session at plug"

        await wait_for("the plug's session", missing, within_s=_READY_WITHIN_S, every_s=0.02)

    async def say(self, line: str) -> str:
        """Its answer to a command at its socket; LabError when there is one where none should."""
        if not line:
            return ""
        reader, writer = await asyncio.open_unix_connection(self._socket)
        writer.write(line.encode() + b"\n")
        answer = (await reader.read()).decode().strip()
        writer.close()
        if answer and not line.startswith("show"):
            raise LabError(f"haproxy refused {line!r}: {answer}")
        return answer

    async def _drained(self) -> None:
        until = time.monotonic() + DRAIN_S
        while (await self._sessions())["old"] and time.monotonic() < until:
            await asyncio.sleep(0.005)

    async def _sessions(self) -> Mapping[str, int]:
        """How many each server of the backend has."""
        rows = csv.DictReader((await self.say("show stat")).removeprefix("# ").splitlines())
        return {row["svname"]: int(row["scur"] or 0) for row in rows if row["pxname"] == "be"}


@asynccontextmanager
async def running(directory: Path, mode: str, way: str, places: Places) -> AsyncIterator[Haproxy]:
    """It answers at its socket meanwhile."""
    haproxy = Haproxy(directory, mode, way)
    path = directory / "haproxy.cfg"
    path.write_text(
        _CONFIGURATION.format(
            socket=directory / "admin.sock",
            lua=GATE,
            mode=mode,
            gate=_GATES[mode] if way == "gate" else "",
            **{name: getattr(places, name) for name in Places.__slots__},
        )
    )
    process = await asyncio.create_subprocess_exec(
        "/usr/sbin/haproxy", "-db", "-f", str(path), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await wait_for(
            "haproxy's socket", lambda: _answers(haproxy), within_s=_READY_WITHIN_S, every_s=0.02
        )
        yield haproxy
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def _answers(haproxy: Haproxy) -> str:
    try:
        return "" if await haproxy.say("show info") else "no answer"
    except OSError as error:
        return str(error)
