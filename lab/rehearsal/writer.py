"""A writing client inside a client node, and what it says afterwards."""

import secrets
import signal
from dataclasses import dataclass

from lab.client.attempts import Attempt, Log, Outcome, Summary, acked_keys, read, summarise
from lab.netns.inside import Running
from lab.netns.lab import Lab
from lab.rehearsal.eyes import wait_for

PYTHON = "/opt/tricast/.venv/bin/python"


@dataclass(slots=True)
class Writer:
    """One client that writes through the service address until it is stopped."""

    lab: Lab
    node: str
    log_path: str
    running: Running

    @classmethod
    async def start(
        cls,
        lab: Lab,
        node: str,
        *,
        rate: float = 40,
        url: str = "http://198.51.100.10",
        timeout_s: float = 0.5,
        keepalive: bool = False,
    ) -> "Writer":
        """It writes."""
        name = f"{node}-{secrets.token_hex(3)}"
        log_path = f"/tmp/{name}.jsonl"
        running = await lab.start_process(
            node,
            ["env", "PYTHONPATH=/opt/tricast", PYTHON, "-m", "lab.client", "write", "--url", url]
            + ["--rate", str(rate), "--timeout", str(timeout_s), "--log", log_path]
            + ["--name", name, "--grace", "15"]
            + (["--keepalive"] if keepalive else []),
        )
        return cls(lab, node, log_path, running)

    def log(self) -> Log:
        """What it has logged so far."""
        path = self.lab.path(self.node, self.log_path)
        return (
            read(path)
            if path.exists()
            else Log(started_at=0, ended_at=0, complete=False, attempts=())
        )

    def acks(self, after: float = 0.0) -> list[Attempt]:
        """Acknowledged attempts that ended after `after`."""
        return [a for a in self.log().attempts if a.outcome is Outcome.OK and a.at > after]

    async def acked(self, count: int, *, after: float = 0.0, within_s: float = 30) -> None:
        """At least `count` writes were acknowledged after `after`."""

        async def look() -> str:
            found = len(self.acks(after))
            last = [str(a.detail or a.status) for a in self.log().attempts[-3:]]
            return "" if found >= count else f"{found} acknowledged, last answers {last}"

        await wait_for(f"{count} writes of {self.node} acknowledged", look, within_s=within_s)

    async def stop(self) -> tuple[Summary, list[str]]:
        """It has ended: its figures, and the keys that were acknowledged."""
        self.running.signal(signal.SIGTERM)
        await self.running.finish(30)
        log = self.log()
        return summarise(log), acked_keys(log)
