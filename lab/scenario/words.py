"""THE vocabulary: every sentence there is, what it means, and which worlds can do it.

A pattern is written as it is said; a word in capitals is an argument (arguments.py). Articles are
left out on both sides. What a world cannot do has its reason here, and a scenario that says it is
for that world is refused when it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class World(StrEnum):
    """Where a scenario can be played."""

    SIM = "sim"
    LAB = "lab"


class Kind(StrEnum):
    """What a sentence is."""

    GIVEN = "given"  # how it begins
    ACT = "act"  # what is done: after `at`, `after`, `then`
    CONDITION = "condition"  # what is looked at: after `expect`, `never`, `finally`


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form of sentence."""

    key: str
    kind: Kind
    pattern: str
    meaning: str
    heads: tuple[str, ...] = ()  # of a condition: only after these; empty: after any
    not_sim: str = ""  # why the simulator cannot
    not_lab: str = ""  # why the lab cannot

    @property
    def words(self) -> tuple[str, ...]:
        """The pattern's words."""
        return tuple(self.pattern.split())

    def worlds(self) -> frozenset[World]:
        """The worlds that can do it."""
        reasons = {World.SIM: self.not_sim, World.LAB: self.not_lab}
        return frozenset(world for world, why_not in reasons.items() if not why_not)

    def why_not(self, world: World) -> str:
        """Why `world` cannot do it; "" when it can."""
        return {World.SIM: self.not_sim, World.LAB: self.not_lab}[world]


def _given(key: str, pattern: str, meaning: str, *, not_sim: str = "") -> Form:
    return Form(key=key, kind=Kind.GIVEN, pattern=pattern, meaning=meaning, not_sim=not_sim)


def _act(key: str, pattern: str, meaning: str, *, not_lab: str = "", not_sim: str = "") -> Form:
    return Form(
        key=key,
        kind=Kind.ACT,
        pattern=pattern,
        meaning=meaning,
        not_lab=not_lab,
        not_sim=not_sim,
    )


def _condition(key: str, pattern: str, meaning: str, *heads: str) -> Form:
    return Form(key=key, kind=Kind.CONDITION, pattern=pattern, meaning=meaning, heads=heads)


_ONE_CLOCK = "every node of the lab has this machine's clock"
_NO_NETEM = "this kernel may lack netem, and a lab that silently has no delay would show nothing"
_ONE_DISK = "the nodes share this machine's disk, and a stalled one would stall every node"

GIVENS: Final = (
    _given("healthy", "healthy cluster", "every copy votes, routes and traffic are in place"),
    _given("fresh", "new cluster", "as `healthy cluster`, in a world made for this scenario"),
    _given("holds", "DC holds SERVICE", "the service is moved there first if it is elsewhere"),
    _given(
        "patient",
        "patient clients",
        "a client waits 4 s for its answer, and not the usual 0.5 s: a slow answer is no failure",
    ),
    _given("four_eyes", "MOVE needs approval", "by the configuration, of one other operator"),
    _given(
        "payments",
        "services depend on payments",
        "their health chain has a link of scope site: a payment provider",
    ),
    _given(
        "shared_payments", "services depend on shared payments", "the same link, of scope shared"
    ),
    _given(
        "more_specifics",
        "providers take more-specifics",
        "`override` announces the halves of each prefix, too",
        not_sim="a simulated provider compares stances, and knows no lengths of prefixes",
    ),
)

