"""Each checker passes on a good history and fails, with names and times, on a bad one."""

import re
from dataclasses import replace
from functools import partial

import pytest

from bgp.policy import Stance
from controller.core import intents as ask
from controller.core.model import DatabaseName, Durability, Epoch, Outcome, ServiceName, SiteName
from tests.sim.checkers import KINDS, Checker, Violation
from tests.sim.checkers.epochs import EpochsRise
from tests.sim.checkers.healing import SETTLED_S, Heals
from tests.sim.checkers.isolation import REFUSES_S, CutOffRefuses
from tests.sim.checkers.ladders import REPEATS, LaddersEnd
from tests.sim.checkers.moves import MovesNeeded
from tests.sim.checkers.nothing_lost import NothingLost
from tests.sim.checkers.one_writer import OneWriter
from tests.sim.checkers.pauses import UNDER_WAY_S, PausesHold
from tests.sim.checkers.promises import PromisesKept
from tests.sim.checkers.promotions import PromotionsProved
from tests.sim.checkers.reads import STALE_S, ReadsSeeWrites
from tests.sim.checkers.reasons import ReasonsGiven
from tests.sim.checkers.relief import ReliefHelps
from tests.sim.checkers.routes import LEFT_S, RoutesFollowTheHolder
from tests.sim.checkers.voters import VotersHold
from tests.sim.truth import (
    SERVES_ALONE,
    Acknowledged,
    AllHealed,
    ClientRead,
    ClientTold,
    Copy,
    Decided,
    EpochChanged,
    Event,
    FaultBegan,
    FaultEnded,
    Final,
    FinalDatabase,
    FinalService,
    Following,
    GateSet,
    IntentBegan,
    IntentEnded,
    LearnersSet,
    LeaseServed,
    LogCut,
    LossStated,
    PauseCleared,
    PauseSet,
    PromiseKept,
    PromiseRead,
    Promoted,
    RouteSeen,
    Sealed,
    SiteFenced,
    Truth,
)

S, DB = ServiceName("wallet"), DatabaseName("ledger")
A, B, W = SiteName("dc1"), SiteName("dc2"), SiteName("witness")
REJOIN = ask.Rejoin(database=DB, upstream=A, epoch=Epoch(2))


def acked(
    at: float,
    write: int,
    *,
    site: SiteName = A,
    epoch: int = 2,
    by: frozenset[SiteName] = frozenset({W}),
    held: frozenset[SiteName] | None = None,
    confirmed_at: float | None = None,
) -> Acknowledged:
    held_by = by | {site} if held is None else held
    confirmed = at if confirmed_at is None else confirmed_at
    return Acknowledged(at, S, DB, site, epoch, write, by, held_by, confirmed)


def promoted(
    at: float,
    site: SiteName,
    epoch: int,
    holds: tuple[int, ...] = (),
    *,
    end: tuple[int, int] | None = None,
    copies: tuple[Copy, ...] | None = None,
) -> Promoted:
    length = (epoch - 1, len(holds))
    whole = tuple(Copy(s, epoch, length) for s in (A, B, W)) if copies is None else copies
    return Promoted(at, S, DB, site, epoch, frozenset(holds), end or length, whole)


def changed(at: float, epoch: int, holder: SiteName, by: str = "") -> EpochChanged:
    return EpochChanged(at, S, epoch, holder, "failover", by or holder, 321, "silent")


def decided(at: float, **other: object) -> Decided:
    plain = Decided(
        at=at,
        service=S,
        site=B,
        rule=420,
        role="standby",
        reason="another site is primary; this site follows it",
        evidence=("other_epoch",),
        refused=(),
        yielding="",
        ladder="REJOIN",
        climbed=True,
        waiting=(),
        intents=(),
        epoch=2,
        read_at=at,
        paused=False,
    )
    return replace(plain, **other)  # type: ignore[arg-type]


def final(**other: object) -> Final:
    database = FinalDatabase(
        name=DB,
        holds={A: frozenset({1, 2}), B: frozenset({1, 2}), W: frozenset({1, 2})},
        writable={A: 2},
        gates=frozenset({A}),
        voting=frozenset({B, W}),
    )
    fields = {
        name: other.pop(name) for name in ("holds", "writable", "gates", "voting") if name in other
    }
    service = FinalService(
        name=S,
        learners=frozenset(),
        durability=Durability.QUORUM,
        data_sites=(A, B),
        witnesses=(W,),
        epoch=2,
        holder=A,
        paused=False,
        databases=(replace(database, **fields),),  # type: ignore[arg-type]
        directed={A: A, B: A},
        routes={("isp1", A): Stance.PREFERRED, ("isp2", B): Stance.BACKUP},
    )
    return Final(at=60.0, services=(replace(service, **other),))  # type: ignore[arg-type]


