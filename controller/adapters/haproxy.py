"""This site's haproxy, through its runtime socket.

Only differences are sent, and what was sent is read back on the same connection: a command that
haproxy took without effect is an error here, not a surprise later. The runtime `maxconn` of a
frontend is never touched; lowering and raising it again crashes haproxy 2.6. New requests are held
by a gate instead: a server of its own in the backend `tricast_hold`, in maintenance or not,
and an action in front (configs/haproxy/hold.lua) that waits while it is not. A low-priority backend
is switched off in the same way, by a server in the backend `tricast_shed` and a rule that denies.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from controller.core.model import SiteName
from controller.ports import BackendState, Refused, ShedGate, TimedOut, Unreachable

_SHOW: Final = "show servers state"
_COLUMNS: Final = ("be_name", "srv_name", "srv_op_state", "srv_admin_state")
_CHANGED: Final = "srv_time_since_last_change"
_CLOSED_BY_ADMIN: Final = (
    0b1111011  # every kind of maintenance and drain but "disabled" in the file
)
_RUNNING: Final = 2
HOLD: Final = "tricast_hold"  # backend with one server for each backend of ours: its gate
SHED: Final = "tricast_shed"  # the same for backends that are switched off under strain
_COUNT: Final = "show stat -1 2 -1"
_COMMANDS_A_LINE: Final = 40  # a line of commands must fit haproxy's buffer of 16 kB
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_RELEASE: Final = re.compile(r"^Version: *(\S{1,80})", re.MULTILINE)
_LONGEST_ANSWER: Final = 16 * 2**20

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """One server of one backend, as haproxy has it."""

    backend: str
    name: str
    enabled: bool  # an administrator lets it take traffic
    up: bool  # and it is found healthy
    changed_s: float = 0.0  # since it was let in or taken out, or found otherwise


class Haproxy:
    """One haproxy process; implements `LoadBalancer`."""

    def __init__(
        self,
        socket: Path,
        sites: Iterable[SiteName],
        backends: Iterable[str],
        state_dir: Path | None = None,
    ) -> None:
        """With a `state_dir` each change is also kept in the file from which haproxy starts."""
        self._socket = socket
        # The longest name first: of two sites `dc1` and `dc1-b`, `dc1-b-app1` is the second's.
        self._sites = sorted(sites, key=len, reverse=True)
        self._backends = frozenset(backends)
        self._state_dir = state_dir

    async def observe(self, deadline_s: float) -> Mapping[str, BackendState]:
        """Every backend of ours that haproxy has; one that it has not is absent."""
        servers = parse_servers(await self._ask(_SHOW, deadline_s))
        gates = {server.name: server.enabled for server in servers if server.backend == HOLD}
        sessions: Mapping[str, int] = {}
        if any(gates.get(backend) for backend in self._backends):
            sessions = parse_sessions(await self._ask(_COUNT, deadline_s))
        return {
            backend: replace(
                self._count(server for server in servers if server.backend == backend),
                can_hold=backend in gates,
                held=gates.get(backend, False),
                in_flight=sessions.get(backend, 0),
            )
            for backend in sorted(self._backends & {server.backend for server in servers})
        }

    async def servers(self, deadline_s: float) -> list[ServerState]:
        """Every server of every backend, whoever it belongs to."""
        return parse_servers(await self._ask(_SHOW, deadline_s))

    async def version(self, deadline_s: float) -> str:
        """What this haproxy says it is; "" when it does not say."""
        found = _RELEASE.search(await self._ask("show info", deadline_s))
        return found[1] if found else ""

    async def hold(self, backend: str, deadline_s: float) -> None:
        """New requests for `backend` wait at its gate."""
        await self._turn_gate(backend, deadline_s, held=True)

    async def _turn_gate(self, backend: str, deadline_s: float, *, held: bool) -> None:
        state = "ready" if held else "maint"
        command = f"set server {HOLD}/{backend} state {state}"
        words = " ".join((await self._ask(command, deadline_s)).split())
        if words:
            raise Refused(f"haproxy: the gate of {backend} is not {state}: {words}")

    async def shed_gates(self, deadline_s: float) -> Mapping[str, ShedGate]:
        """Every gate in `tricast_shed`; none where haproxy has no such backend."""
        return _shed_gates(await self._ask(f"{_SHOW} {SHED}", deadline_s))

    async def shed(self, backend: str, *, off: bool, deadline_s: float) -> None:
        """`backend` is switched off, or on again, and has been seen to be."""
        state = "ready" if off else "maint"
        command = f"set server {SHED}/{backend} state {state};{_SHOW} {SHED}"
        complaint, _, table = (await self._ask(command, deadline_s)).partition("# be_id")
        gate = _shed_gates(f"# be_id{table}").get(backend) if table else None
        if gate is None or gate.off != off:
            words = " ".join(complaint.split()).removesuffix("1").strip() or "no effect"
            raise Refused(f"haproxy: {SHED}/{backend} is not {state}: {words}")

    async def direct(self, backend: str, site: SiteName | None, deadline_s: float) -> None:
        """`backend` sends traffic to the servers of `site` only; to nobody when None."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._direct(backend, site, deadline_s)
        except TimeoutError:
            raise self._no_answer(deadline_s) from None

    async def _direct(self, backend: str, site: SiteName | None, deadline_s: float) -> None:
        show = f"{_SHOW} {backend}"
        answer = await self._ask(show, deadline_s)
        if "Can't find backend" in answer:
            raise await self._unknown_backend(backend, deadline_s)
        servers = parse_servers(answer)
        if site is not None and not any(self._site_of(server) == site for server in servers):
            known = ", ".join(server.name for server in servers) or "none"
            raise Refused(f"haproxy: {backend} has no server of site {site}; it has {known}")
        commands = self._commands(servers, site)
        for start in range(0, len(commands), _COMMANDS_A_LINE):
            batch = commands[start : start + _COMMANDS_A_LINE]
            answer = await self._ask(";".join([*batch, show]), deadline_s)
        if commands:
            self._check(backend, site, answer)
        await self._keep(backend, answer, changed=bool(commands))
        show = f"{_SHOW} {HOLD}"
        gates = await self._ask(show, deadline_s)
        if "Can't find backend" not in gates:
            held = (gate.enabled for gate in parse_servers(gates) if gate.name == backend)
            if any(held):
                await self._turn_gate(backend, deadline_s, held=False)

    def _commands(self, servers: Iterable[ServerState], site: SiteName | None) -> list[str]:
        """What makes the difference. First who is let in, so that no request finds nobody."""
        let_in, kept_out = [], []
        for server in servers:
            name = f"{server.backend}/{server.name}"
            wanted = self._site_of(server) == site and site is not None
            if wanted and not server.enabled:
                let_in.append(f"set server {name} state ready")
            if server.enabled and not wanted:
                kept_out.append(f"set server {name} state maint")
                kept_out.append(f"shutdown sessions server {name}")
        return let_in + kept_out

    def _check(self, backend: str, site: SiteName | None, answer: str) -> None:
        complaint, _, _ = answer.partition("# be_id")
        words = " ".join(complaint.split())
        if words != "1":  # the version of the table that follows
            raise Refused(f"haproxy: {backend} to {site}: {words.removesuffix(' 1')}")
        left = self._commands(parse_servers(answer), site)
        if left:
            raise Refused(f"haproxy: {backend} to {site}: no effect: {left[0]}")

    def _site_of(self, server: ServerState) -> SiteName | None:
        return next((site for site in self._sites if server.name.startswith(f"{site}-")), None)

    def _count(self, servers: Iterable[ServerState]) -> BackendState:
        enabled, up, total = (Counter[SiteName]() for _ in range(3))
        for server in servers:
            site = self._site_of(server)
            if site is not None:
                total[site] += 1
                enabled[site] += server.enabled
                up[site] += server.enabled and server.up
        return BackendState(enabled=dict(enabled), up=dict(up), total=dict(total))

    async def _unknown_backend(self, backend: str, deadline_s: float) -> Refused:
        servers = parse_servers(await self._ask(_SHOW, deadline_s))
        known = ", ".join(sorted({server.backend for server in servers})) or "none"
        return Refused(f"haproxy: no backend {backend}; it has {known}")

    async def _keep(self, backend: str, answer: str, *, changed: bool) -> None:
        if self._state_dir is None:
            return
        path = self._state_dir / backend
        try:
            await asyncio.to_thread(_write, path, answer, changed=changed)
        except OSError as error:
            # Traffic already goes where it should; only a restart of haproxy would forget it.
            _log.warning("haproxy_state_not_kept", path=str(path), error=str(error))

    async def _ask(self, command: str, deadline_s: float) -> str:
        try:
            async with asyncio.timeout(deadline_s):
                return await self._converse(command)
        except TimeoutError:
            raise self._no_answer(deadline_s) from None

    async def _converse(self, command: str) -> str:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError as error:
            raise Unreachable(f"haproxy: {self._socket}: {error.strerror or error}") from error
        try:
            writer.write(command.encode() + b"\n")
            answer = bytearray()
            while chunk := await reader.read(2**16):
                answer += chunk
                if len(answer) > _LONGEST_ANSWER:
                    raise Refused(f"haproxy: {self._socket}: an answer without end")
        except OSError as error:
            raise TimedOut(f"haproxy: {self._socket}: cut off: {error.strerror}") from error
        finally:
            writer.transport.abort()
        if not answer.endswith(b"\n"):
            raise TimedOut(f"haproxy: {self._socket}: cut off after {len(answer)} bytes")
        return answer.decode(errors="replace")

    def _no_answer(self, deadline_s: float) -> TimedOut:
        return TimedOut(f"haproxy: {self._socket}: no answer within {deadline_s:g} s")


