"""The clients of a scenario in the lab: what each was told, read as it is written."""

import json
from dataclasses import dataclass, field

from lab.client.attempts import Attempt, Outcome, acked_keys, longest_gap
from lab.netns.lab import Lab
from lab.rehearsal.eyes import wait_for
from lab.rehearsal.writer import Writer

USUAL_TIMEOUT_S = 0.5
PATIENT_TIMEOUT_S = 4.0
RATE = 20.0  # writes a second, each client


@dataclass(slots=True)
class Client:
    """One writing client, and its attempts so far."""

    writer: Writer
    attempts: list[Attempt] = field(default_factory=list)
    _offset: int = 0

    def catch_up(self) -> None:
        """`attempts` holds every line that is whole."""
        path = self.writer.lab.path(self.writer.node, self.writer.log_path)
        if not path.exists():
            return
        with path.open("rb") as log:
            log.seek(self._offset)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        for line in whole.splitlines():
            words = json.loads(line)
            if words.pop("event") == "attempt":
                self.attempts.append(Attempt(**{**words, "outcome": Outcome(words["outcome"])}))

    def acks(self, sent_after: float) -> list[Attempt]:
        """Acknowledged, of those sent after this time."""
        return [a for a in self.attempts if a.outcome is Outcome.OK and a.sent_at > sent_after]


@dataclass(slots=True)
class Crowd:
    """All of them."""

    clients: dict[str, Client] = field(default_factory=dict)
    stopped: bool = False

    async def start(self, lab: Lab, *nodes: str, timeout_s: float) -> None:
        """They write, and each had its first writes acknowledged."""
        for node in nodes:
            writer = await Writer.start(lab, node, rate=RATE, timeout_s=timeout_s)
            self.clients[node] = Client(writer)
        await self.answered()

    async def answered(self) -> None:
        """Each had a few writes acknowledged."""

        async def look() -> str:
            few = {
                node: len(client.acks(0.0))
                for node, client in self.current()
                if len(client.acks(0.0)) < 10
            }
            return f"acknowledged so far: {few}" if few else ""

        await wait_for("every client is answered", look, within_s=30)

    def current(self) -> list[tuple[str, Client]]:
        """Every client by name, with what it has been told until now."""
        if not self.stopped:
            for client in self.clients.values():
                client.catch_up()
        return list(self.clients.items())

    def everything(self) -> list[Attempt]:
        """Every attempt of every client, in the order in which they ended."""
        found = [attempt for _, client in self.current() for attempt in client.attempts]
        return sorted(found, key=lambda attempt: attempt.at)

    async def settle(self) -> None:
        """What was acknowledged can be looked for: here, once they have stopped."""
        await self.stop()

    async def stop(self) -> None:
        """They have stopped, and every attempt has ended."""
        if self.stopped:
            return
        for client in self.clients.values():
            await client.writer.stop()
        self.current()
        self.stopped = True

    def acked_keys(self) -> list[str]:
        """Every acknowledged key, once they have stopped."""
        logs = (client.writer.log() for client in self.clients.values())
        return [key for log in logs for key in acked_keys(log)]

    def outages(self, since: float) -> dict[str, float]:
        """Each client's longest time without an acknowledgement."""
        found: dict[str, float] = {}
        for node, client in self.current():
            times = [a.at for a in client.attempts if a.outcome is Outcome.OK]
            end = max((a.at for a in client.attempts), default=since)
            began, ended = longest_gap(times, since, max(since, end))
            found[node] = round(ended - began, 3)
        return found

    def turns(self, since: float) -> list[Attempt]:
        """Acknowledged writes that came from another site than the one before.

        A write that was under way while another site answered already is no turn.
        """
        acks = [a for a in self.everything() if a.outcome is Outcome.OK and a.at > since]
        turns: list[Attempt] = []
        site, latest = "", 0.0
        for ack in acks:
            if site and ack.site != site:
                if ack.sent_at < latest:
                    continue
                turns.append(ack)
            site, latest = ack.site, ack.at
        return turns
