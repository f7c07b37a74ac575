"""What a scenario looks at in the simulated world: the truth, and the nodes' words where asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from bgp.policy import Stance
from controller.core import outlook
from controller.core.requests import closed, waits_for
from controller.runtime.publish import service_report
from lab.scenario.matching import Phrase
from lab.scenario.play import Look
from tests.sim import truth
from tests.sim.checkers import Violation
from tests.sim.checkers.healing import Heals
from tests.sim.daemon import ServiceLoop
from tests.sim.network import Traffic
from tests.sim.scenario_acts import PROGRAM
from tests.sim.scenario_audit import Audits
from tests.sim.world import World

SILENT: Final = Look(true=False, seen="its daemon says nothing")
ENOUGH: Final = 3  # answers in a row that show who serves
RECENT_S: Final = 2.0
PROVIDER: Final = {"client1": "isp1", "client2": "isp2"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client was told."""

    sent_at: float
    at: float
    ok: bool
    site: str
    write: int


@dataclass(slots=True)
class Chronicle:
    """A watcher that keeps what conditions are about."""

    sees: tuple[type[truth.Event], ...] = (
        truth.WriteAsked,
        truth.ClientTold,
        truth.Acknowledged,
        truth.EpochChanged,
        truth.Decided,
    )
    asked: dict[tuple[str, int], float] = field(default_factory=dict)
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)  # service, client
    acks: list[truth.Acknowledged] = field(default_factory=list)
    epochs: list[truth.EpochChanged] = field(default_factory=list)
    decided: list[truth.Decided] = field(default_factory=list)

    def see(self, event: truth.Event) -> None:
        """One more."""
        match event:
            case truth.WriteAsked():
                self.asked[event.client, event.write] = event.at
                self.answers.setdefault((event.service, event.client), [])
            case truth.ClientTold():
                sent_at = self.asked[event.client, event.write]
                answer = Answer(sent_at, event.at, event.ok, event.site or "", event.write)
                self.answers[event.service, event.client].append(answer)
            case truth.Acknowledged():
                self.acks.append(event)
            case truth.EpochChanged():
                self.epochs.append(event)
            case truth.Decided():
                self.decided.append(event)
            case _:
                pass

    def clients(self, service: str) -> dict[str, list[Answer]]:
        """The answers of each client of a service."""
        return {name: told for (of, name), told in self.answers.items() if of == service}


