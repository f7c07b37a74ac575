"""Making a lab: disks, secrets, namespaces, links, first processes, addresses, and waiting."""

import asyncio
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.mysql import variant
from lab.netns.disk import make_disk, make_template, require_accounts
from lab.netns.error import LabError
from lab.netns.inside import Inside, run_outside
from lab.netns.registry import ROOT, Record
from lab.netns.secrets import make_secrets
from lab.netns.take_down import remove_disks
from lab.netns.topology import REPOSITORY, Bind, NodeSpec

Say = Callable[[str], None]
TOOLS = ("ip", "nft", "nsenter", "setpriv", "tini", "setsid")
ACCOUNTS = ("frr", "haproxy", "mysql", "postgres", "sshd")
BOOT = Path(__file__).with_name("boot.py")
MOUNTPOINT = ROOT / "root"  # each node builds its root here, in its own mount namespace


def require_machine() -> None:
    """This machine can run the lab."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes network namespaces")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}; run lab/setup")
    require_accounts(ACCOUNTS)


class Builder:
    """Builds one lab, step by step; each step leaves a trace that `down` finds."""

    def __init__(
        self, inside: Inside, state_dir: Path, programs: Mapping[str, Sequence[str]]
    ) -> None:
        self.inside = inside
        self.topology = inside.topology
        self.registry = inside.registry
        self.state_dir = state_dir
        self.programs = programs  # node -> what it is to run

    async def build(self, say: Say) -> None:
        """Every node runs, with its addresses, and its programs have been started."""
        nodes = tuple(self.topology.nodes)
        self._record("starting")
        await asyncio.to_thread(self._prepare)
        say(f"disks and secrets of {len(nodes)} nodes")
        await self._make_network()
        say(f"{len(nodes)} namespaces and {len(self.topology.links)} links")
        await self.boot(nodes)
        say("nodes running, addresses set")
        self._record("up")

    async def boot(self, nodes: tuple[str, ...]) -> None:
        """Each node's first process runs, its commands have been run, its programs start."""
        MOUNTPOINT.mkdir(parents=True, exist_ok=True)
        async with asyncio.TaskGroup() as group:
            for node in nodes:
                group.create_task(self._boot_node(self.topology.node(node)))

    async def delay_links(self) -> str:
        """The delays of the topology are in force; or a sentence saying why they are not."""
        for node in self.topology.nodes.values():
            for interface, delay in node.delays.items():
                arguments = ["tc", "qdisc", "replace", "dev", interface]
                arguments += ["root", "netem", "delay", delay]
                done = await self.inside.run(node.name, arguments, check=False)
                if done.code:
                    return f"no delay on {node.name}:{interface}: {done.stderr.strip()}"
        return ""

    def _record(self, stage: str) -> None:
        self.registry.write(
            Record(
                stage=stage,
                checkout=str(REPOSITORY),
                state_dir=str(self.state_dir),
                nodes=tuple(self.topology.nodes),
                programs={node: list(names) for node, names in self.programs.items()},
            )
        )

    def _prepare(self) -> None:
        remove_disks(self.state_dir)
        shutil.rmtree(self.state_dir / "logs", ignore_errors=True)
        (self.state_dir / "shared").mkdir(mode=0o755, parents=True)
        template = self.state_dir / "template"
        make_template(template)
        for node in self.topology.nodes.values():
            make_disk(node, template, self.state_dir / node.name)
            logs = self.state_dir / "logs" / node.name
            logs.mkdir(parents=True)
            logs.chmod(0o1777)
        make_secrets(self.topology, self.state_dir)
        variant.render(self.topology, self.state_dir)

    async def _make_network(self) -> None:
        lines = [f"netns add {self.registry.namespace(name)}" for name in self.topology.nodes]
        for link in self.topology.links:
            left, right = link.left, link.right
            lines.append(
                f"link add {left.interface} netns {self.registry.namespace(left.node)} type veth"
                f" peer name {right.interface} netns {self.registry.namespace(right.node)}"
            )
        # Byte code is compiled now, because the nodes see the checkout read-only.
        folders = ("bgp", "controller", "lab", "witness")
        compiling = [sys.executable, "-m", "compileall", "-q", *folders]
        async with asyncio.TaskGroup() as group:
            group.create_task(run_outside(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n"))
            group.create_task(run_outside(["env", "-C", str(REPOSITORY), *compiling], check=False))

    async def _boot_node(self, node: NodeSpec) -> None:
        description = json.dumps(self._describe(node))
        await run_outside(["/usr/bin/python3", "-I", str(BOOT)], stdin=description)
        await self._run_commands(node)

    async def _run_commands(self, node: NodeSpec) -> None:
        """Runs of plain `ip` commands go in one batch, which is many times faster."""
        batch: list[str] = []
        for command in (*node.commands, ""):
            if command.startswith("ip ") and not command.startswith("ip -"):
                batch.append(command.removeprefix("ip ") + "\n")
                continue
            if batch:
                await self.inside.run(node.name, ["ip", "-batch", "-"], stdin="".join(batch))
                batch = []
            if command:
                await self.inside.run(node.name, shlex.split(command))

    def _describe(self, node: NodeSpec) -> Mapping[str, object]:
        binds = [(self._source(bind, node), bind) for bind in node.binds]
        programs = " ".join(self.programs[node.name])
        logs = self.state_dir / "logs" / node.name
        own_logs = {"source": str(logs), "target": "/var/log/tricast", "read_only": False}
        return {
            "name": node.name,
            "netns": str(self.registry.namespace_path(node.name)),
            "disk": str(self.state_dir / node.name),
            "mountpoint": str(MOUNTPOINT),
            "log": str(logs / "node.log"),
            "record": str(self.registry.node_record(node.name)),
            "binds": [
                own_logs,
                *(
                    {"source": str(source), "target": bind.target, "read_only": bind.read_only}
                    for source, bind in binds
                ),
            ],
            "hidden": [
                f"{bind.target}/{name}"
                for source, bind in binds
                if source == REPOSITORY
                for name in (".git", "build")
            ],
            "sysctls": dict(node.sysctls),
            "env": {**self.inside.environment(node), "PROGRAMS": programs},
            "argv": list(node.entrypoint),
        }

    def _source(self, bind: Bind, node: NodeSpec) -> Path:
        text = bind.source
        for name, value in (
            ("__clabNodeDir__", str(self.state_dir / node.name)),
            ("__clabDir__", str(self.state_dir)),
            ("__clabNodeName__", node.name),
            ("__clabLabName__", self.registry.lab),
        ):
            text = text.replace(name, value)
        source = (self.topology.directory / text).resolve()
        if not source.exists():
            raise LabError(f"node {node.name} binds {source}, which does not exist")
        return source
