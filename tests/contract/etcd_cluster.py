"""A real etcd cluster on the loopback, for tests."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAMES = ("dc1", "dc2", "witness")
START_S = 30.0


class EtcdCluster:
    """Members by name, as processes of ours."""

    def __init__(
        self, folder: Path, names: tuple[str, ...] = NAMES, client_options: tuple[str, ...] = ()
    ) -> None:
        """`client_options` with certificates make the client side speak TLS."""
        self._client_options = client_options
        self._scheme = "https" if client_options else "http"
        ports = _free_ports(2 * len(names))
        self.names = names
        self._folder = folder
        self._client = dict(zip(names, ports[: len(names)], strict=True))
        self._between = dict(zip(names, ports[len(names) :], strict=True))
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def endpoints(self) -> list[str]:
        """Client addresses, in the order of the names."""
        return [self.endpoint(name) for name in self.names]

    def endpoint(self, name: str) -> str:
        return f"{self._scheme}://127.0.0.1:{self._client[name]}"

    def start(self, name: str) -> None:
        cluster = ",".join(f"{n}=http://127.0.0.1:{p}" for n, p in self._between.items())
        between, client = f"http://127.0.0.1:{self._between[name]}", self.endpoint(name)
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [
                    "etcd",
                    *("--name", name, "--data-dir", str(self._folder / name)),
                    *("--listen-client-urls", client, "--advertise-client-urls", client),
                    *("--listen-peer-urls", between, "--initial-advertise-peer-urls", between),
                    *("--initial-cluster", cluster, "--initial-cluster-state", "new"),
                    *("--heartbeat-interval", "100", "--election-timeout", "1000"),
                    *("--pre-vote", "--logger", "zap"),
                    *self._client_options,
                ],
                stdout=log,
                stderr=log,
            )

    def send(self, name: str, number: signal.Signals) -> None:
        os.kill(self._running[name].pid, number)

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()

    @contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """These members are stopped, to the last thread; their connections stay open."""
        for name in names:
            self.send(name, signal.SIGSTOP)
        try:
            end = time.monotonic() + START_S
            while not all(self._is_stopped(name) for name in names):
                assert time.monotonic() < end
                time.sleep(0.001)
            yield
        finally:
            for name in names:
                with suppress(ProcessLookupError):
                    self.send(name, signal.SIGCONT)

    def _is_stopped(self, name: str) -> bool:
        tasks = Path(f"/proc/{self._running[name].pid}/task").iterdir()
        return all(
            (task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks
        )

    def stop(self) -> None:
        for name in list(self._running):
            with suppress(ProcessLookupError):
                self.send(name, signal.SIGCONT)
            self.kill(name)

    def wait(self) -> None:
        """Every member answers a linearizable read."""
        end = time.monotonic() + START_S
        for name in self.names:
            while not self._answers(name):
                if time.monotonic() > end:
                    raise TimeoutError((self._folder / f"{name}.log").read_text()[-2000:])
                time.sleep(0.05)

    def control(self, *arguments: str, at: str | None = None) -> str:
        """What etcdctl prints."""
        done = subprocess.run(
            ["etcdctl", "--endpoints", self.endpoint(at or self.names[0]), *arguments],
            env={**os.environ, "ETCDCTL_API": "3"},
            capture_output=True,
            timeout=20,
            check=True,
            text=True,
        )
        return done.stdout

    def _answers(self, name: str) -> bool:
        try:
            self.control("--command-timeout=2s", "endpoint", "health", at=name)
        except subprocess.SubprocessError:
            return False
        return True


@contextmanager
def running_cluster(folder: Path, names: tuple[str, ...] = NAMES) -> Iterator[EtcdCluster]:
    """A cluster that works; it leaves no process behind."""
    cluster = EtcdCluster(folder, names)
    try:
        for name in names:
            cluster.start(name)
        cluster.wait()
        yield cluster
    finally:
        cluster.stop()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
