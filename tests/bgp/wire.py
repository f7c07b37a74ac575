"""A provider (FRR) and an edge (ExaBGP with our speaker) at two ends of one wire.

Two network namespaces with names of this process's own, everything else in one directory. Whatever
is started is ended by its process id.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bgp.exabgp_conf import environment, render
from bgp.policy import Policy
from bgp.route import Prefix
from bgp.spec import BgpSpec, NeighborSpec

ROOT = Path(__file__).resolve().parents[2]
EXABGP = Path(sys.executable).with_name("exabgp")
STARTED = (sys.executable, "-m", "bgp.exabgp_start")  # as the edges start it
FRR = Path("/usr/lib/frr")
HOLD_S = 3

PROVIDER = {"ipv4": "203.0.113.1", "ipv6": "2001:db8:ff:1::1"}
EDGE = {"ipv4": "203.0.113.2", "ipv6": "2001:db8:ff:1::2"}
PROVIDER_AS, LOCAL_AS = 64501, 64510
WALLET = ("198.51.100.0/24", "2001:db8:100::/48")
LOBBY = ("192.0.2.0/24", "2001:db8:200::/48")

FRR_CONFIG = f"""
hostname provider
log file @DIRECTORY@/bgpd.log debugging
debug bgp updates in
router bgp {PROVIDER_AS}
 bgp router-id {PROVIDER["ipv4"]}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor {EDGE["ipv4"]} remote-as {LOCAL_AS}
 neighbor {EDGE["ipv4"]} passive
 neighbor {EDGE["ipv4"]} timers 1 {HOLD_S}
 neighbor {EDGE["ipv6"]} remote-as {LOCAL_AS}
 neighbor {EDGE["ipv6"]} passive
 neighbor {EDGE["ipv6"]} timers 1 {HOLD_S}
 address-family ipv4 unicast
  neighbor {EDGE["ipv4"]} activate
  neighbor {EDGE["ipv4"]} soft-reconfiguration inbound
 exit-address-family
 address-family ipv6 unicast
  neighbor {EDGE["ipv6"]} activate
  neighbor {EDGE["ipv6"]} soft-reconfiguration inbound
 exit-address-family
"""


def until(condition: Any, deadline_s: float, what: str) -> float:
    """Seconds it took until `condition()` was true; fails after `deadline_s`."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > deadline_s:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.001)
    return time.monotonic() - start


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def end(process: subprocess.Popen[Any]) -> None:
    """The process has ended, by asking and then by force, frozen or not."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


class Vty:
    """FRR's own command socket: about a millisecond a question."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(5)
        try:
            until(lambda: self._socket.connect_ex(str(path)) == 0, 10, f"{path.name} listens")
        except AssertionError:
            self._socket.close()
            raise
        self.ask("enable")

    def ask(self, command: str) -> str:
        self._socket.sendall(command.encode() + b"\0")
        answer = b""
        while not (len(answer) >= 4 and answer[-4:-1] == b"\0\0\0"):
            chunk = self._socket.recv(65536)
            if not chunk:
                raise EOFError(f"FRR hung up on {command!r}")
            answer += chunk
        return answer[:-4].decode()

    def close(self) -> None:
        self._socket.close()


