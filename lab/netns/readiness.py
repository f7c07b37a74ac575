"""Whether the programs of a lab are ready, seen from outside without disturbing them."""

import asyncio
import ipaddress
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.inside import Inside
from lab.netns.processes import Process, in_namespaces
from lab.netns.programs import program
from lab.netns.registry import Registry

LISTENING = "0A"
STEADY_S = 0.3  # a server that ends at once was up for a moment, too


class Readiness:
    """Looks at the programs of one lab."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside

    def is_ready(self, node: str, name: str) -> bool:
        """Whether the program runs on the node and answers where it should."""
        return not self._complaint(node, name, self._processes([node])[node])

    def ready(self, programs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, bool]]:
        """For each node, which of its programs are ready."""
        found = self._complaints(programs)
        return {node: {name: not said for name, said in found[node].items()} for node in found}

    def complaints(self, programs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """A sentence for every program that is not ready."""
        found = self._complaints(programs)
        return tuple(
            filter(None, (said for of_node in found.values() for said in of_node.values()))
        )

    def _complaints(self, programs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
        alive = [node for node in programs if self.inside.alive(node)]
        processes = self._processes(alive)
        return {
            node: {
                name: self._complaint(node, name, processes[node])
                if node in processes
                else f"node {node} is off"
                for name in names
            }
            for node, names in programs.items()
        }

    async def wait(self, registry: Registry, deadline_s: float) -> None:
        """Every program on record is ready and stays so, and every router knows every way."""
        record = registry.read()
        if record is None:
            raise LabError(f"lab {registry.lab} is not up")
        until = time.monotonic() + deadline_s
        ready_since: float | None = None
        while ready_since is None or time.monotonic() - ready_since < STEADY_S:
            now = time.monotonic()
            missing = self.complaints(record.programs) or self.missing_routes(record.programs)
            if not missing:
                ready_since = ready_since or now
            elif now > until:
                raise LabError(
                    f"after {deadline_s:g} s: {'; '.join(missing)}. The logs are in"
                    f" {record.state_dir}/logs"
                )
            else:
                ready_since = None
            await asyncio.sleep(0.05)

    def missing_routes(self, programs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """A sentence for every public network of the lab that a router does not know yet."""
        nodes = self.inside.topology.nodes.values()
        routers = [node for node in nodes if "bgpd" in programs.get(node.name, ())]
        wanted = {
            address.network
            for router in routers
            for address, _ in router.addresses()
            if not address.is_link_local
        }
        return tuple(
            f"{router.name} has no route to {network}"
            for router in routers
            for network in sorted(wanted - self._routes(router.name), key=str)
        )

    def _routes(self, node: str) -> frozenset[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        tables = Path(f"/proc/{self.inside.init(node).pid}/net")
        found: set[ipaddress.IPv4Network | ipaddress.IPv6Network] = set()
        for line in (tables / "route").read_text().splitlines()[1:]:
            fields = line.split()
            destination, mask = (
                ipaddress.IPv4Address(bytes.fromhex(fields[column])[::-1]) for column in (1, 7)
            )
            found.add(ipaddress.IPv4Network(f"{destination}/{mask}"))
        for line in (tables / "ipv6_route").read_text().splitlines():
            destination6, length = line.split()[:2]
            address = ipaddress.IPv6Address(bytes.fromhex(destination6))
            found.add(ipaddress.IPv6Network((address, int(length, 16))))
        return frozenset(found)

    def _processes(self, nodes: Iterable[str]) -> dict[str, tuple[Process, ...]]:
        handles = {node: Path(f"/proc/{self.inside.init(node).pid}/ns/pid") for node in nodes}
        return in_namespaces("pid", handles)

    def _complaint(self, node: str, name: str, processes: tuple[Process, ...]) -> str:
        wanted = program(name)
        if not any(wanted.pattern.search(process.command) for process in processes):
            return f"{node}: {name} is not running"
        if wanted.port is not None and wanted.port not in self._listening(node):
            return f"{node}: {name} does not listen on port {wanted.port} yet"
        if wanted.socket and not self.inside.path(node, wanted.socket).exists():
            return f"{node}: {name} has no socket {wanted.socket} yet"
        return ""

    def _listening(self, node: str) -> frozenset[int]:
        ports = set()
        for table in ("tcp", "tcp6"):
            path = Path(f"/proc/{self.inside.init(node).pid}/net/{table}")
            for line in path.read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING:
                    ports.add(int(fields[1].rpartition(":")[2], 16))
        return frozenset(ports)
