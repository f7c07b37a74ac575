"""The conversation with ExaBGP, without the pipe: lines in, the next command out, time given.

What is kept:

* One command at a time; the next only after its answer. So at most one command can lie unread in
  the pipe of an ExaBGP that is frozen.
* ExaBGP is asked for its sessions again and again, and before routes are said to one that has been
  quiet. So that one command is, almost always, a harmless question, and a frozen one is noticed.
* `done` means parsed, not sent. What is *confirmed* was seen leaving on the wire.
* Nothing is said to a session that is down: ExaBGP may drop it, or send it when nobody expects it.
* ExaBGP remembers nothing: a session that comes up holds no route until everything is said again.
* What is not seen leaving is said again. ExaBGP swallows the first withdrawal of a session, and
  can send two quick changes of one route in the wrong order.
* Halves stand beside their prefix, which stays when they are taken back.
* After our own restart, sessions may hold what a former speaker said: that is unknown, not absent.
"""

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bgp.exabgp_api import (
    SHOW_SESSIONS,
    Answered,
    Sent,
    SessionChanged,
    SessionsListed,
    Unreadable,
    encode,
    parse,
)
from bgp.messages import AnnounceRequest, Observation, Reply, Request, Said
from bgp.permit import Denied, Permit, Wish
from bgp.policy import Stance
from bgp.rib import Announce, RouteCommand, fewest
from bgp.route import Attributes, Prefix
from bgp.spec import BgpSpec
from bgp.specifics import Halves

ASK_S: Final = 0.5  # an answer younger than this proves that ExaBGP is awake
RETRY_S: Final = 1.0  # after a refusal
RESEND_S: Final = 2.0  # what was not seen leaving by then is said again; doubles up to refresh
SLOW_S: Final = 3.0  # an answer that takes longer is a problem worth telling

Routes = dict[Prefix, Attributes | None]


@dataclass(slots=True)
class _Session:
    """One neighbor as ExaBGP sees it, and what it was told in this session."""

    up: bool = False
    number: int = 0  # changes with every session
    reason: str = "not seen up yet"
    listed: bool = True
    told: Routes = field(default_factory=dict)
    seen: Routes = field(default_factory=dict)
    unseen: set[Prefix] = field(default_factory=set)  # told, and not seen leaving as told
    told_at: float = -math.inf
    patience_s: float = RESEND_S

    def begin(self, held: Routes) -> None:
        """A session that holds `held`, and perhaps others, has come up."""
        self.up, self.reason, self.number = True, "", self.number + 1
        self.told, self.seen, self.unseen = dict(held), dict(held), set()
        self.patience_s = RESEND_S

    def end(self, reason: str) -> None:
        """The neighbor has dropped everything."""
        self.up, self.reason, self.number = False, reason, self.number + 1
        self.told, self.seen, self.unseen = {}, {}, set()

    def tell(self, routes: Routes, now: float) -> None:
        """ExaBGP has taken these for this session."""
        self.told.update(routes)
        self.told_at = now
        self._compare(routes)

    def see(self, routes: Routes) -> None:
        """These have left on the wire."""
        self.seen.update(routes)
        self._compare(routes)

    def forget(self) -> None:
        """Everything is to be said again."""
        self.told, self.unseen = {}, set()

    def forget_unseen(self) -> None:
        """What never left is to be said again."""
        for prefix in self.unseen:
            del self.told[prefix]
        self.unseen = set()

    def _compare(self, routes: Routes) -> None:
        for prefix in routes:
            same = prefix not in self.told or (
                prefix in self.seen and self.seen[prefix] == self.told[prefix]
            )
            (self.unseen.discard if same else self.unseen.add)(prefix)
        if not self.unseen:
            self.patience_s = RESEND_S

    @property
    def resend_at(self) -> float:
        """When what is unseen is said again."""
        return self.told_at + self.patience_s if self.unseen else math.inf


@dataclass(frozen=True, slots=True)
class _InFlight:
    """The command ExaBGP has not answered yet; None: which sessions are up."""

    command: RouteCommand | None
    sessions: Mapping[str, int]
    since: float