@dataclass
class Wire:
    """Both namespaces, and the provider's routers running in one of them."""

    name: str
    directory: Path
    processes: list[subprocess.Popen[Any]] = field(default_factory=list)
    vty: Vty = field(init=False)

    @property
    def edge(self) -> str:
        return f"{self.name}-edge"

    @property
    def provider(self) -> str:
        return f"{self.name}-isp"

    def lay(self) -> None:
        for namespace in (self.edge, self.provider):
            ip("netns", "add", namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
        ip(
            *("link", "add", "wire", "netns", self.edge, "type", "veth"),
            *("peer", "name", "wire", "netns", self.provider),
        )
        for namespace, ends in ((self.edge, EDGE), (self.provider, PROVIDER)):
            ip("-n", namespace, "addr", "add", f"{ends['ipv4']}/30", "dev", "wire")
            ip("-n", namespace, "addr", "add", f"{ends['ipv6']}/64", "dev", "wire", "nodad")
            ip("-n", namespace, "link", "set", "wire", "up")

    def start_provider(self) -> None:
        at = self.directory / "frr"
        at.mkdir()
        shutil.chown(at, "frr", "frr")
        (at / "zebra.conf").write_text("hostname provider\n")
        (at / "bgpd.conf").write_text(FRR_CONFIG.replace("@DIRECTORY@", str(at)))
        for daemon in ("zebra", "bgpd"):
            command = [
                *("ip", "netns", "exec", self.provider, str(FRR / daemon)),
                *("-f", str(at / f"{daemon}.conf"), "-i", str(at / f"{daemon}.pid")),
                *("-z", str(at / "zserv.api"), "--vty_socket", str(at)),
                *("-A", "127.0.0.1"),
            ]
            with (at / f"{daemon}.out").open("w") as out:
                self.processes.append(
                    subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
                )
            socket_path = at / f"{daemon}.vty"
            until(socket_path.exists, 10, f"{daemon} listens")
        self.vty = Vty(at / "bgpd.vty")

    def clear(self) -> None:
        if hasattr(self, "vty"):
            self.vty.close()
        for process in reversed(self.processes):
            end(process)
        for namespace in (self.edge, self.provider):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)

    # --- what the provider knows -----------------------------------------------------------------

    def shown(self, command: str) -> Any:
        return json.loads(self.vty.ask(command) or "{}")

    def path(self, prefix: str) -> dict[str, Any] | None:
        """The path of `prefix` in the provider's table."""
        family = "ipv6" if ":" in prefix else "ipv4"
        paths = self.shown(f"show bgp {family} unicast {prefix} json").get("paths", [])
        return paths[0] if paths else None

    def length(self, prefix: str) -> int:
        """How long its AS path is; 0 when there is none."""
        path = self.path(prefix)
        return int(path["aspath"]["length"]) if path else 0

    def best(self, prefix: str) -> bool:
        path = self.path(prefix)
        return bool(path and path.get("bestpath", {}).get("overall"))

    def established(self, family: str) -> bool:
        neighbor = self.shown(f"show bgp neighbors {EDGE[family]} json").get(EDGE[family], {})
        return bool(neighbor.get("bgpState") == "Established")

    def updates_logged(self) -> str:
        return (self.directory / "frr" / "bgpd.log").read_text()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Every packet of the provider is dropped, silently."""
        drop = "chain {0} {{ type filter hook {0} priority 0; policy drop; }}\n"
        chains = "".join(drop.format(hook) for hook in ("input", "output"))
        self.nft(f"table inet cut {{\n{chains}}}\n")
        try:
            yield
        finally:
            self.nft("delete table inet cut\n")

    def nft(self, rules: str) -> None:
        command = ["ip", "netns", "exec", self.provider, "nft", "-f", "-"]
        subprocess.run(command, input=rules, text=True, check=True)


@contextmanager
def open_directory() -> Iterator[Path]:
    """A directory that daemons of other users can enter; pytest closes its own to them."""
    with tempfile.TemporaryDirectory(prefix="b-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@contextmanager
def laid_wire() -> Iterator[Wire]:
    """A wire with a provider at its end."""
    with open_directory() as directory:
        wire = Wire(f"b-{os.getpid()}", directory)
        try:
            wire.lay()
            wire.start_provider()
            yield wire
        finally:
            wire.clear()


def make_spec(directory: Path, **changes: Any) -> BgpSpec:
    """Two services, both families, short times."""
    values: dict[str, Any] = {
        "router_id": EDGE["ipv4"],
        "policy": Policy(local_as=LOCAL_AS),
        "neighbors": tuple(
            NeighborSpec(
                address=PROVIDER[family],
                local_address=EDGE[family],
                remote_as=PROVIDER_AS,
                hold_s=HOLD_S,
            )
            for family in ("ipv4", "ipv6")
        ),
        "services": {
            "wallet": tuple(map(Prefix, WALLET)),
            "lobby": tuple(map(Prefix, LOBBY)),
        },
        "allowed_prefixes": tuple(map(Prefix, (*WALLET, *LOBBY))),
        "permit_s": 1.5,
        "socket_path": str(directory / "speaker.sock"),
    }
    return BgpSpec(**{**values, **changes})


@dataclass
class Edge:
    """ExaBGP in the edge's namespace, and whatever it runs."""

    wire: Wire
    directory: Path
    config: str
    settings: Mapping[str, str] = field(default_factory=environment)
    program: Sequence[str] = STARTED
    process: subprocess.Popen[Any] | None = None

    @property
    def log(self) -> Path:
        return self.directory / "exabgp.log"

    def start(self) -> None:
        (self.directory / "exabgp.conf").write_text(self.config)
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.wire.edge, *self.program),
                    *("server", str(self.directory / "exabgp.conf")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.settings},
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def helper_pid(self) -> int | None:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self) -> None:
        if self.process is not None:
            end(self.process)
            self.process = None


def speaker_edge(wire: Wire, directory: Path, spec: BgpSpec) -> Edge:
    """An edge that runs our speaker."""
    (directory / "speaker.json").write_text(spec.to_json())
    run = [sys.executable, "-m", "bgp.speaker", "--spec", str(directory / "speaker.json")]
    return Edge(wire, directory, render(spec, run))


def helper_edge(wire: Wire, directory: Path, program: Sequence[str]) -> Edge:
    """An edge that runs another helper."""
    return Edge(wire, directory, render(make_spec(directory), program))