@dataclass(slots=True)
class Sight:
    """Looks at one world, since the scenario in it began."""

    world: World
    chronicle: Chronicle
    audits: Audits
    began_at: float = 0.0
    acted_at: float = 0.0
    ended_at: float = float("inf")  # when the clients were stopped
    first: dict[str, tuple[str, int]] = field(default_factory=dict)  # service -> holder, epoch

    def look(self, phrase: Phrase) -> Look:
        """How it is now."""
        return CONDITIONS[phrase.key](self, phrase)

    def record(self, service: str) -> tuple[str, int]:
        """Holder and epoch, as they truly stand in the store."""
        found = self.world.record_of(self.world.service(service))
        return ("", 0) if found is None else (str(found.holder), int(found.epoch))

    def loop(self, site: str, service: str) -> ServiceLoop | None:
        """The loop of a daemon that lives."""
        controller = self.world.controllers.get(self.world.site(site))
        if controller is None or not controller.process.works:
            return None
        return controller.loops[self.world.service(service)]

    def stance(self, site: str, service: str) -> Stance | None:
        """What the site's speaker says of its routes; None: nothing yet."""
        wish = self.world.speakers[self.world.site(site)].in_force().get(service)
        return None if wish is None else wish.stance

    def answered(self, service: str = "wallet") -> dict[str, list[Answer]]:
        """Each client's successes that were asked for since the last act."""
        return {
            name: [a for a in told if a.ok and a.sent_at >= self.acted_at]
            for name, told in self.chronicle.clients(service).items()
        }

    def unsettled(self, service: str) -> str:
        """What is missing until the service is healthy and redundant; "" for nothing."""
        final = self.world.final()
        (found,) = (one for one in final.services if one.name == service)
        try:
            Heals().end(truth.Final(at=final.at, services=(found,)))
        except Violation as missing:
            return missing.text
        for site in self.world.data_sites:
            loop = self.loop(site, service)
            wanted = "primary" if site == found.holder else "standby"
            if loop is None or loop.decision is None or loop.decision.role.value != wanted:
                return f"{site} is not {wanted}"
            if any(not rung.done for rung in loop.decision.rungs):
                return f"{site} still climbs {loop.decision.ladder}"
            stance = self.stance(site, service)
            if stance is not (Stance.PREFERRED if site == found.holder else Stance.BACKUP):
                return f"the stance of {site} is {stance}"
        return ""

    def outages(self) -> dict[str, float]:
        """Each client's longest time without an answer."""
        end = min(self.ended_at, self.world.now)
        return {
            name: round(_longest([a.at for a in told if a.ok], self.began_at, end), 3)
            for name, told in self.chronicle.clients("wallet").items()
        }

    def lost(self) -> list[str]:
        """Writes that a client was told are done, and that a database of the holder lacks."""
        told = {
            a.write for found in self.chronicle.clients("wallet").values() for a in found if a.ok
        }
        holder = self.world.site(self.record("wallet")[0])
        (service,) = (one for one in self.world.final().services if one.name == "wallet")
        return [
            f"{database.name}: {write}"
            for database in service.databases
            for write in sorted(told - database.holds[holder])
        ]


def _longest(times: list[float], start: float, end: float) -> float:
    points = [start, *(time for time in times if start <= time <= end), end]
    return max(after - before for before, after in pairwise(points))


def _is(found: object, wanted: object) -> Look:
    return Look(str(found) == str(wanted), str(found))


def _serves(sight: Sight, phrase: Phrase) -> Look:
    recent = sight.world.now - RECENT_S
    last = {
        name: [a.site for a in told if a.ok and a.at >= recent][-ENOUGH:]
        for name, told in sight.chronicle.clients(phrase.text("SERVICE")).items()
    }
    return Look([phrase.text("DC")] * ENOUGH in last.values(), f"last answers from {last}")


def _lands(sight: Sight, phrase: Phrase) -> Look:
    world = sight.world
    entry = world.table(PROVIDER[phrase.text("CLIENT")]).entry(world.service("wallet"))
    if entry is None or not world.network.internet(entry) or not world.balancers[entry].answers:
        return Look(true=False, seen=f"it goes in at {entry or 'nowhere'}, which does not answer")
    to = world.balancers[entry].directed[world.service("wallet")]
    if to is None or not world.network.path(entry, to, Traffic.DATA):
        return Look(true=False, seen=f"{entry} sends it to {to or 'nobody'}")
    up = world.apps_up[to, world.service("wallet")]
    return Look(to == phrase.text("DC") and bool(up), f"{to}, where {up} app servers are up")


def _holds(sight: Sight, phrase: Phrase) -> Look:
    holder, epoch = sight.record(phrase.text("SERVICE"))
    return Look(holder == phrase.text("DC"), f"{holder or 'nobody'} at epoch {epoch}")


def _votes(sight: Sight, phrase: Phrase) -> Look:
    site = sight.world.site(phrase.text("SITE"))
    (found,) = (s for s in sight.world.final().services if s.name == phrase.text("SERVICE"))
    silent = [
        str(database.name)
        for database in found.databases
        if site not in database.voting and database.writable.get(site) != found.epoch
    ]
    return Look(not silent, f"no vote of its {', '.join(silent)}" if silent else "all vote")