class FlapWindowOfAnHour(MovesNeeded):
    """As configured by default."""

    def __init__(self) -> None:
        super().__init__(flap_window_s=3600.0)


RAISE = ask.RaiseEpoch(epoch=Epoch(3), kind="failover", reason="x", expected_revision=4, previous=A)
PUTS_RIGHT = replace(RAISE, epoch=Epoch(4), request=1)
CLOSE = ask.CloseDatabase(database=DB)
ALONE = LossStated(0, S, DB, A, 13, frozenset({B, W}), frozenset(), SERVES_ALONE)
KEPT_OUT = ask.FenceOthers(epoch=Epoch(3), orders=((B, 1),))
NEWER = promoted(2.0, B, 3, (1,))
ATTRACTING = RouteSeen(1.0, S, "isp1", A, Stance.PREFERRED, 2)
OPENED = GateSet(1.5, S, DB, A, True)
WIPED = LogCut(1.5, S, DB, W, frozenset({1, 2}), saved=False, why="wiped")
DEAF = [FaultBegan(9, "cut_link", ("dc1", s, "all")) for s in (B, W)]
WAITS = ClientTold(9 + REFUSES_S + 1, S, "c", 7, False, A, A)

UNPAID = FaultBegan(1, "unhealthy_everywhere", ())
RELIEF = EpochChanged(
    9, S, 3, B, "handover", B, 323, "the holder asks to be relieved: payments: refused"
)

# A checker, a good history, the bad end of it, what the violation says.
LEARNS = LearnersSet(2, S, 2, frozenset({W}))
SEALED_W = Copy(W, 3, (2, 1))
UNSEALED = tuple(Copy(SiteName(site), 2, (2, 1)) for site in ("dc1", "dc3", "dc4"))
AHEAD = Copy(A, 4, (2, 3))  # for a newer epoch than is promoted
LEASED = LeaseServed(1, S, A, 2)
LEASED_ANEW = LeaseServed(5, S, B, 3)
SET_BACK = changed(6, 2, A, by="restored")

