"""Clients that keep one connection: what each of them met while the service moved."""

import json
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from lab.netns.inside import Running
from lab.netns.lab import Lab
from lab.rehearsal.writer import PYTHON

SERVICE: Final = "198.51.100.10"
DATABASE: Final = {"dc1": "10.1.0.20", "dc2": "10.2.0.20"}
SECRET: Final = "/etc/tricast/secrets/wallet"


@dataclass(frozen=True, slots=True)
class Keeper:
    """One such client."""

    kind: str
    lab: Lab
    node: str
    log_path: str
    running: Running

    def seen(self, since: float) -> dict[str, Any]:
        """Its figures from `since` on, a moment of the machine's monotonic clock."""
        text = self.lab.path(self.node, self.log_path).read_text()
        uses = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        uses = [use for use in uses if use["sent_at"] > since]
        errors = [use for use in uses if use["error"]]
        return {
            "uses": len(uses),
            "failed": len(errors),
            "failures": dict(Counter(use["error"][:100] for use in errors)),
            "first_failed_s": round(errors[0]["at"] - since, 3) if errors else None,
            "connections": len({use["connection"] for use in uses}),
            "slowest_s": round(max((u["at"] - u["sent_at"] for u in uses), default=0.0), 4),
        }


@asynccontextmanager
async def keepers(lab: Lab, holder: str) -> AsyncIterator[Mapping[str, Keeper]]:
    """They run meanwhile: at both clients over HTTP, and at the holder's own database."""
    wallet = f"host={DATABASE[holder]} dbname=wallet user=wallet connect_timeout=2"
    started = [
        await _start(lab, "idle HTTP", "client1", ["http", SERVICE, "--every", "3"]),
        await _start(lab, "kept HTTP", "client2", ["http", SERVICE, "--every", "0.2"]),
        await _start(
            lab,
            "SQL session",
            f"{holder}-app1",
            ["sql", wallet, "--password-file", SECRET, "--every", "0.2"],
        ),
    ]
    try:
        yield {keeper.kind: keeper for keeper in started}
    finally:
        for keeper in started:
            keeper.running.signal(signal.SIGKILL)
            await keeper.running.finish(10)


async def _start(lab: Lab, kind: str, node: str, words: list[str]) -> Keeper:
    log_path = f"/tmp/keep-{secrets.token_hex(3)}.jsonl"
    program = ["env", "PYTHONPATH=/opt/tricast", PYTHON, "-m", "lab.client.keep"]
    running = await lab.start_process(node, [*program, *words, "--log", log_path])
    return Keeper(kind, lab, node, log_path, running)
