"""tricast as the benchmark sees it."""

from typing import Any

from lab.client.attempts import Attempt, missing
from lab.netns.lab import Lab
from lab.rehearsal.eyes import DATA_SITES, Eyes, wait_for
from lab.rehearsal.journal import asked_to_attract, first_intent, route_came, stamp
from lab.rehearsal.stack import Blow, Say
from lab.rehearsal.writer import PYTHON

PROVIDER = {"dc1": "isp1", "dc2": "isp2"}
PATH_AT_EXCHANGE = {"dc1": "64501 64510", "dc2": "64502 64510"}
OTHER = {"dc1": "dc2", "dc2": "dc1"}
HEALTHY_WITHIN_S = 90
SWITCHED_WITHIN_S = 30
COMMAND = ("env", "PYTHONPATH=/opt/tricast", PYTHON, "-m", "controller.cli.main")


class Tricast:
    """The stack of this repository."""

    name = "tricast"

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.eyes = Eyes(lab)

    async def up(self, say: Say) -> None:
        """Every program is ready."""
        await self.lab.up(say=say)

    async def ready(self) -> str:
        """Every voter votes, both sites can be reached, and somebody has looked at the last role
        change, so that the next blow is no second one in its flap window; who holds the service.
        """
        holder = await self._healthy()
        words = ("ack", "--service", "wallet", "--yes", "--reason", "bench")
        await self.lab.run(f"{holder}-edge", [*COMMAND, *words])
        return holder

    async def _healthy(self) -> str:
        holder = ""

        async def look() -> str:
            nonlocal holder
            holder = await self._holder()
            return await self.eyes.not_healthy(holder) if holder else "nobody holds wallet"

        await wait_for("a healthy service", look, within_s=HEALTHY_WITHIN_S)
        return holder

    async def _holder(self) -> str:
        seen = [await self.eyes.service(site) for site in DATA_SITES]
        epochs = {found["epoch"]: str(found["holder"] or "") for found in seen if found}
        return epochs[max(epochs)] if epochs else ""

    async def switch(self, holder: str) -> None:
        """Asked for as an operator does, and asked for again when it is refused or taken back."""
        words = ("switchover", "--service", "wallet", "--to", OTHER[holder], "--yes")

        async def look() -> str:
            done = await self.lab.run(
                f"{holder}-edge", [*COMMAND, *words, "--reason", "bench"], check=False
            )
            return "" if done.code == 0 else f"{done.stdout.strip()} {done.stderr.strip()}"

        what = f"a switchover from {holder} granted"
        await wait_for(what, look, within_s=SWITCHED_WITHIN_S, every_s=1)

    async def moved(self, blow: Blow) -> str:
        """A change that began after the blow is in the history."""
        return "" if await self._change(blow) else "no new entry in the history"

    async def _change(self, blow: Blow) -> dict[str, Any]:
        for site in (OTHER[blow.holder], blow.holder):
            for change in await self.eyes.history(site):
                if stamp(change["began_at"]) > blow.stamp - 0.1:
                    return change
        return {}

    async def recovered(self, blow: Blow) -> str:
        """Every voter votes again."""
        return await self._healthy()

    async def missing(self, holder: str, acked: list[str]) -> int:
        """Of both databases."""
        ledger, journal = await self.eyes.ledger_keys(holder), await self.eyes.journal_keys(holder)
        return len(missing(acked, ledger)) + len(missing(acked, journal))

    async def parts(self, blow: Blow, holder: str, attempts: list[Attempt]) -> dict[str, Any]:
        """By the history, the controllers' logs and the routers'."""
        change, after = await self._change(blow), blow.stamp
        began = stamp(change["began_at"]) - after if change else 0.0
        steps = {
            f"{step['name']} {step['database']}".strip(): round(began + step["took_s"], 4)
            for step in change.get("steps", ())
        }
        logs = {site: self._log(f"{site}-edge", "controller") for site in DATA_SITES}
        raised = [first_intent(log, after, "RaiseEpoch") for log in logs.values()]
        own = logs[holder]
        asked = asked_to_attract(own, after)
        provider = route_came(self._log(PROVIDER[holder], "bgpd"), after)
        exchange = route_came(self._log("ix", "bgpd"), after, PATH_AT_EXCHANGE[holder])
        decided = min((at for at in raised if at is not None), default=None)
        noticed = first_intent(logs[blow.holder], after, "StartDatabase")
        if noticed is not None and (decided is None or noticed > decided):
            noticed = None  # a later one, of the rejoin
        seen = {
            "holder restarts its database": _since(noticed, after),
            "detection": _since(decided, after),
            "epoch": round(began, 4) if change else None,
            "seal": _latest(steps, "logs_sealed"),
            "catch-up": _latest(steps, "caught_up"),
            "promote": _latest(steps, "promoted"),
            "commit": _latest(steps, "committing"),
            "haproxy": _since(first_intent(own, after, f"Direct(site='{holder}'"), after),
            "route asked for": _since(asked, after),
            "route at the provider": _since(provider, after),
            "route at the exchange": _since(exchange, after),
        }
        return {
            "parts": {name: at for name, at in seen.items() if at is not None},
            "steps": {name: at for name, at in steps.items() if not name.startswith("intent ")},
            "route_ms": (
                None if asked is None or provider is None else round(1000 * (provider - asked), 1)
            ),
        }

    def _log(self, node: str, program: str) -> str:
        path = self.lab.log(node, program)
        return path.read_text(errors="replace") if path.exists() else ""


def _since(at: float | None, after: float) -> float | None:
    return None if at is None else round(at - after, 4)


def _latest(steps: dict[str, float], name: str) -> float | None:
    return max((at for step, at in steps.items() if step.split()[0] == name), default=None)