def parse_servers(answer: str) -> list[ServerState]:
    """The servers in an answer to `show servers state`; lines that are none are passed over."""
    header, servers = [""], []
    for line in answer.splitlines():
        words = line.split()
        if words[:2] == ["#", "be_id"]:
            header = words[1:]
        elif len(words) >= len(header) and set(_COLUMNS) <= set(header):
            row = dict(zip(header, words, strict=False))
            server = _server(*(row[column] for column in _COLUMNS), changed=row.get(_CHANGED, ""))
            servers += [server] if server else []
    if not set(_COLUMNS) <= set(header):
        raise Refused(f"haproxy: not an answer to {_SHOW!r}: {answer[:120].strip()!r}")
    return servers


def parse_sessions(answer: str) -> dict[str, int]:
    """Requests under way by backend, in an answer to `show stat`.

    Of backends in `mode tcp` haproxy counts connections. They end when clients please, and do not
    tell whether anything is asked for at the moment: nothing to wait for.
    """
    lines = answer.splitlines()
    header = lines[0].removeprefix("# ").split(",") if lines else []
    if not {"pxname", "scur"} <= set(header):
        raise Refused(f"haproxy: not an answer to {_COUNT!r}: {answer[:120].strip()!r}")
    rows = (dict(zip(header, line.split(","), strict=False)) for line in lines[1:])
    return {
        row["pxname"]: int(row["scur"])
        for row in rows
        if row.get("mode") != "tcp" and _NUMBER.fullmatch(row.get("scur", ""))
    }


def _shed_gates(answer: str) -> dict[str, ShedGate]:
    if "Can't find backend" in answer:
        return {}
    return {
        gate.name: ShedGate(off=gate.enabled, for_s=gate.changed_s)
        for gate in parse_servers(answer)
    }


def _server(
    backend: str, name: str, operation: str, admin: str, *, changed: str
) -> ServerState | None:
    if not _NUMBER.fullmatch(operation) or not _NUMBER.fullmatch(admin):
        return None
    enabled = not int(admin) & _CLOSED_BY_ADMIN
    return ServerState(
        backend=backend,
        name=name,
        enabled=enabled,
        up=enabled and int(operation) == _RUNNING,
        changed_s=float(changed) if _NUMBER.fullmatch(changed) else 0.0,
    )


def _write(path: Path, answer: str, *, changed: bool) -> None:
    """`path` holds the table of `answer`, whole or as it was before."""
    if not changed and path.exists():
        return
    table = answer[answer.index("# be_id") :]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(f"1\n{table.rstrip()}\n")
    os.replace(draft, path)