NETWORK: Final = (
    _act("cut", "cut SITE silently", "every packet to and from the site is dropped; no one told"),
    _act("cut_wan", "cut SITE from WAN", "the private network carries nothing to or from it"),
    _act("cut_internet", "cut SITE from Internet", "its link to the provider drops everything"),
    _act("part", "cut SITE from OTHER", "the WAN carries nothing between these two sites"),
    _act("cut_in", "deafen SITE", "it sends, and receives nothing from outside"),
    _act("cut_out", "mute SITE", "it receives, and nothing it sends arrives outside"),
    _act(
        "drop_log",
        "drop replication from DC to SITE",
        "the databases' replication is dropped on this way; everything else passes",
    ),
    _act(
        "drop_control",
        "drop heartbeats between SITE and OTHER",
        "heartbeats are dropped both ways between the two; everything else passes",
    ),
    _act(
        "lose",
        "lose PERCENT between SITE and OTHER",
        "so many of the WAN's packets between the two are lost, at random, both ways",
    ),
    _act(
        "slow",
        "delay WAN of SITE by DURATION",
        "what the site sends over the WAN arrives so much later",
        not_lab=_NO_NETEM,
    ),
    _act(
        "flap",
        "flap WAN of SITE every DURATION COUNT times",
        "cut and healed so often, each state for so long; it ends healed",
    ),
    _act("heal", "heal SITE", "nothing that was done to the site's links is left"),
    _act("heal_all", "heal everything", "nothing that was done to any link is left"),
)

PROCESSES: Final = (
    _act("kill", "kill PROGRAM at SITE", "SIGKILL; what supervises it starts it again"),
    _act("kill_all", "kill PROGRAM everywhere", "the same at every site that has it, at once"),
    _act("stop", "stop UNIT at SITE", "SIGKILL, and it stays down until it is started"),
    _act("stop_all", "stop UNIT everywhere", "the same at every site that has it, at once"),
    _act("start", "start UNIT at SITE", "it runs again, from its own disk"),
    _act("start_all", "start UNIT everywhere", "the same at every site that has it"),
    _act("freeze", "freeze PROGRAM at SITE", "SIGSTOP: it stands still and keeps what it has"),
    _act("thaw", "thaw PROGRAM at SITE", "SIGCONT: it goes on where it stood"),
    _act("freeze_site", "freeze SITE", "everything the site runs stands still"),
    _act("thaw_site", "thaw SITE", "everything goes on where it stood"),
    _act("kill_keeper", "kill keeper of DATABASE", "the witness's log keeper; it is restarted"),
    _act("freeze_keeper", "freeze keeper of DATABASE", "the witness's log keeper stands still"),
    _act("thaw_keeper", "thaw keeper of DATABASE", "it goes on where it stood"),
    _act("power_off", "power off SITE", "every process is gone, every link is dead; disks stay"),
    _act("power_on", "power on SITE", "the site starts again from its own disks"),
    _act(
        "crash_after",
        "let controller of DC die after STEP",
        "the controller is restarted so that it dies as soon as this step of a takeover is done",
    ),
)

STORAGE: Final = (
    _act(
        "disk_full",
        "fill disk of DATABASE at SITE",
        "no write of this copy succeeds any more",
        not_lab="the lab's own test fills the keeper's disk; a database host has one disk for both",
    ),
    _act("disk_free", "free disk of DATABASE at SITE", "there is room again", not_lab=_ONE_DISK),
    _act(
        "disk_slow",
        "stall disk of DATABASE at SITE for DURATION",
        "a flush takes that long",
        not_lab=_ONE_DISK,
    ),
    _act(
        "wipe",
        "wipe keeper of DATABASE",
        "the keeper has lost its log and its seal, and starts anew",
        not_lab="the keeper's service account owns its directory; tests/contract wipes it",
    ),
    _act(
        "tear",
        "tear keeper of DATABASE",
        "the keeper dies and loses what it had not flushed",
        not_lab="nothing can make a real disk forget what this machine's kernel still holds",
    ),
)

AUDIT: Final = (
    _act("audit_cut", "cut audit log of SITE", "somebody removes its last two entries"),
    _act("audit_edit", "edit audit log of SITE", "somebody changes what an entry of it says"),
    _act("audit_delete", "delete from audit log of SITE", "somebody removes an entry of it"),
    _act("audit_reorder", "reorder audit log of SITE", "somebody lets two entries change places"),
    _act("audit_full", "fill disk of audit log at SITE", "no entry of it can be written any more"),
    _act("audit_room", "free disk of audit log at SITE", "there is room again"),
)