class Dialogue:
    """What is wanted, what was said, and what is to be said next."""

    def __init__(self, spec: BgpSpec, now: float) -> None:
        self._spec = spec
        self.permit = Permit.at_start(frozenset(spec.services), now, spec.permit_s)
        self._sessions = {neighbor.address: _Session() for neighbor in spec.neighbors}
        self._in_force: dict[str, Wish] = {}
        halves = {name: spec.halves_of(name) for name in spec.services}
        self._halves = Halves(halves, spec.more_specifics)
        self._halves_at = math.inf  # when they come or go by themselves
        self._wanted: dict[str, Routes] = {}
        self._plan: deque[RouteCommand] | None = None
        self._in_flight: _InFlight | None = None
        self._answer_is_listing = False
        self._sessions_known = False  # before, one may be up that we have not heard of
        self._list_at = now
        self._refresh_at = now + spec.refresh_s
        self._refused: dict[RouteCommand, float] = {}
        self.counters: Counter[str] = Counter()

    # --- a controller asks -----------------------------------------------------------------------

    def asked(self, request: Request, now: float) -> Reply:
        """Takes a wanted set, or tells what is announced."""
        if not isinstance(request, AnnounceRequest):
            return Reply(number=request.number, state=self.observe(now))
        try:
            self.permit = self.permit.renewed(
                request.wanted, request.sent_at, request.permit_s, now
            )
        except Denied as error:
            self.counters["wanted_sets_denied"] += 1
            return Reply(number=request.number, error=str(error))
        self.counters["wanted_sets_taken"] += 1
        return Reply(number=request.number)

    def observe(self, now: float) -> Observation:
        """What is announced now."""
        self._apply_permit(now)
        return Observation(
            sessions={address: session.up for address, session in self._sessions.items()},
            services={
                name: Said(
                    stance=wish.stance,
                    epoch=wish.epoch,
                    confirmed=self._confirmed(name),
                    more_specifics=tuple(
                        half.text for half in self._halves.of(name) if self._held(half)
                    ),
                )
                for name, wish in sorted(self._in_force.items())
            },
            permit_left_s=self.permit.left(now),
            problems=tuple(self.problems(now)),
            counters=dict(self.counters),
        )

    def _confirmed(self, name: str) -> bool:
        said = [
            (address, prefix)
            for prefix in self._spec.services[name]
            for address in self._spec.neighbors_of(prefix.family)
            if self._sessions[address].up
        ]
        return (
            self._sessions_known
            and bool(said)
            and all(
                prefix in self._sessions[address].seen
                and self._sessions[address].seen[prefix] == self._wanted[address][prefix]
                and not self._about_to_differ(address, prefix)
                for address, prefix in said
            )
        )

    def _held(self, prefix: Prefix) -> bool:
        """Whether a neighbor was seen to be told of this prefix, and not to be told otherwise."""
        return any(session.seen.get(prefix) is not None for session in self._sessions.values())

    def _about_to_differ(self, address: str, prefix: Prefix) -> bool:
        """Whether the command in flight says something else than is wanted by now."""
        flying = self._in_flight.command if self._in_flight else None
        if flying is None or address not in flying.neighbors or prefix not in flying.prefixes:
            return False
        said = flying.attributes if isinstance(flying, Announce) else None
        return said != self._wanted[address][prefix]

    def problems(self, now: float) -> list[str]:
        """What an operator should know, a sentence each."""
        found = []
        for address, session in self._sessions.items():
            if not session.listed:
                found.append(f"ExaBGP has no neighbor {address}: its configuration is another one")
            elif not session.up:
                found.append(f"the session with {address} is down ({session.reason})")
            elif session.unseen and session.patience_s > RESEND_S:
                found.append(f"{len(session.unseen)} routes not seen leaving to {address}")
        flying = self._in_flight
        if flying and now - flying.since > SLOW_S:
            found.append(f"ExaBGP has not answered for {now - flying.since:.0f} s")
        found += [f"ExaBGP refused {_short(command)}" for command in self._refused]
        if now >= self.permit.until and self._in_force:
            found.append("no controller renews the permit")
        return found

    # --- ExaBGP says -----------------------------------------------------------------------------

    def heard(self, line: str, now: float) -> None:
        """Takes one line of ExaBGP."""
        match parse(line):
            case SessionChanged(neighbor, up, reason):
                self._session_changed(neighbor, reason, up=up)
            case Sent(neighbor, announced, withdrawn) if neighbor in self._sessions:
                self._sessions[neighbor].see({**announced, **dict.fromkeys(withdrawn)})
                self.counters["updates_seen"] += 1
            case SessionsListed(established):
                self._listed(established)
            case Answered(ok):
                self._answered(now, ok=ok)
            case Unreadable():
                self.counters["lines_unreadable"] += 1

    def missed(self) -> None:
        """Something ExaBGP said was lost: the sessions are asked for, everything is said again."""
        self.counters["lines_lost"] += 1
        self._refresh_at = -math.inf

    def _session_changed(self, address: str, reason: str, *, up: bool) -> None:
        session = self._sessions.get(address)
        if session is None:
            return
        if up or session.up:
            self.counters["sessions_up" if up else "sessions_down"] += 1
        if up:
            session.begin(dict.fromkeys(self._prefixes_of(address)))
        else:
            session.end(reason)
        self._plan = None

    def _listed(self, established: Mapping[str, bool]) -> None:
        self._answer_is_listing = self._sessions_known = True
        for address, session in self._sessions.items():
            session.listed = address in established
            up = established.get(address, False)
            if up and not session.up:
                session.begin({})
                self._plan = None
            elif session.up and not up:
                session.end("listed as down")
                self._plan = None

    def _answered(self, now: float, *, ok: bool) -> None:
        of_listing, self._answer_is_listing = self._answer_is_listing, False
        flying = self._in_flight
        if flying is None or of_listing is not (flying.command is None):
            # An answer to what a former speaker asked. Only a list of sessions is followed by the
            # answer to the question for it; a question that fails comes round again.
            if flying is not None and flying.command is None and not ok:
                self._in_flight, self._list_at = None, now + RETRY_S
            self.counters["answers_stray"] += 1
            return
        self._in_flight = None
        if flying.command is None:
            self._list_at = now + ASK_S
        elif ok:
            self.counters["commands_done"] += 1
            self._was_told(flying.command, flying.sessions, now)
        else:
            self.counters["commands_refused"] += 1
            self._refused[flying.command] = now + RETRY_S
            self._plan = None

    def _was_told(self, command: RouteCommand, sessions: Mapping[str, int], now: float) -> None:
        self._refused.pop(command, None)
        said = command.attributes if isinstance(command, Announce) else None
        for address in command.neighbors:
            session = self._sessions[address]
            if session.up and session.number == sessions[address]:
                session.tell(dict.fromkeys(command.prefixes, said), now)

    # --- what to say -----------------------------------------------------------------------------

    def next_command(self, now: float) -> str | None:
        """The line to write to ExaBGP now; None when there is nothing to say, or an answer due."""
        if self._in_flight is not None:
            return None
        self._apply_permit(now)
        if now >= self._refresh_at:
            self._refresh_at = now + self._spec.refresh_s
            self._list_at = min(self._list_at, now)
            self._forget_told()
        self._forget_unseen(now)
        if now >= self._list_at:
            return self._fly(None, now)
        command = self._next_route_command(now)
        return None if command is None else self._fly(command, now)

    def wake_in(self, now: float) -> float:
        """Seconds after which `next_command` may have something to say by itself."""
        if self._in_flight is not None:
            return math.inf
        times = [self.permit.changes_at(now), self._refresh_at, self._list_at, self._halves_at]
        times += [session.resend_at for session in self._sessions.values()]
        times += self._refused.values()
        return max(0.0, min(times) - now)

    def _fly(self, command: RouteCommand | None, now: float) -> str:
        sessions = {address: session.number for address, session in self._sessions.items()}
        self._in_flight = _InFlight(command, sessions, now)
        return SHOW_SESSIONS if command is None else encode(command)

    def _next_route_command(self, now: float) -> RouteCommand | None:
        ready = [command for command, at in self._refused.items() if now >= at]
        if ready:
            self._plan = None
            for command in ready:
                del self._refused[command]
        if self._plan is None:
            up = {a: s for a, s in self._sessions.items() if s.up}
            self._plan = deque(
                fewest(
                    {address: self._wanted.get(address, {}) for address in up},
                    {address: session.told for address, session in up.items()},
                )
            )
        while self._plan and self._plan[0] in self._refused:
            self._plan.popleft()
        return self._plan.popleft() if self._plan else None

    def _apply_permit(self, now: float) -> None:
        in_force = self.permit.in_force(now)
        if in_force != self._in_force:
            self._halves.in_force({name: wish.stance for name, wish in in_force.items()}, now)
        elif now < self._halves_at:
            return
        self._in_force, self._halves_at = in_force, self._halves.changes_at(now)
        self._plan = None
        self._refused.clear()
        wanted: dict[str, Routes] = {address: {} for address in self._sessions}
        said = {stance: self._spec.policy.attributes(stance) for stance in Stance}
        for name, wish in in_force.items():
            routes = dict.fromkeys(self._spec.services[name], said[wish.stance])
            routes |= self._halves.wanted(name, said[wish.stance], now)
            for prefix, attributes in routes.items():
                for address in self._spec.neighbors_of(prefix.family):
                    wanted[address][prefix] = attributes
        self._wanted = wanted

    def _forget_told(self) -> None:
        for session in self._sessions.values():
            session.forget()
        self._plan = None

    def _forget_unseen(self, now: float) -> None:
        for session in self._sessions.values():
            if now >= session.resend_at:
                self.counters["routes_resent"] += len(session.unseen)
                session.patience_s = min(2 * session.patience_s, self._spec.refresh_s)
                session.forget_unseen()
                self._plan = None

    def _prefixes_of(self, address: str) -> list[Prefix]:
        return [
            prefix
            for name, prefixes in self._spec.services.items()
            for prefix in (*prefixes, *self._halves.of(name))
            if address in self._spec.neighbors_of(prefix.family)
        ]


def _short(command: RouteCommand) -> str:
    verb = "to announce" if isinstance(command, Announce) else "to withdraw"
    return f"{verb} {command.prefixes[0]} to {', '.join(command.neighbors)}"
