"""Running things inside a node."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.processes import Init
from lab.netns.registry import Registry
from lab.netns.topology import NodeSpec, Topology

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


class Running:
    """A command that runs inside a node, with pipes for its standard output and error."""

    def __init__(self, process: asyncio.subprocess.Process, words: str) -> None:
        self.process = process
        self.words = words

    def signal(self, number: signal.Signals) -> None:
        """The command itself has been sent the signal, not the program that took it inside."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            for child in children.read_text().split():
                os.kill(int(child), number)
        except (FileNotFoundError, ProcessLookupError):
            return

    async def finish(self, deadline_s: float) -> Finished:
        """What it printed, once it has ended; it is killed when the deadline passes."""
        try:
            async with asyncio.timeout(deadline_s):
                stdout, stderr = await self.process.communicate()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            raise LabError(f"no end within {deadline_s:g} s: {self.words}") from None
        except asyncio.CancelledError:
            self.signal(signal.SIGKILL)
            raise
        code = self.process.returncode
        assert code is not None
        return Finished(
            code=code,
            stdout=stdout.decode(errors="replace"),
            stderr=stderr.decode(errors="replace"),
        )


class Inside:
    """The nodes of one lab, as seen from within."""

    def __init__(self, topology: Topology, registry: Registry) -> None:
        self.topology = topology
        self.registry = registry

    def init(self, node: str) -> Init:
        """The node's first process, which is alive."""
        self.topology.node(node)
        init = self.registry.init(node)
        if init is None or not init.alive:
            raise LabError(f"node {node} of lab {self.registry.lab} is not running")
        return init

    def alive(self, node: str) -> bool:
        """Whether the node runs."""
        init = self.registry.init(node)
        return init is not None and init.alive

    def path(self, node: str, inside: str) -> Path:
        """The path on this machine of a path inside the node."""
        return Path(f"/proc/{self.init(node).pid}/root") / inside.lstrip("/")

    def environment(self, node: NodeSpec) -> dict[str, str]:
        """What every program of the node finds in its environment."""
        fixed = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "LAB_NODE": node.name}
        return {**fixed, **node.env}

    def command(self, node: str, arguments: Sequence[str]) -> list[str]:
        """The command line that runs `arguments` inside the node.

        Should the outer program be killed, the inner one is told to end as well.
        """
        enter = ["nsenter", "--target", str(self.init(node).pid)]
        enter += ["--mount", "--uts", "--ipc", "--net", "--pid"]
        return [*enter, "--", "setpriv", "--pdeathsig", "TERM", *arguments]

    async def start(
        self, node: str, arguments: Sequence[str], env: Mapping[str, str] | None = None
    ) -> Running:
        """The command has been started inside the node."""
        process = await asyncio.create_subprocess_exec(
            *self.command(node, arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**self.environment(self.topology.node(node)), **(env or {})},
        )
        return Running(process, f"{node}: {' '.join(arguments)}")

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
        env = self.environment(self.topology.node(node))
        return await run_outside(
            self.command(node, arguments),
            stdin=stdin,
            check=check,
            deadline_s=deadline_s,
            env=env,
        )

    def run_sync(
        self, node: str, arguments: Sequence[str], *, check: bool = True, deadline_s: float = 30
    ) -> Finished:
        """The same without an event loop."""
        done = subprocess.run(
            self.command(node, arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=self.environment(self.topology.node(node)),
            timeout=deadline_s,
            text=True,
            check=False,
        )
        finished = Finished(code=done.returncode, stdout=done.stdout, stderr=done.stderr)
        if check:
            _complain(arguments, finished)
        return finished

    async def ask_frr(self, node: str, question: str, deadline_s: float = 2.0) -> str:
        """What a router's bgpd answers, asked over its own socket: about a millisecond."""
        path = self.path(node, "/run/frr/bgpd.vty")
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as handle:
            handle.settimeout(0)
            async with asyncio.timeout(deadline_s):
                await loop.sock_connect(handle, str(path))
                await _vty(handle, "enable")
                return await _vty(handle, question)


async def _vty(handle: socket.socket, line: str) -> str:
    """Sends one line; the answer ends with three zero bytes and a status byte."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(handle, line.encode() + b"\0")
    answer = b""
    while answer[-4:-1] != b"\0\0\0":
        part = await loop.sock_recv(handle, 65536)
        if not part:
            raise LabError(f"bgpd hung up on {line!r}")
        answer += part
    if answer[-1] != 0:
        raise LabError(f"bgpd does not take {line!r}: {answer[:-4].decode(errors='replace')}")
    return answer[:-4].decode(errors="replace")


async def run_outside(
    arguments: Sequence[str],
    *,
    stdin: str = "",
    check: bool = True,
    deadline_s: float = 30,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """The command has run to its end on this machine."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    try:
        async with asyncio.timeout(deadline_s):
            stdout, stderr = await process.communicate(stdin.encode())
    except BaseException as error:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if isinstance(error, TimeoutError):
            text = f"no end within {deadline_s:g} s: {' '.join(arguments)}"
            raise LabError(text) from None
        raise
    assert process.returncode is not None
    finished = Finished(
        code=process.returncode,
        stdout=stdout.decode(errors="replace"),
        stderr=stderr.decode(errors="replace"),
    )
    if check:
        _complain(arguments, finished)
    return finished


def _complain(arguments: Sequence[str], finished: Finished) -> None:
    if finished.code:
        said = finished.stderr.strip() or finished.stdout.strip() or "nothing said"
        raise LabError(f"{' '.join(arguments)} ended with {finished.code}: {said}")