PEOPLE: Final = (
    _act("pause", "pause SERVICE", "an operator freezes the automation of the service"),
    _act("resume", "resume SERVICE", "the operator lets it go on"),
    _act("switchover", "ask switchover of SERVICE to DC", "planned: nothing is lost or refused"),
    _act(
        "failover", "ask failover of SERVICE to DC", "the site takes over whatever the holder does"
    ),
    _act(
        "forced_failover",
        "force failover of SERVICE to DC",
        "the same, asked at that site, without the voters it does not reach",
    ),
    _act("force_single", "force single SERVICE at DC", "the last survivor is told to serve alone"),
    _act(
        "drain", "drain DC", "an operator takes every role and then its routes away from the site"
    ),
    _act("undrain", "undrain DC", "it may have them again"),
    _act("fence", "fence DC", "an operator keeps the site out, at once and from outside"),
    _act("unfence", "unfence DC", "it may come back"),
    _act("reinit", "ask reinit of DATABASE at DC", "its copy is made anew from the holder's"),
    _act("rejoin", "ask rejoin of DATABASE at DC", "it rests no longer before its next attempt"),
    _act(
        "demote", "demote SITE for SERVICE", "it only learns: no commit and no takeover counts it"
    ),
    _act("promote", "promote SITE for SERVICE", "it votes again, once its copy has caught up"),
    _act("prefer", "prefer DC for SERVICE", "of several candidates it goes first; nothing moves"),
    _act("prefer_none", "prefer nobody for SERVICE", "the weights are the configured ones again"),
    _act("allow_move", "allow another move of SERVICE", "the last move is acknowledged: no flap"),
    _act("approve", "approve newest request of SERVICE", "another operator agrees to its plan"),
    _act(
        "approve_own", "approve own request of SERVICE", "who asked for the newest agrees as well"
    ),
    _act(
        "approve_other",
        "approve another plan of SERVICE",
        "another operator agrees to a plan that is not the newest request's",
    ),
    _act("decline", "decline newest request of SERVICE", "another operator ends it"),
    _act("withdraw", "withdraw newest request of SERVICE", "who asked takes it back"),
)

OTHERS: Final = (
    _act(
        "stick",
        "stick routes of SITE",
        "its provider keeps what it has heard from it for ever",
    ),
    _act(
        "sicken",
        "break payments of DC",
        "seen from there, the payment provider that the services depend on fails",
    ),
    _act("cure", "mend payments of DC", "seen from there, it answers"),
    _act("sicken_all", "break payments everywhere", "it fails; each site finds that by itself"),
    _act("cure_all", "mend payments everywhere", "it answers again; each site finds that"),
    _act(
        "misconfigure",
        "misconfigure DC",
        "its controller is restarted with a file that says `durability: lease` for the wallet",
    ),
    _act("correct", "correct configuration of DC", "it is restarted with what the others have"),
    _act(
        "unstick",
        "unstick routes of SITE",
        "the provider believes its customer again",
    ),
    _act(
        "drift",
        "drift clock of SITE by PERCENT",
        "its clock runs so much faster from now on",
        not_lab=_ONE_CLOCK,
    ),
    _act(
        "cancel",
        "cancel waiting commits of DATABASE at DC",
        "the sessions that wait for a voter are told to give up: their writes are unknown",
        not_lab="PostgreSQL answers such a session with success; an app server cannot tell",
    ),
    _act(
        "second",
        "start second controller at DC",
        "another one for the same site: it must refuse, with the first's number",
        not_sim="the simulator has no processes that could be started twice",
    ),
    _act(
        "compact",
        "compact store",
        "its history is thrown away, and every member is defragmented",
        not_sim="the simulated store keeps no history",
    ),
    _act("remember", "remember store", "a snapshot of the store is taken"),
    _act("roll_back", "restore store from snapshot", "the store says what it said at the snapshot"),
    _act("empty", "empty store", "the records of every service are gone from it"),
    _act("roll_on", "undo restore of store", "it says again what it said before it was restored"),
    _act(
        "put_right",
        "put right record of SERVICE for DC",
        "an operator writes an epoch record above every promise, with this holder",
    ),
    _act(
        "promote_by_hand",
        "promote DATABASE at DC by hand",
        "somebody makes a standby database writable, asking nobody",
    ),
)