BAD: list[tuple[type[Checker], list[Event], Event | Final, str]] = [
    (ReliefHelps, [UNPAID], RELIEF, "has failed at every site for 8.0 s"),
    (NothingLost, [promoted(0, A, 2), acked(1, 1)], promoted(2, B, 3), "without 1 acknowledged"),
    (NothingLost, [acked(1, 1), NEWER], acked(3, 2), "promoted without it"),
    (NothingLost, [acked(1, 1), acked(1, 9)], final(), "in the end dc1 has"),
    (NothingLost, [acked(1, 9)], final(writable={}), "in the end nobody has"),
    (
        NothingLost,
        [promoted(0, A, 2), ClientTold(1, S, "c", 9, True, A, A)],
        final(),
        "in the end dc1 has",
    ),
    (
        NothingLost,
        [
            acked(1, 1),
            LossStated(1.5, S, DB, B, 3, frozenset({A}), frozenset(), "all"),
            promoted(1.6, B, 3),
            acked(2, 4, site=B, epoch=3),
        ],
        promoted(3, A, 4),
        "1 acknowledged write(s): 4",
    ),
    (OneWriter, [acked(1, 1)], acked(2, 2, site=B), "and so did dc1"),
    (OneWriter, [acked(1, 1), NEWER], acked(3, 1, confirmed_at=2.5), "after dc2 was promoted"),
    (
        OneWriter,
        [acked(1, 1), NEWER],
        acked(3, 1, by=frozenset(), confirmed_at=2.5),
        "after dc2 was promoted",
    ),
    (
        OneWriter,
        [acked(1, 1), NEWER],
        replace(acked(3, 1), by=frozenset({W, B}), told_at=((W, 2.2), (B, 2.4))),
        "0.200 s after dc2 was promoted",
    ),
    (
        OneWriter,
        [acked(1, 1), NEWER],
        replace(acked(3, 1), by=frozenset(), told_at=((W, 1.9),)),
        "after dc2 was promoted",
    ),
    (OneWriter, [acked(1, 1)], replace(acked(2, 2), written_under=1), "written under 1"),
    (OneWriter, [LEASED, LEASED_ANEW], replace(LEASED, at=9), "dc1 serves wallet under the lease"),
    (
        OneWriter,  # whose controller was not the one that fell
        [LEASED, FaultBegan(2, "crash", ("haproxy", "dc1")), LEASED_ANEW],
        replace(LEASED, at=9),
        "dc1 serves wallet under the lease",
    ),
    (
        VotersHold,
        [LEARNS],
        replace(acked(4, 1), told_at=((W, 3.0),)),
        "on the word of witness, which only learns",
    ),
    (
        VotersHold,  # since when does not begin anew
        [LEARNS, replace(LEARNS, at=3.5, learners=frozenset({W, B}))],
        replace(acked(4, 1), told_at=((W, 3.0),)),
        "on the word of witness, which only learns",
    ),
    (
        PromotionsProved,  # of five: its seal is not asked for, and counts for nothing
        [],
        replace(
            promoted(2, B, 3, (1,), copies=(*UNSEALED, Copy(B, 3, (2, 1)), SEALED_W)),
            learners=frozenset({W, B}),
        ),
        "with 1 of 2 voters sealed",
    ),
    (Heals, [], final(learners=frozenset({W})), "at witness still votes"),
    (
        OneWriter,  # a store set back before the newer lease was served has no part in it
        [LEASED, SET_BACK, replace(LEASED_ANEW, at=7.1)],
        replace(LEASED, at=9),
        "dc2 has served under epoch 3 since 7.100 s",
    ),
    (
        OneWriter,  # nor one that knew of it
        [LEASED, LEASED_ANEW, replace(SET_BACK, epoch=3)],
        replace(LEASED, at=9),
        "dc1 serves wallet under the lease",
    ),
    (
        ReadsSeeWrites,
        [promoted(0, A, 2), ClientTold(1, S, "c", 1, True, A, A)],
        ClientRead(2, S, DB, "c", 1, False, 1.5, A),
        "which is the primary",
    ),
    (
        ReadsSeeWrites,
        [promoted(0, A, 2), ClientTold(1, S, "c", 1, True, A, A), NEWER],
        ClientRead(9, S, DB, "c", 1, False, NEWER.at + STALE_S + 1, A),
        "after dc2 was promoted",
    ),
    (
        ReadsSeeWrites,
        [promoted(0, A, 2), ClientRead(1, S, DB, "c", 1, True, 0.9, A), NEWER],
        ClientRead(3, S, DB, "c", 1, False, 2.9, B),
        "known since 1.000 s",
    ),
    (MovesNeeded, [changed(1, 3, A)], replace(changed(2, 4, B), witnessed_s=9.0), "has heard"),
    (
        FlapWindowOfAnHour,
        [changed(1, 3, A), SiteFenced(50, A, stands=True), SiteFenced(51, A, stands=False)],
        replace(changed(60, 4, B), rule=323),
        "59.0 s after the last move",
    ),
    (
        FlapWindowOfAnHour,
        [changed(1, 3, A), SiteFenced(50, B, stands=True)],
        replace(changed(60, 4, B), rule=323),
        "59.0 s after the last move",
    ),
    (
        FlapWindowOfAnHour,
        [FaultBegan(0.5, "cut_site", ("dc1",)), changed(1, 3, A)],
        replace(changed(60, 4, B), rule=323),
        "59.0 s after the last move",
    ),
    (
        MovesNeeded,
        [changed(1, 2, A), OPENED, FaultBegan(9, "kill", ("controller", "dc1"))],
        changed(10, 3, B),
        "nothing has failed but what decides",
    ),
    (EpochsRise, [changed(1, 3, A)], changed(2, 3, B), "over epoch 3"),
    (EpochsRise, [promoted(1, A, 2)], promoted(2, A, 2), "was at dc1 already"),
    (
        EpochsRise,
        [changed(1, 2, A, "restored"), promoted(2, A, 3)],
        promoted(3, B, 3),
        "was at dc1 already",
    ),
    (
        EpochsRise,
        [changed(1, 3, A), promoted(2, A, 3), changed(3, 3, A, "restored")],
        promoted(4, B, 3),
        "was at dc1 already",
    ),
    (EpochsRise, [changed(1, 2, A)], promoted(2, B, 2), "its holder is dc1"),
    (PromisesKept, [PromiseKept(1, S, W, 3)], PromiseKept(2, S, W, 2), "after it promised 3"),
    (PromisesKept, [PromiseKept(1, S, W, 3)], PromiseRead(2, S, W, 2), "it kept 3"),
    (PromisesKept, [PromiseKept(1, S, W, 2)], Sealed(2, S, DB, W, 3, (2, 1)), "its disk says 2"),
    (
        PromisesKept,
        [
            changed(0.5, 3, B),
            PromiseKept(1, S, W, 3),
            Sealed(2, S, DB, W, 3, (2, 1)),
            FaultBegan(3, "old_keeper", (DB, W)),
        ],
        Following(3, S, DB, W, A, 2, voter=True, prefix=True),
        "it promised 3",
    ),
    (
        PromisesKept,
        [PromiseKept(1, S, W, 3)],
        Following(2.1, S, DB, W, A, 2, voter=True, prefix=True),
        "it promised 3",
    ),
    (
        PromisesKept,
        [PauseSet(0, S, "why"), PromiseKept(1, S, W, 3), PauseCleared(2, S)],
        Following(3.1, S, DB, W, A, 2, voter=True, prefix=True),
        "it promised 3",
    ),
    (
        PromisesKept,
        [PromiseKept(1, S, W, 3), Sealed(1.1, S, DB, W, 3, (2, 1))],
        Following(1.2, S, DB, W, A, 2, voter=True, prefix=True),
        "it promised 3",
    ),
    (
        PromisesKept,
        [PromiseKept(1, S, B, 3), decided(2, epoch=0), decided(5, epoch=3)],
        Following(6.1, S, DB, B, A, 2, voter=True, prefix=True),
        "it promised 3",
    ),
    (
        PromisesKept,
        [PromiseKept(1, S, B, 3), Sealed(1.5, S, DB, B, 3, (2, 1)), decided(2, epoch=0)],
        Following(2.1, S, DB, B, A, 2, voter=True, prefix=True),
        "it promised 3",
    ),
    (
        PromisesKept,
        [IntentBegan(0.5, S, B, 411, REJOIN, 1), PromiseKept(1, S, B, 3)],
        Following(2.3, S, DB, B, A, 2, voter=True, prefix=True),
        "it promised 3",
    ),
    (
        PromisesKept,
        [PromiseKept(1, S, B, 3), IntentBegan(1.1, S, B, 411, REJOIN, 1)],
        Following(2.3, S, DB, B, A, 2, voter=False, prefix=True),
        "it promised 3",
    ),
    (
        PromisesKept,
        [
            IntentBegan(0.5, S, B, 411, REJOIN, 1),
            PromiseKept(1, S, B, 3),
            IntentEnded(1.5, S, B, REJOIN, 1, Outcome.OK),
        ],
        Following(2.3, S, DB, B, A, 2, voter=False, prefix=True),
        "it promised 3",
    ),
    (
        PromisesKept,
        [
            IntentBegan(0.5, S, B, 411, REJOIN, 1),
            PromiseKept(1, S, B, 3),
            Sealed(1.5, S, DB, B, 3, (2, 1)),
        ],
        Following(2.3, S, DB, B, A, 2, voter=False, prefix=True),
        "it promised 3",
    ),
    (
        NothingLost,
        [promoted(0, A, 13), ALONE, acked(1, 1, epoch=13), ClientTold(2, S, "c", 9, True, A, A)],
        promoted(3, B, 14, (1,)),
        "without 1 acknowledged",
    ),
    (
        PromisesKept,
        [PromiseKept(1, S, W, 3), acked(1.5, 1), Sealed(2, S, DB, W, 3, (2, 1))],
        acked(3, 1),
        "it was sealed for 3",
    ),
    (
        PromisesKept,
        [PromiseKept(1, S, B, 3)],
        decided(2, intents=(CLOSE,)),
        "acts on a record of epoch 2",
    ),
    (
        PromisesKept,  # nobody asks
        [PromiseKept(1, S, B, 3)],
        decided(2, intents=(replace(PUTS_RIGHT, request=0),)),
        "acts on a record of epoch 2",
    ),
    (
        PromisesKept,  # an epoch that was promised already
        [PromiseKept(1, S, B, 4)],
        decided(2, intents=(PUTS_RIGHT,)),
        "acts on a record of epoch 2",
    ),
    (
        PromisesKept,  # nor anything else beside it
        [PromiseKept(1, S, B, 3)],
        decided(2, intents=(PUTS_RIGHT, CLOSE)),
        "acts on a record of epoch 2",
    ),
    (
        PromotionsProved,
        [],
        promoted(1, B, 3, copies=(Copy(A, 2, (2, 0)), Copy(B, 3, (2, 0)), Copy(W, 2, (2, 0)))),
        "1 of 2 voters sealed",
    ),
    (
        PromotionsProved,
        [],
        promoted(1, B, 3, copies=(Copy(A, 2, (2, 0)), Copy(B, 3, (2, 0)), Copy(W, 3, (2, 0), 2))),
        "1 of 2 voters sealed",
    ),
    (
        PromotionsProved,
        [],
        promoted(1, B, 3, copies=(Copy(A, 2, (2, 0)), Copy(B, 3, (2, 0)), Copy(W, 3, (2, 5)))),
        "witness is sealed, and at (2, 5)",
    ),
    (VotersHold, [acked(1, 1)], acked(2, 2, held=frozenset({A})), "which does not hold it"),
    (VotersHold, [acked(1, 1)], acked(2, 2, held=frozenset({W})), "which it does not hold"),
    (VotersHold, [acked(1, 1)], acked(2, 2, by=frozenset()), "no other voter confirmed"),
    (VotersHold, [WIPED], acked(2, 3, held=frozenset({A})), "which does not hold it"),
    (VotersHold, [], Following(1, S, DB, A, B, 3, voter=True, prefix=False), "as a voter"),
    (RoutesFollowTheHolder, [changed(0.5, 2, B)], ATTRACTING, "which it never held"),
    (
        RoutesFollowTheHolder,
        [changed(0.5, 2, A), ATTRACTING, changed(2, 3, B)],
        changed(2 + LEFT_S + 1, 4, B),
        "still preferred",
    ),
    (
        RoutesFollowTheHolder,
        [
            changed(0.5, 2, A),
            ATTRACTING,
            FaultBegan(1.5, "kill", ("controller", "dc1")),
            changed(2, 3, B),
        ],
        changed(2 + LEFT_S + 1, 4, B),
        "still preferred",
    ),
    (CutOffRefuses, [promoted(1, A, 2), *DEAF], WAITS, "nobody has reached for 6.0 s"),
    (Heals, [], final(routes={("isp1", A): Stance.OVERRIDE}), "still overrides"),
    (
        RoutesFollowTheHolder,
        [changed(0.5, 2, A), ATTRACTING],
        RouteSeen(30, S, "isp1", A, None, 2),
        "nobody announces",
    ),
    (LaddersEnd, [decided(1, climbed=False, waiting=("voting ledger",))], final(), "voting ledger"),
    (
        LaddersEnd,
        [IntentBegan(1, S, A, 310, CLOSE, n) for n in range(REPEATS)],
        IntentBegan(2, S, A, 310, CLOSE, REPEATS),
        "time",
    ),
    (Heals, [AllHealed(10)], changed(10 + SETTLED_S + 1, 4, B), "after the last fault"),
    (
        Heals,
        [AllHealed(10), *(changed(10 + n, 3 + n, B) for n in (1, 2, 3))],
        changed(14, 8, A),
        "4 times",
    ),
    (Heals, [], final(writable={}), "is not writable at dc1"),
    (Heals, [], final(writable={A: 2, B: 1}), "writable at dc2 too"),
    (Heals, [], final(gates=frozenset({A, B})), "open to clients at dc1, dc2"),
    (Heals, [], final(voting=frozenset({W})), "at dc2 does not vote"),
    (Heals, [], final(directed={A: A, B: None}), "haproxy of dc2"),
    (Heals, [], final(routes={("isp1", A): Stance.BACKUP}), "nobody attracts"),
    (Heals, [], final(holder=None), "nobody holds"),
    (ReasonsGiven, [decided(1)], decided(2, rule=7), "no such row"),
    (ReasonsGiven, [], decided(2, evidence=()), "0 of 1 guards"),
    (ReasonsGiven, [], IntentBegan(1, S, A, 0, CLOSE, 1), "no such row"),
    (ReasonsGiven, [], changed(2, 3, B), "no decision asked"),
    (
        ReasonsGiven,
        [IntentBegan(1, S, B, 321, RAISE, 1)],
        replace(changed(2, 3, B), rule=0),
        "rule 0",
    ),
    (
        ReasonsGiven,
        [],
        decided(
            1,
            rule=390,
            reason="the holder is silent, but this site cannot take over",
            evidence=("a", "b", "c"),
        ),
        "does not say why",
    ),
    (PausesHold, [PauseSet(1, S, "works")], changed(1 + UNDER_WAY_S + 0.1, 3, B), "is paused"),
    (PausesHold, [PauseSet(1, S, "works"), decided(2)], changed(9, 3, B), "is paused"),
    (
        PausesHold,
        [PauseSet(1, S, "works")],
        IntentBegan(1 + UNDER_WAY_S + 0.1, S, A, 310, CLOSE, 1),
        "is paused",
    ),
    (
        PausesHold,
        [PauseSet(1, S, "works")],
        IntentBegan(1 + UNDER_WAY_S + 0.1, S, A, 310, ask.FenceOthers(epoch=Epoch(3)), 1),
        "is paused",
    ),
]