def _role(sight: Sight, phrase: Phrase) -> Look:
    loop = sight.loop(phrase.text("DC"), phrase.text("SERVICE"))
    decision = None if loop is None else loop.decision
    if decision is None:
        return SILENT
    seen = f"{decision.role.value} ({decision.rule}: {decision.reason.value})"
    wanted = phrase.arguments.get("ROLE")
    if wanted is None:
        return Look(decision.rule == int(phrase.number("RULE")), seen)
    return Look(decision.role.value == wanted, seen)


def _reached(sight: Sight, phrase: Phrase) -> Look:
    seen = {event.rule for event in sight.chronicle.decided if event.at >= sight.began_at}
    return Look(int(phrase.number("RULE")) in seen, f"rules {sorted(seen)}")


def _stance(sight: Sight, phrase: Phrase) -> Look:
    stance = sight.stance(phrase.text("DC"), phrase.text("SERVICE"))
    return _is(stance, phrase.text("STANCE"))


def _announced(sight: Sight, phrase: Phrase) -> Look:
    routes = {
        (provider, site): said[0].value
        for provider in sight.world.providers
        for (service, site), said in sight.world.table(provider).routes.items()
        if service == phrase.text("SERVICE")
    }
    return Look(bool(routes), str(routes))


def _whole(sight: Sight, phrase: Phrase) -> Look:
    said = sight.unsettled(phrase.text("SERVICE"))
    return Look(not said, said or "healthy")


def _acked(sight: Sight, phrase: Phrase) -> Look:
    found = {name: len(told) for name, told in sight.answered().items()}
    enough = min(found.values(), default=0) >= phrase.number("COUNT")
    return Look(enough, f"acknowledged since the last act: {found}")


def _any_ack(sight: Sight, _: Phrase) -> Look:
    count = sum(map(len, sight.answered().values()))
    return Look(bool(count), f"{count} since the last act")


def _acks_at(sight: Sight, phrase: Phrase) -> Look:
    """By any database of the site, whether the client learns of it or not."""
    asked = {write: at for (_, write), at in sight.chronicle.asked.items()}
    here = [
        ack
        for ack in sight.chronicle.acks
        if ack.at >= sight.acted_at
        and ack.site == phrase.text("DC")
        and asked.get(ack.write, 0.0) >= sight.acted_at
    ]
    return Look(bool(here), f"{len(here)} since the last act")


def _two_ack(sight: Sight, _: Phrase) -> Look:
    newest: dict[str, tuple[int, str]] = {}
    for ack in sight.chronicle.acks:
        last = newest.get(ack.database, (0, ""))
        now = (ack.epoch, str(ack.site))
        if now[0] < last[0] or (now[0] == last[0] and now[1] != last[1]):
            return Look(true=True, seen=f"{ack.database}: {now} after {last}")
        newest[ack.database] = now
    return Look(true=False, seen=str(newest))


def _fails(sight: Sight, _: Phrase) -> Look:
    failed = [
        f"{name} at {a.at - sight.began_at:.2f} s"
        for name, told in sight.chronicle.clients("wallet").items()
        for a in told
        if not a.ok and a.sent_at >= sight.began_at
    ]
    return Look(bool(failed), f"{len(failed)} requests: {failed[:3]}")


def _changed(sight: Sight, phrase: Phrase) -> Look:
    holder, epoch = sight.record(phrase.text("SERVICE"))
    before = sight.first[phrase.text("SERVICE")][0]
    return Look(holder != before, f"{holder} at epoch {epoch}, before {before}")


def _raised(sight: Sight, phrase: Phrase) -> Look:
    _, epoch = sight.record(phrase.text("SERVICE"))
    before = sight.first[phrase.text("SERVICE")][1]
    return Look(epoch > before, f"{epoch}, before {before}")


