"""What a scenario looks at in the lab: one function for each condition of the vocabulary.

Looked at from outside where that can be: what clients were told, what routers have, what databases
hold. A daemon's own word is taken only where the condition is about that word.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from controller.core.requests import State
from lab.client.attempts import Attempt, Outcome
from lab.netns.lab import Lab
from lab.rehearsal.eyes import DATA_SITES, EDGE, PREFIX, Eyes
from lab.scenario.arguments import DATABASES
from lab.scenario.crowd import Crowd
from lab.scenario.hands import Hands
from lab.scenario.matching import Phrase
from lab.scenario.people import asked
from lab.scenario.places import URL, program_at
from lab.scenario.play import Look

ENOUGH: Final = 3  # answers in a row that show who serves
RECENT_S: Final = 2.0  # an answer that says who serves now


@dataclass(slots=True)
class Sight:
    """Looks at one lab, since the scenario in it began."""

    lab: Lab
    eyes: Eyes
    crowd: Crowd
    hands: Hands
    began_at: float = 0.0  # monotonic
    acted_at: float = 0.0
    first: dict[str, tuple[str, int]] = field(default_factory=dict)  # service -> holder, epoch
    holders: dict[str, dict[int, str]] = field(default_factory=dict)  # service -> epoch -> holder
    lost: tuple[str, ...] | None = None  # known once the clients have stopped
    logs: dict[str, int] = field(default_factory=dict)  # site -> size of its log at the beginning

    async def look(self, phrase: Phrase) -> Look:
        """How it is now."""
        return await CONDITIONS[phrase.key](self, phrase)

    async def record(self, service: str) -> tuple[str, int]:
        """Holder and epoch, as the site that knows the highest epoch says: the witness, too, for
        the new holder's controller may be dead.
        """
        seen = [await self.eyes.service(site, service) for site in EDGE]
        best = max((s for s in seen if s), key=lambda s: int(s["epoch"]), default={})
        found = str(best.get("holder", "")), int(best.get("epoch", 0))
        if found[0]:
            self.holders.setdefault(service, {})[found[1]] = found[0]
        return found

    async def side(self, asked: str, about: str, service: str = "wallet") -> dict[str, Any]:
        """What the daemon of `asked` shows of the site `about`."""
        seen = await self.eyes.service(asked, service)
        return next((dict(s) for s in seen.get("sites", []) if s["site"] == about), {})

    def attempts(self) -> list[Attempt]:
        """Every attempt since the scenario began."""
        return [a for a in self.crowd.everything() if a.sent_at > self.began_at]

    def rules(self) -> Iterator[tuple[str, int]]:
        """Every rule that a data site has said it was at, since the scenario began."""
        for site in DATA_SITES:
            log = self.lab.log(EDGE[site], "controller")
            with log.open("rb") as lines:
                lines.seek(self.logs.get(site, 0))
                for line in lines:
                    words = _words(line)
                    if words.get("event") in ("decision", "intent") and "rule" in words:
                        yield site, int(words["rule"])

    async def unsettled(self, service: str = "wallet") -> str:
        """What is missing until the service is healthy and wholly redundant; "" for nothing."""
        holder, _ = await self.record(service)
        if not holder:
            return "nobody holds it"
        if said := await self.eyes.not_healthy(holder, service):
            return said
        for site in DATA_SITES:
            wanted = "preferred" if site == holder else "backup"
            stance = (await self.side(site, site, service)).get("stance")
            if stance != wanted:
                return f"the stance of {site} is {stance}, not {wanted}"
        lands = await self.eyes.lands("client2", URL[service])
        return "" if lands == holder else f"client2 lands at {lands or 'nobody'}, not at {holder}"


def _words(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is(found: object, wanted: object) -> Look:
    return Look(found == wanted, str(found))


async def _serves(sight: Sight, phrase: Phrase) -> Look:
    service, site = phrase.text("SERVICE"), phrase.text("DC")
    if service != "wallet":
        return _is(await sight.eyes.lands("client2", URL[service]), site)
    recent = time.monotonic() - RECENT_S
    last = {
        node: [ack.site for ack in client.acks(0.0) if ack.at > recent][-ENOUGH:]
        for node, client in sight.crowd.current()
    }
    return Look([site] * ENOUGH in last.values(), f"last answers from {last}")


async def _lands(sight: Sight, phrase: Phrase) -> Look:
    return _is(await sight.eyes.lands(phrase.text("CLIENT")), phrase.text("DC"))


async def _holds(sight: Sight, phrase: Phrase) -> Look:
    holder, epoch = await sight.record(phrase.text("SERVICE"))
    return Look(holder == phrase.text("DC"), f"{holder or 'nobody'} at epoch {epoch}")


async def _votes(sight: Sight, phrase: Phrase) -> Look:
    service, site = phrase.text("SERVICE"), phrase.text("SITE")
    holder, _ = await sight.record(service)
    seen = await sight.eyes.service(holder, service) if holder else {}
    if not seen:
        return Look(true=False, seen=f"the holder {holder or '(none)'} does not answer")
    copies = [f"{name}: the copy at {site} does not vote" for name in DATABASES]
    copies.append(f"{site} only learns")
    without = [line for line in seen["warnings"] if any(copy in line for copy in copies)]
    return Look(not without, "; ".join(without) or seen["guarantee"])


def _of_side(key: str, argument: str) -> Callable[[Sight, Phrase], Awaitable[Look]]:
    async def look(sight: Sight, phrase: Phrase) -> Look:
        site = phrase.text("DC")
        side = await sight.side(site, site, phrase.text("SERVICE"))
        seen = f"{side.get(key)} ({side.get('rule')}: {side.get('reason')})"
        return Look(str(side.get(key)) == str(phrase.arguments[argument]), seen)

    return look


async def _reached(sight: Sight, phrase: Phrase) -> Look:
    seen = {rule for _, rule in sight.rules()}
    return Look(int(phrase.number("RULE")) in seen, f"rules {sorted(seen)}")


async def _announced(sight: Sight, phrase: Phrase) -> Look:
    paths = await sight.eyes.route("ix", PREFIX[phrase.text("SERVICE")])
    return Look(bool(paths), f"paths {[path['as_path'] for path in paths]}")


async def _whole(sight: Sight, phrase: Phrase) -> Look:
    said = await sight.unsettled(phrase.text("SERVICE"))
    return Look(not said, said or "healthy")


async def _acked(sight: Sight, phrase: Phrase) -> Look:
    wanted = int(phrase.number("COUNT"))
    found = {node: len(client.acks(sight.acted_at)) for node, client in sight.crowd.current()}
    return Look(min(found.values()) >= wanted, f"acknowledged since the last act: {found}")


async def _any_ack(sight: Sight, _: Phrase) -> Look:
    acks = [a for _, client in sight.crowd.current() for a in client.acks(sight.acted_at)]
    return Look(bool(acks), f"{len(acks)} since the last act, by {sorted({a.site for a in acks})}")


async def _acks_at(sight: Sight, phrase: Phrase) -> Look:
    acks = [a for _, client in sight.crowd.current() for a in client.acks(sight.acted_at)]
    here = [a for a in acks if a.site == phrase.text("DC")]
    return Look(bool(here), f"{len(here)} of {len(acks)} since the last act")


async def _two_ack(sight: Sight, _: Phrase) -> Look:
    turns = sight.crowd.turns(sight.began_at)
    if not turns:
        return Look(true=False, seen="all from one site")
    await sight.record("wallet")
    rises = max(sight.holders["wallet"]) - sight.first["wallet"][1]
    return Look(
        len(turns) > rises,
        f"{len(turns)} turns, at last to {turns[-1].site}; the epoch rose {rises} times",
    )


async def _fails(sight: Sight, _: Phrase) -> Look:
    failed = [a for a in sight.attempts() if a.outcome is not Outcome.OK]
    shown = [f"{a.key} {a.outcome}: {a.detail or a.status}" for a in failed[:2]]
    return Look(bool(failed), f"{len(failed)} requests: {shown}")


async def _changed(sight: Sight, phrase: Phrase) -> Look:
    service = phrase.text("SERVICE")
    holder, epoch = await sight.record(service)
    before = sight.first[service][0]
    return Look(bool(holder) and holder != before, f"{holder} at epoch {epoch}, before {before}")


async def _raised(sight: Sight, phrase: Phrase) -> Look:
    service = phrase.text("SERVICE")
    _, epoch = await sight.record(service)
    return Look(epoch > sight.first[service][1], f"{epoch}, before {sight.first[service][1]}")


async def _moves(sight: Sight, phrase: Phrase) -> Look:
    service = phrase.text("SERVICE")
    await sight.record(service)
    known = [holder for _, holder in sorted(sight.holders.get(service, {}).items())]
    moves = sum(1 for before, after in pairwise(known) if before != after)
    return Look(moves > phrase.number("COUNT"), f"{moves} moves: {known}")


async def _warns(sight: Sight, phrase: Phrase) -> Look:
    seen = await sight.eyes.service(phrase.text("SITE"))
    said = [*seen.get("warnings", []), seen.get("guarantee", "")]
    return Look(any(phrase.text("TEXT") in line for line in said), f"says {said}")


async def _refuses(sight: Sight, phrase: Phrase) -> Look:
    site = phrase.text("DC")
    side = await sight.side(site, site)
    said = [*side.get("not_eligible_because", []), *side.get("evidence", {}).values()]
    return Look(any(phrase.text("TEXT") in str(line) for line in said), f"says {said}")


async def _asked(sight: Sight, phrase: Phrase) -> Look:
    if sight.hands.refusal:
        return Look(phrase.text("STATE") == State.REFUSED, sight.hands.refusal)
    newest = await _newest(sight, phrase)
    shown = f"{newest.get('kind')}: {newest.get('state')} ({newest.get('state_why')})"
    return Look(newest.get("state") == phrase.text("STATE"), shown)


async def _newest(sight: Sight, phrase: Phrase) -> dict[str, Any]:
    seen = await asked(sight.hands, phrase)
    return max(seen, key=lambda found: int(found["number"]), default={})


def _of_newest(key: str) -> Callable[[Sight, Phrase], Awaitable[Look]]:
    async def look(sight: Sight, phrase: Phrase) -> Look:
        said = str((await _newest(sight, phrase)).get(key, ""))
        return Look(phrase.text("TEXT") in said, f"says {said!r}")

    return look


async def _objected(sight: Sight, phrase: Phrase) -> Look:
    said = sight.hands.objection
    return Look(phrase.text("TEXT") in said, f"was told {said!r}")


async def _audit_whole(sight: Sight, phrase: Phrase) -> Look:
    return await sight.hands.audits.is_whole(phrase.text("SITE"))


async def _audit_finds(sight: Sight, phrase: Phrase) -> Look:
    return await sight.hands.audits.finds(phrase.text("SITE"), phrase.text("TEXT"))


async def _audit_has(sight: Sight, phrase: Phrase) -> Look:
    return sight.hands.audits.has(phrase.text("SITE"), phrase.text("TEXT"))


async def _audit_waits(sight: Sight, phrase: Phrase) -> Look:
    return sight.hands.audits.waits(await sight.eyes.status(phrase.text("SITE")))


async def _runs(sight: Sight, phrase: Phrase) -> Look:
    node, name = program_at(phrase.text("PROGRAM"), phrase.text("SITE"))
    found = sight.lab.processes(node, name)
    return Look(bool(found), f"{len(found)} processes")


async def _lost(sight: Sight, _: Phrase) -> Look:
    assert sight.lost is not None
    return Look(bool(sight.lost), f"missing: {list(sight.lost)[:5] or 'none'}")


async def _outage(sight: Sight, phrase: Phrase) -> Look:
    longest = sight.crowd.outages(sight.began_at).get(phrase.text("CLIENT"), 0.0)
    return Look(longest > phrase.number("DURATION"), f"{longest:.2f} s")


CONDITIONS: Final[Mapping[str, Callable[[Sight, Phrase], Awaitable[Look]]]] = {
    "serves": _serves,
    "holds": _holds,
    "votes": _votes,
    "role": _of_side("role", "ROLE"),
    "rule": _of_side("rule", "RULE"),
    "reached": _reached,
    "stance": _of_side("stance", "STANCE"),
    "announced": _announced,
    "whole": _whole,
    "acked": _acked,
    "no_ack": _any_ack,
    "acks_at": _acks_at,
    "two_ack": _two_ack,
    "fails": _fails,
    "changed": _changed,
    "raised": _raised,
    "moves": _moves,
    "warns": _warns,
    "refuses": _refuses,
    "asked": _asked,
    "waits": _of_newest("waits_for"),
    "why": _of_newest("state_why"),
    "objected": _objected,
    "audit_whole": _audit_whole,
    "audit_finds": _audit_finds,
    "audit_has": _audit_has,
    "audit_waits": _audit_waits,
    "runs": _runs,
    "lands": _lands,
    "lost": _lost,
    "outage": _outage,
}