# Histories that look alike and are good.
GOOD: list[tuple[type[Checker], list[Event], Final | None]] = [
    (
        NothingLost,
        [acked(1, 1, site=B, epoch=3), promoted(1, B, 3), acked(2, 1, by=frozenset())],
        None,
    ),
    (NothingLost, [acked(1, 1), acked(1, 2), promoted(2, B, 3, (1, 2))], final()),
    (NothingLost, [acked(1, 1), NEWER, acked(3, 1)], None),
    (
        NothingLost,
        [promoted(0, A, 13), ALONE, ClientTold(2, S, "c", 9, True, A, A), promoted(3, B, 14)],
        None,
    ),
    (
        PromisesKept,
        [
            PromiseKept(1, S, B, 3),
            decided(2, epoch=0),
            Following(9, S, DB, B, A, 2, voter=True, prefix=True),
            decided(10, epoch=3),
            Following(10.9, S, DB, B, A, 2, voter=True, prefix=True),
        ],
        None,
    ),
    (
        PromisesKept,
        [
            IntentBegan(0.5, S, B, 411, REJOIN, 1),
            PromiseKept(1, S, B, 3),
            Following(2.3, S, DB, B, A, 2, voter=False, prefix=True),
        ],
        None,
    ),
    (NothingLost, [promoted(1, B, 4), acked(2, 5, site=B, epoch=4), promoted(3, A, 3)], None),
    (
        NothingLost,
        [
            LossStated(0, S, DB, A, 22, frozenset({B, W}), frozenset(), "serves alone"),
            acked(1, 1, epoch=22, by=frozenset()),
            acked(1, 2, site=B, epoch=3),
            promoted(2, B, 23),
        ],
        None,
    ),
    (
        OneWriter,
        [
            LossStated(0, S, DB, A, 2, frozenset({B, W}), frozenset(), "serves alone"),
            acked(1, 1, by=frozenset()),
            NEWER,
            acked(3, 1, by=frozenset(), confirmed_at=2.5),
        ],
        None,
    ),
    (
        OneWriter,
        [
            LossStated(0, S, DB, A, 22, frozenset({B, W}), frozenset(), "serves alone"),
            promoted(0, A, 22),
            acked(1, 2, site=B, epoch=3),
        ],
        None,
    ),
    (
        RoutesFollowTheHolder,
        [PromiseKept(1, S, A, 22), RouteSeen(2, S, "isp1", A, Stance.OVERRIDE, 22)],
        None,
    ),
    (
        NothingLost,
        [
            acked(1, 1),
            acked(1, 9),
            LossStated(2, S, DB, A, 3, frozenset({B, W}), frozenset({1}), "what dc1 has not"),
            promoted(3, A, 3, (1, 2)),
        ],
        final(epoch=3, writable={A: 3}),
    ),
    (
        OneWriter,
        [acked(1, 1), NEWER, acked(3, 1, confirmed_at=1.9), acked(4, 2, site=B, epoch=3)],
        None,
    ),
    (OneWriter, [LEASED, LEASED_ANEW, replace(LEASED_ANEW, at=6)], None),
    (VotersHold, [LEARNS, replace(acked(4, 1), told_at=((W, 1.9),))], None),
    (
        VotersHold,  # who holds an epoch votes in it
        [LEARNS, changed(2.5, 3, W), replace(acked(4, 1), told_at=((W, 3.0),))],
        None,
    ),
    (
        VotersHold,
        [
            LEARNS,
            replace(LEARNS, at=2.5, learners=frozenset()),
            replace(acked(4, 1), told_at=((W, 3.0),)),
        ],
        None,
    ),
    (
        PromotionsProved,
        [
            replace(
                promoted(2, B, 3, (1,), copies=(Copy(A, 2, (2, 1)), Copy(B, 3, (2, 1)), SEALED_W)),
                learners=frozenset({W}),
            )
        ],
        None,
    ),
    (Heals, [], final(learners=frozenset({W}), voting=frozenset({B}))),
    (OneWriter, [LEASED, LEASED_ANEW, SET_BACK, replace(LEASED, at=9)], None),
    (
        OneWriter,  # that the record was put right meanwhile is no news before it is read
        [LEASED, LEASED_ANEW, SET_BACK, changed(8, 4, A, by="restored"), replace(LEASED, at=9)],
        None,
    ),
    (PromisesKept, [PromiseKept(1, S, B, 3), decided(2, intents=(PUTS_RIGHT,))], None),
    (
        OneWriter,  # haproxy serves on behind a frozen controller
        [LEASED, FaultBegan(2, "freeze", ("dc1",)), LEASED_ANEW, replace(LEASED, at=9)],
        None,
    ),
    (
        OneWriter,  # or one that is dead until it is started again
        [LEASED, FaultBegan(2, "crash", ("controller", "dc1")), LEASED_ANEW, replace(LEASED, at=9)],
        None,
    ),
    (
        OneWriter,  # of the voters that one of five asks, one had said so before it sealed
        [
            acked(1, 1),
            NEWER,
            replace(acked(3, 1), by=frozenset({W, B}), told_at=((W, 1.9), (B, 2.4))),
        ],
        None,
    ),
    (
        ReadsSeeWrites,
        [
            ClientRead(0.5, S, DB, "c", 1, False, 0.4, A),
            ClientTold(1, S, "c", 1, True, A, A),
            ClientRead(2, S, DB, "c", 1, True, 1.5, A),
            NEWER,
            FaultBegan(3, "cut_site", ("dc1",)),
            ClientRead(30, S, DB, "c", 1, False, 29, A),
        ],
        None,
    ),
    (
        EpochsRise,
        [
            changed(1, 3, A),
            promoted(2, A, 3),
            changed(3, 1, A, "restored"),
            changed(4, 5, B),
            promoted(5, B, 5),
        ],
        None,
    ),
    (
        EpochsRise,
        [
            changed(1, 3, A),
            promoted(2, A, 3),
            changed(3, 2, A, "restored"),
            changed(4, 3, B),
            promoted(5, B, 3),
        ],
        None,
    ),
    (
        PromisesKept,
        [
            PromiseKept(1, S, W, 2),
            PromiseRead(2, S, W, 2),
            Following(3, S, DB, W, A, 2, voter=True, prefix=True),
            acked(4, 1),
            PromiseKept(5, S, W, 3),
            Following(5.1, S, DB, W, A, 2, voter=True, prefix=True),
            Sealed(6, S, DB, W, 3, (2, 1)),
            acked(7, 2, confirmed_at=4.9),
        ],
        None,
    ),
    (
        PromisesKept,
        [
            PromiseKept(1, S, W, 3),
            Sealed(2, S, DB, W, 3, (2, 1)),
            replace(acked(4, 2, by=frozenset({B, W})), told_at=((W, 1.9), (B, 4))),
        ],
        None,
    ),
    (
        PromotionsProved,
        [
            promoted(
                1, B, 3, copies=(Copy(A, 2, (2, 9), 2), Copy(B, 3, (2, 0)), Copy(W, 3, (1, 5)))
            ),
            LossStated(2, S, DB, A, 4, frozenset({B, W}), frozenset(), "all after 0/1"),
            promoted(3, A, 4, copies=(Copy(A, 4, (2, 9)), Copy(B, 3, (3, 0)), Copy(W, 3, (3, 5)))),
            promoted(4, B, 3, copies=(Copy(A, 4, (4, 9)), Copy(B, 3, (2, 0)), Copy(W, 4, (4, 9)))),
        ],
        None,
    ),
    (
        FlapWindowOfAnHour,
        [
            changed(1, 3, A),
            replace(changed(2, 4, B), witnessed_s=0.5),
            replace(changed(3700, 5, A), rule=323),
            FaultBegan(3701, "cut_site", ("dc1",)),
            replace(changed(3800, 6, B), rule=323),
        ],
        None,
    ),
    (MovesNeeded, [changed(1, 3, A), replace(changed(60, 4, B), rule=323)], None),
    (
        FlapWindowOfAnHour,
        [
            changed(1, 3, A),
            SiteFenced(59, A, stands=True),
            SiteFenced(59.5, A, stands=False),
            replace(changed(60, 4, B), rule=323),
        ],
        None,
    ),
    (
        MovesNeeded,
        [
            changed(1, 2, A),
            OPENED,
            FaultBegan(9, "kill", ("controller", "dc1")),
            FaultBegan(9, "kill", ("haproxy", "dc1")),
            changed(10, 3, B),
        ],
        None,
    ),
    (CutOffRefuses, [promoted(1, A, 2), DEAF[0], WAITS], None),
    (
        CutOffRefuses,
        [promoted(1, A, 2), *DEAF, FaultBegan(12, "freeze", ("haproxy", "dc1")), WAITS],
        None,
    ),
    (
        CutOffRefuses,
        [promoted(1, A, 2), *DEAF, FaultEnded(12, "cut_link", ("dc1", W, "all")), WAITS],
        None,
    ),
    (
        CutOffRefuses,
        [promoted(1, A, 2), *DEAF, *DEAF, FaultEnded(9, "cut_link", ("dc1", W, "all")), WAITS],
        None,
    ),
    (CutOffRefuses, [promoted(1, A, 2), *DEAF, FaultEnded(9, "cut_site", (W,)), WAITS], None),
    (PromisesKept, [PromiseKept(1, S, B, 3), decided(2, epoch=3, intents=(CLOSE,))], None),
    (
        PromisesKept,
        [
            PauseSet(0, S, "why"),
            PromiseKept(1, S, W, 3),
            Following(9, S, DB, W, A, 2, voter=True, prefix=True),
        ],
        None,
    ),
    (
        PromisesKept,
        [
            changed(0.5, 3, A),
            PromiseKept(1, S, W, 3),
            Sealed(2, S, DB, W, 3, (2, 1)),
            FaultBegan(3, "old_keeper", (DB, W)),
            Following(3, S, DB, W, A, 2, voter=True, prefix=True),
            acked(3.5, 2),
        ],
        None,
    ),
    (VotersHold, [acked(1, 1), Following(1, S, DB, A, B, 3, voter=False, prefix=False)], None),
    (VotersHold, [WIPED, acked(2, 2, held=frozenset({A}))], None),
    (
        RoutesFollowTheHolder,
        [
            changed(0.5, 2, A),
            ATTRACTING,
            RouteSeen(1, S, "isp2", B, Stance.BACKUP, 2),
            changed(2, 3, B),
            FaultBegan(2, "keep_routes", ("isp1", "dc1")),
            AllHealed(30),
            RouteSeen(30 + LEFT_S - 1, S, "isp1", A, Stance.BACKUP, 3),
            RouteSeen(50, S, "isp1", A, None, 3),
        ],
        final(),
    ),
    (LaddersEnd, [decided(1, climbed=False, waiting=("x",)), decided(2)], final()),
    (LaddersEnd, [decided(1, climbed=False, waiting=("x",))], final(paused=True)),
    (Heals, [changed(1, 2, A), AllHealed(2), changed(3, 3, B)], final()),
    (
        Heals,
        [AllHealed(10), replace(changed(10 + SETTLED_S + 1, 2, A), rule=210)],
        final(),
    ),
    (Heals, [], final(paused=True, writable={})),
    (ReliefHelps, [UNPAID, FaultEnded(5, "unhealthy", ("dc2",)), RELIEF], None),
    (ReliefHelps, [UNPAID, FaultEnded(8, "unhealthy_everywhere", ()), RELIEF], None),
    (ReliefHelps, [UNPAID, AllHealed(8), RELIEF], None),
    (ReliefHelps, [UNPAID, FaultBegan(2, "slow_etcd", ("2.0",)), RELIEF], None),
    (ReliefHelps, [replace(UNPAID, at=8), RELIEF], None),
    (ReliefHelps, [UNPAID, replace(RELIEF, reason="0 of 2 app servers here are up")], None),
    (ReasonsGiven, [IntentBegan(1, S, B, 321, RAISE, 1), changed(2, 3, B), decided(3)], final()),
    (
        PausesHold,
        [PauseSet(1, S, "works"), changed(2, 3, B), PauseCleared(5, S), changed(9, 4, A)],
        None,
    ),
    (PausesHold, [PauseSet(1, S, "works"), IntentBegan(9, S, A, 201, KEPT_OUT, 1)], None),
    (PausesHold, [decided(0.5), PauseSet(1, S, "works"), changed(9, 3, B)], None),
    (
        PromotionsProved,
        [promoted(2, B, 3, (1,), copies=(AHEAD, Copy(B, 3, (2, 1)), Copy(W, 3, (2, 1))))],
        None,
    ),
]


def run(kind: type[Checker], events: list[Event], end: Final | None) -> None:
    checker = kind()
    Truth(watchers=(checker,)).tell_all(events)
    if end is not None:
        checker.end(end)


@pytest.mark.parametrize(("kind", "events", "bad", "says"), BAD)
def test_bad_histories_are_found(
    kind: type[Checker], events: list[Event], bad: Event | Final, says: str
) -> None:
    checker = kind()
    truth = Truth(watchers=(checker,))
    truth.tell_all(events)
    last = partial(checker.end, bad) if isinstance(bad, Final) else partial(truth.tell, bad)
    with pytest.raises(Violation, match=re.escape(says)) as found:
        last()
    assert found.value.checker == kind.name
    assert found.value.at == bad.at


@pytest.mark.parametrize(("kind", "events", "end"), GOOD)
def test_good_histories_pass(kind: type[Checker], events: list[Event], end: Final | None) -> None:
    run(kind, events, end)


def test_each_checker_has_good_and_bad_histories() -> None:
    assert {row[0] for row in BAD} == {*KINDS, FlapWindowOfAnHour}
    assert {row[0] for row in GOOD} == {*KINDS, FlapWindowOfAnHour}