def _moves(sight: Sight, phrase: Phrase) -> Look:
    service = phrase.text("SERVICE")
    known = [sight.first[service][0]] + [
        str(event.holder)
        for event in sight.chronicle.epochs
        if event.service == service and event.at >= sight.began_at
    ]
    moves = sum(1 for before, after in pairwise(known) if before != after)
    return Look(moves > phrase.number("COUNT"), f"{moves} moves: {known}")


def _warns(sight: Sight, phrase: Phrase) -> Look:
    loop = sight.loop(phrase.text("SITE"), "wallet")
    if loop is None or loop.last_view is None:
        return SILENT
    said = (*outlook.warnings(loop.last_view), outlook.guarantee(loop.last_view))
    return Look(any(phrase.text("TEXT") in line for line in said), f"says {said}")


def _refuses(sight: Sight, phrase: Phrase) -> Look:
    loop = sight.loop(phrase.text("DC"), "wallet")
    if loop is None or loop.last_view is None or loop.decision is None:
        return SILENT
    report = service_report(loop.last_view, loop.decision)
    said = (*report.not_eligible_because, *loop.decision.refused_because)
    return Look(any(phrase.text("TEXT") in line for line in said), f"says {said}")


def _asked(sight: Sight, phrase: Phrase) -> Look:
    newest = sight.world._newest(sight.world.service(phrase.text("SERVICE")))
    if newest is None:
        return Look(true=False, seen="nothing was asked")
    request = newest.request
    shown = f"{request.kind.value}: {request.state.value} ({request.state_why})"
    return Look(request.state.value == phrase.text("STATE"), shown)


def _waits(sight: Sight, phrase: Phrase) -> Look:
    newest = sight.world._newest(sight.world.service(phrase.text("SERVICE")))
    waits = "" if newest is None or closed(newest.request) else waits_for(newest)
    return Look(phrase.text("TEXT") in waits, f"waits for {waits or 'nothing'}")


def _why(sight: Sight, phrase: Phrase) -> Look:
    newest = sight.world._newest(sight.world.service(phrase.text("SERVICE")))
    said = "" if newest is None else newest.request.state_why
    return Look(phrase.text("TEXT") in said, f"says {said!r}")


def _objected(sight: Sight, phrase: Phrase) -> Look:
    said = sight.world.objection
    return Look(phrase.text("TEXT") in said, f"was told {said!r}")


def _runs(sight: Sight, phrase: Phrase) -> Look:
    name = phrase.text("PROGRAM")
    process = sight.world.process_of(PROGRAM.get(name, name), phrase.text("SITE"))
    return Look(process is not None and process.alive, f"{name} is {process and process.alive}")


def _audit(what: str, *arguments: str) -> Callable[[Sight, Phrase], Look]:
    def look(sight: Sight, phrase: Phrase) -> Look:
        said = [phrase.text(name) for name in ("SITE", *arguments)]
        found: Look = getattr(sight.audits, what)(*said)
        return found

    return look


def _lost(sight: Sight, _: Phrase) -> Look:
    missing = sight.lost()
    return Look(bool(missing), f"missing: {missing[:5] or 'none'}")


def _outage(sight: Sight, phrase: Phrase) -> Look:
    name = f"wallet client at {PROVIDER[phrase.text('CLIENT')]}"
    longest = sight.outages()[name]
    return Look(longest > phrase.number("DURATION"), f"{longest:.2f} s")


CONDITIONS: Final[Mapping[str, Callable[[Sight, Phrase], Look]]] = {
    "serves": _serves,
    "holds": _holds,
    "votes": _votes,
    "role": _role,
    "rule": _role,
    "reached": _reached,
    "stance": _stance,
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
    "waits": _waits,
    "why": _why,
    "objected": _objected,
    "audit_whole": _audit("is_whole"),
    "audit_finds": _audit("finds", "TEXT"),
    "audit_has": _audit("has", "TEXT"),
    "audit_waits": _audit("waits"),
    "runs": _runs,
    "lands": _lands,
    "lost": _lost,
    "outage": _outage,
}
