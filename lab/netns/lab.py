"""The lab as an object: what the verbs, the demonstration and the tests use.

lab = Lab("tricast")
await lab.up()
await lab.cut("dc1")
print((await lab.run("client2", ["curl", "http://198.51.100.10/whoami"])).stdout)
await lab.down()
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.mysql import variant
from lab.netns.bring_up import Builder, require_machine
from lab.netns.cuts import Cuts, Drop
from lab.netns.error import LabError
from lab.netns.inside import Finished, Inside, Running, run_outside
from lab.netns.processes import Process, descendants, in_namespaces, send, wait_until_gone
from lab.netns.programs import Selection, program
from lab.netns.readiness import Readiness
from lab.netns.registry import Registry
from lab.netns.take_down import take_down
from lab.netns.topology import REPOSITORY, Direction, Scope, Topology, read_topology

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One node and the programs it should run."""

    name: str
    alive: bool
    programs: Mapping[str, bool]  # name -> ready


@dataclass(frozen=True, slots=True, kw_only=True)
class LabStatus:
    """A lab that is there, wholly or in part."""

    lab: str
    stage: str  # starting | up
    checkout: str
    nodes: tuple[NodeStatus, ...]
    cuts: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether everything that should run is ready."""
        nodes = all(node.alive and all(node.programs.values()) for node in self.nodes)
        return nodes and self.stage == "up"


DEFAULT_NAME = "tricast"
STILL = frozenset("TZX")  # states of a process that does nothing: stopped, or ended
STILL_S = 5.0
EVERYTHING = Selection()
SUPERVISE = (
    'exec setsid -f /opt/tricast/lab/containerlab/images/supervise.sh "$0"'
    " </dev/null >>/var/log/tricast/node.log 2>&1"
)


def _quiet(_: str) -> None:
    return


class Lab:
    """One lab, there or not."""

    def __init__(self, name: str | None = None, topology: Topology | None = None) -> None:
        self.registry = Registry(name or os.environ.get("TRICAST_LAB", DEFAULT_NAME))
        self.name = self.registry.lab
        record = self.registry.read()
        self.state_dir = (
            Path(record.state_dir) if record else REPOSITORY / "build" / "lab" / self.name
        )
        self.on_mysql = variant.rendered(self.state_dir) if record else variant.wanted()
        self.topology = topology or read_topology()
        if topology is None and self.on_mysql:
            self.topology = variant.on_mysql(self.topology)
        self.inside = Inside(self.topology, self.registry)
        self.cuts = Cuts(self.registry)
        self.readiness = Readiness(self.inside)

    # --- life --------------------------------------------------------------------------------

    async def up(
        self,
        selection: Selection = EVERYTHING,
        *,
        say: Say = _quiet,
        ready_within_s: float = 60,
    ) -> None:
        """Every node runs and every wanted program is ready. Nothing is done if that is so."""
        require_machine()
        if variant.wanted():
            variant.require(running=not self.on_mysql)
        with self.registry.locked():
            if self._complete(selection):
                for node in (name for name in self.topology.nodes if not self.inside.alive(name)):
                    say(f"node {node} was off")
                    await self.power_on(node)
            else:
                if self.registry.read() is not None or self.registry.namespaces():
                    say("removing what is left of an earlier lab")
                    await take_down(self.registry, say)
                self.state_dir = REPOSITORY / "build" / "lab" / self.name
                await self._build(selection, say)
        await self.readiness.wait(self.registry, ready_within_s)
        say("every program is ready")

    async def down(self, *, say: Say = _quiet, force: bool = False) -> bool:
        """Nothing of the lab is left but its logs; whether there was anything."""
        with self.registry.locked():
            return await take_down(self.registry, say, force=force)

    async def _build(self, selection: Selection, say: Say) -> None:
        builder = Builder(self.inside, self.state_dir, self._wanted(selection))
        try:
            await builder.build(say)
        except BaseException as error:
            await take_down(self.registry, say)
            if isinstance(error, ExceptionGroup):
                found = error.exceptions[0]
                raise found if isinstance(found, LabError) else error from None
            raise
        complaint = await builder.delay_links()
        if complaint:
            say(f"links have no delay, only this machine's own: {complaint}")

    def _complete(self, selection: Selection) -> bool:
        """Whether the lab has been built, and not just begun; refused if it is another one."""
        record = self.registry.read()
        if record is None or record.stage != "up":
            return False
        if record.checkout != str(REPOSITORY):
            raise LabError(
                f"lab {self.name} is up from {record.checkout}; take it down there, or choose"
                " another name with --lab"
            )
        if record.programs != self._wanted(selection):
            raise LabError(f"lab {self.name} is up with other programs; take it down first")
        wanted = {self.registry.namespace(node) for node in self.topology.nodes}
        return set(self.registry.namespaces()) == wanted

    def _wanted(self, selection: Selection) -> dict[str, list[str]]:
        nodes = self.topology.nodes.values()
        return {node.name: list(selection.of(node.programs)) for node in nodes}

    def status(self) -> LabStatus | None:
        """How the lab is, if there is one."""
        record = self.registry.read()
        if record is None:
            return None
        alive = {name: self.inside.alive(name) for name in record.nodes}
        ready = self.readiness.ready(record.programs)
        nodes = (
            NodeStatus(name=name, alive=alive[name], programs=ready[name]) for name in record.nodes
        )
        return LabStatus(
            lab=self.name,
            stage=record.stage,
            checkout=record.checkout,
            nodes=tuple(nodes),
            cuts=tuple(map(str, self.cuts.current())),
        )

    # --- inside ------------------------------------------------------------------------------

    async def run(
        self,
        node: str,
        arguments: Sequence[str],
        *,
        stdin: str = "",
        check: bool = True,
        deadline_s: float = 30,
    ) -> Finished:
        """The command has run to its end inside the node."""
        return await self.inside.run(
            node, arguments, stdin=stdin, check=check, deadline_s=deadline_s
        )

    def run_sync(
        self, node: str, arguments: Sequence[str], *, check: bool = True, deadline_s: float = 30
    ) -> Finished:
        """The same without an event loop."""
        return self.inside.run_sync(node, arguments, check=check, deadline_s=deadline_s)

    async def start_process(self, node: str, arguments: Sequence[str]) -> Running:
        """The command has been started inside the node."""
        return await self.inside.start(node, arguments)

    def path(self, node: str, inside: str) -> Path:
        """The path on this machine of a path inside a running node."""
        return self.inside.path(node, inside)

    def log(self, node: str, program_name: str) -> Path:
        """Where a program's output goes; also readable after `down`."""
        self.topology.node(node)
        return self.state_dir / "logs" / node / f"{program_name}.log"

    async def ask_frr(self, node: str, question: str) -> dict[str, object]:
        """A router's answer to a `show ... json` command."""
        return dict(json.loads(await self.inside.ask_frr(node, question)))

    # --- links -------------------------------------------------------------------------------

    async def cut(
        self,
        site: str,
        scope: Scope = Scope.ALL,
        direction: Direction = Direction.BOTH,
    ) -> float:
        """Every packet on these links of the site is dropped silently; the time since when."""
        ends = self.topology.receivers(site, scope, direction)
        return await self.cuts.add(Drop(end.node, end.interface) for end in ends)

    async def heal(
        self,
        site: str | None = None,
        scope: Scope = Scope.ALL,
        direction: Direction = Direction.BOTH,
    ) -> float:
        """No cut is left on these links of the site (None: anywhere); the time since when."""
        if site is None:
            return await self.cuts.remove(lambda drop: drop.cause == "cut")
        ends = {
            (end.node, end.interface) for end in self.topology.receivers(site, scope, direction)
        }
        apart = {drop for other in self.topology.sites for drop in self._apart(site, other)}
        return await self.cuts.remove(
            lambda drop: (
                drop.cause == "cut"
                and (
                    (drop.node, drop.interface) in ends
                    or (scope is not Scope.INTERNET and drop in apart)
                )
            )
        )

    async def cut_link(self, left: str, right: str) -> float:
        """The link between two nodes drops everything, both ways."""
        ends = self.topology.between(left, right)
        return await self.cuts.add(Drop(end.node, end.interface) for end in ends)

    async def heal_link(self, left: str, right: str) -> float:
        """The link between two nodes is whole."""
        ends = {(end.node, end.interface) for end in self.topology.between(left, right)}
        return await self.cuts.remove(
            lambda drop: drop.cause == "cut" and (drop.node, drop.interface) in ends
        )

    async def part(self, left: str, right: str) -> float:
        """The WAN carries nothing between these two sites, and everything else as before."""
        return await self.cuts.add(self._apart(left, right))

    async def join(self, left: str, right: str) -> float:
        """The WAN carries what these two sites send each other."""
        apart = self._apart(left, right)
        return await self.cuts.remove(lambda drop: drop in apart)

    def _apart(self, left: str, right: str) -> frozenset[Drop]:
        drops = set()
        for sender, receiver in ((left, right), (right, left)):
            if sender == receiver:
                continue
            ends = self.topology.receivers(sender, Scope.WAN, Direction.OUTBOUND)
            networks = self.topology.private_networks(receiver)
            drops |= {Drop(end.node, end.interface, net) for end in ends for net in networks}
        return frozenset(drops)

    # --- processes ---------------------------------------------------------------------------

    def processes(self, node: str, program_name: str) -> tuple[Process, ...]:
        """The processes of one program on one node."""
        pattern = program(program_name).pattern
        return tuple(found for found in self._all(node) if pattern.search(found.command))

    def freeze(self, target: str, names: Sequence[str] = ()) -> int:
        """Everything the site or node runs (or the named programs) stands still; how many."""
        frozen: set[tuple[int, int]] = set()
        until = time.monotonic() + STILL_S
        while True:  # a process may have been started while we looked, or have to be waited for
            found = [p for p in self._chosen(target, names) if p.state not in STILL]
            if not found:
                return len(frozen)
            fresh = [p for p in found if (p.pid, p.started) not in frozen]
            send(fresh, signal.SIGSTOP)
            frozen |= {(p.pid, p.started) for p in fresh}
            if not fresh and time.monotonic() > until:
                pids = ", ".join(str(p.pid) for p in found)
                raise LabError(f"{target}: processes {pids} do not stand still after SIGSTOP")
            time.sleep(0.001)

    def thaw(self, target: str, names: Sequence[str] = ()) -> int:
        """Everything that stood still goes on; how many processes that were."""
        found = [process for process in self._chosen(target, names) if process.state == "T"]
        send(found, signal.SIGCONT)
        return len(found)

    def kill(self, node: str, name: str, *, stay_down: bool = False) -> int:
        """The program was killed (SIGKILL); unless `stay_down` its supervisor starts it again."""
        if stay_down:
            self.path(node, f"/run/lab/{name}.off").touch()
        found = self.processes(node, name)
        send(found, signal.SIGKILL)
        pids = [(process.pid, process.started) for process in found]
        if not wait_until_gone(pids, 5):
            raise LabError(f"{name} on {node} does not end although it was killed")
        return len(found)

    async def start(self, node: str, name: str, deadline_s: float = 30) -> None:
        """The program runs and is ready."""
        program(name)
        if name not in self.topology.node(node).programs:
            raise LabError(f"{node} has no program {name}")
        self.path(node, f"/run/lab/{name}.off").unlink(missing_ok=True)
        until = time.monotonic() + deadline_s
        while not self.readiness.is_ready(node, name):
            if time.monotonic() > until:
                raise LabError(f"{name} on {node} is not ready after {deadline_s:g} s")
            if not self.processes(node, name) and not self._supervised(node, name):
                await self.run(node, ["sh", "-c", SUPERVISE, name])
            await asyncio.sleep(0.05)

    async def power_off(self, target: str) -> float:
        """The node, or every node of the site, has lost its power: silent, without a goodbye."""
        nodes = self.topology.members(target)
        drops = {
            Drop(end.node, end.interface, cause="power")
            for node in nodes
            for end in self.topology.touching(node)
        }
        at = await self.cuts.add(drops)
        inits = [init for init in map(self.registry.init, nodes) if init is not None]
        for init in inits:
            init.end()
        if not wait_until_gone([(init.pid, init.started) for init in inits], 10):
            raise LabError(f"the first process of {target} does not end although it was killed")
        return at

    async def power_on(self, target: str) -> None:
        """The node, or every node of the site, has started again from its own disk."""
        record = self.registry.read()
        if record is None:
            raise LabError(f"lab {self.name} is not up")
        nodes = tuple(node for node in self.topology.members(target) if not self.inside.alive(node))
        for node in nodes:
            await self._forget_network(node)
        await Builder(self.inside, self.state_dir, record.programs).boot(nodes)
        still_off = {node for node in self.topology.nodes if not self.inside.alive(node)}
        ends = {
            (end.node, end.interface) for node in still_off for end in self.topology.touching(node)
        }
        await self.cuts.remove(
            lambda drop: drop.cause == "power" and (drop.node, drop.interface) not in ends
        )
        for node in nodes:
            await self.cuts.enforce(node)

    async def _forget_network(self, node: str) -> None:
        """A restarted machine has no addresses, routes, tunnels or rules; its cables stay."""
        interfaces = self.topology.interfaces(node)
        made = [command.split() for command in self.topology.nodes[node].commands]
        lines = [f"link del {words[3]}" for words in made if words[:3] == ["ip", "link", "add"]]
        for name in ("lo", *interfaces):
            lines += [f"link set {name} down", f"address flush dev {name}"]
        enter = ["nsenter", f"--net={self.registry.namespace_path(node)}"]
        await run_outside(
            [*enter, "ip", "-force", "-batch", "-"], stdin="\n".join(lines) + "\n", check=False
        )
        await run_outside([*enter, "nft", "flush", "ruleset"])

    def _all(self, node: str) -> tuple[Process, ...]:
        init = self.inside.init(node)
        return in_namespaces("pid", {node: Path(f"/proc/{init.pid}/ns/pid")})[node]

    def _chosen(self, target: str, names: Sequence[str]) -> tuple[Process, ...]:
        found: list[Process] = []
        for node in self.topology.members(target):
            if names:
                found += [process for name in names for process in self.processes(node, name)]
            else:
                found += descendants(self.inside.init(node).pid, self._all(node))
        return tuple(found)

    def _supervised(self, node: str, name: str) -> bool:
        suffix = f"supervise.sh {name}"
        return any(process.command.endswith(suffix) for process in self._all(node))