ACTS: Final = (*NETWORK, *PROCESSES, *STORAGE, *OTHERS, *AUDIT, *PEOPLE)

CONDITIONS: Final = (
    _condition(
        "serves",
        "DC serves SERVICE",
        "its app servers gave the last three answers to a client, within the last 2 s",
    ),
    _condition("holds", "DC holds SERVICE", "the epoch record names the site as holder"),
    _condition("votes", "SITE votes for SERVICE", "its copy of every database counts"),
    _condition("role", "DC is ROLE for SERVICE", "the role that the site's own daemon has"),
    _condition("rule", "DC is at rule RULE for SERVICE", "the row of the role table it is at"),
    _condition("reached", "rule RULE was reached", "at some site, since the scenario began"),
    _condition("stance", "DC announces STANCE for SERVICE", "what its speaker says of its routes"),
    _condition("announced", "somebody announces SERVICE", "the exchange has a route to its prefix"),
    _condition(
        "whole", "SERVICE is healthy", "holder, standby, all voters, routes; no change is open"
    ),
    _condition(
        "acked",
        "COUNT writes are acknowledged",
        "to every client, sent since the last act",
        "expect",
    ),
    _condition("no_ack", "write is acknowledged", "to anybody, sent since the last act", "expect"),
    _condition(
        "acks_at",
        "DC acknowledges write",
        "that was sent since the last act, to anybody",
        "expect",
    ),
    _condition(
        "two_ack",
        "two sites acknowledge",
        "writes of one service in turns: more often than its epoch rose",
    ),
    _condition("fails", "request fails", "a client's write is not answered with success"),
    _condition("changed", "holder of SERVICE changes", "it is not the one it began with"),
    _condition("raised", "epoch of SERVICE rises", "it is not the one it began with"),
    _condition("moves", "SERVICE moves more than COUNT times", "changes of holder since the start"),
    _condition("warns", "SITE warns TEXT", "a warning of its daemon has these words"),
    _condition("refuses", "DC refuses because TEXT", "its daemon says what keeps it from acting"),
    _condition("asked", "newest request of SERVICE is STATE", "how far the last one asked is"),
    _condition("waits", "newest request of SERVICE waits for TEXT", "before anything happens"),
    _condition("why", "newest request of SERVICE says TEXT", "why it is in its state"),
    _condition(
        "objected",
        "operator is refused because TEXT",
        "what was said to the last verdict, withdrawal, fence, repair or change of voters",
    ),
    _condition("audit_whole", "audit log of SITE is whole", "`tricast audit verify` says so"),
    _condition(
        "audit_finds",
        "audit verify at SITE finds TEXT",
        "the first bad entry that it names is the one that was touched, and it says these words",
    ),
    _condition(
        "audit_has", "audit log of SITE has TEXT", "an entry since the start has these words"
    ),
    _condition(
        "audit_waits",
        "audit log of SITE waits for room",
        "entries wait in its daemon's memory, and an alarm says so",
    ),
    _condition("runs", "PROGRAM runs at SITE", "its process is there"),
    _condition("lands", "CLIENT lands at DC", "the client's packets end at its app servers"),
    _condition(
        "lost",
        "acknowledged write is missing",
        "from a database of the holder, once the clients have stopped",
        "finally",
    ),
    _condition(
        "outage",
        "outage of CLIENT is over DURATION",
        "its longest time with no write acknowledged",
        "finally",
    ),
)

VOCABULARY: Final = (*GIVENS, *ACTS, *CONDITIONS)


def forms_of(kind: Kind) -> Sequence[Form]:
    """Every form of sentence of one kind."""
    return tuple(form for form in VOCABULARY if form.kind is kind)
