"""What the project's own arithmetic says of a state of the model.

Nothing is decided here: `prove`, `compare` and `majority` are those of `controller/core`, given
the copies of the model as the reports and looks they would be. Answers are kept, because the same
few voters come back in millions of states.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from bgp.policy import Stance
from controller.core.model import (
    DatabaseKind,
    DatabaseName,
    DatabaseState,
    Durability,
    Epoch,
    EpochRecord,
    Instant,
    Liveness,
    Role,
    ServiceName,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.position import LogFormat, Order, Position, compare, int_to_lsn
from controller.core.quorum import majority, prove
from controller.core.view import OtherSite, OwnSide, ServiceSpec, View
from tests.model.state import DATABASES, NAMES, NOBODY, Copy, bits

DATABASE = DatabaseName("ledger")
SERVICE = ServiceName("wallet")
SITES = tuple(SiteName(name) for name in NAMES)


class Seal(NamedTuple):
    """One voter as its report shows it."""

    voter: int
    promised: int
    quiet: bool  # it acknowledges nothing and takes nothing
    upstream: int
    under: int
    epoch: int  # of its last record
    length: int
    whole: bool


class Finding(NamedTuple):
    """What the voters that were heard prove to the holder."""

    complete: bool
    epoch: int = 0  # of the furthest sealed position
    length: int = 0
    source: int = NOBODY  # who holds it


def holds_anything(copy: Copy) -> bool:
    """A wiped keeper holds nothing until a record has come that was new when it began again."""
    return len(copy.log) > copy.missing


def seal_of(index: int, copy: Copy) -> Seal:
    """What the voter's site says of it."""
    there = holds_anything(copy)
    return Seal(
        voter=index,
        promised=copy.promised,
        quiet=copy.upstream == NOBODY and not copy.writable,
        upstream=copy.upstream,
        under=copy.under,
        epoch=copy.ends_in if there else 0,
        length=len(copy.log) if there else 0,
        whole=copy.missing == 0,
    )


def needed(voters: int, everybody: int) -> int:
    """How many copies a commit needs: a majority of the voters, or of everybody."""
    return majority((everybody or voters).bit_count())


def seals_needed(voters: int, everybody: int) -> int:
    """How many seals meet every commit: each learner is one copy fewer that could be missed."""
    return needed(voters, everybody) - (everybody & ~voters).bit_count()


def order_of(first: Copy, second: Copy, log_format: LogFormat) -> Order:
    """How the end of a first copy compares to that of a second."""
    return order_of_ends(
        (first.ends_in, len(first.log)), (second.ends_in, len(second.log)), log_format
    )


@cache
def order_of_ends(first: tuple[int, int], second: tuple[int, int], log_format: LogFormat) -> Order:
    """How one end (epoch, length) compares to another."""
    return compare(position(*first, log_format), position(*second, log_format))


def position(epoch: int, length: int, log_format: LogFormat) -> Position:
    """The end of a log as the dialect writes it."""
    text = {
        LogFormat.LSN: int_to_lsn(length),
        LogFormat.MARIADB_GTID: f"0-{epoch}-{length}",
        LogFormat.MYSQL_GTID: f"{epoch:08x}-0000-0000-0000-000000000000:1-{length}",
    }
    return Position(epoch=epoch, format=log_format, text=text[log_format])


@cache
def proved(
    epoch: int,
    voters: int,
    everybody: int,
    own: Seal,
    heard: tuple[Seal, ...],
    log_format: LogFormat,
) -> Finding:
    """What `heard` and its own seal prove to the holder of `epoch` among these voters."""
    view = _view(epoch, voters, everybody, own, heard, log_format)
    proof = prove(view, _look(own, log_format))
    if not proof.complete:
        return Finding(complete=False)
    assert proof.source is not None
    source = SITES.index(proof.source)
    seal = own if source == own.voter else next(one for one in heard if one.voter == source)
    return Finding(complete=True, epoch=seal.epoch, length=seal.length, source=source)


def _view(
    epoch: int,
    voters: int,
    everybody: int,
    own: Seal,
    heard: Iterable[Seal],
    log_format: LogFormat,
) -> View:
    holder, known = SITES[own.voter], everybody or voters
    return View(
        now=Instant(0.0),
        me=holder,
        spec=ServiceSpec(
            name=SERVICE,
            durability=Durability.QUORUM,
            data_sites=tuple(SITES[index] for index in bits(known) if index in DATABASES),
            witnesses=tuple(SITES[index] for index in bits(known) if index not in DATABASES),
            databases=(DATABASE,),
            initial_holder=holder,
        ),
        own=OwnSide(databases=(_look(own, log_format),), promised=Epoch(own.promised)),
        record=EpochRecord(
            epoch=Epoch(epoch),
            holder=holder,
            kind="failover",
            reason="",
            asked_by="",
            at="",
            learners=tuple(SITES[index] for index in bits(known & ~voters)),
        ),
        store_ok=True,
        others={SITES[seal.voter]: OtherSite(report=_report(seal, log_format)) for seal in heard},
    )


def _look(own: Seal, log_format: LogFormat) -> DatabaseState:
    return DatabaseState(
        name=DATABASE,
        kind=DatabaseKind.POSTGRES,
        liveness=Liveness.RUNNING,
        writable=not own.quiet and own.upstream == NOBODY,
        epoch=Epoch(own.epoch),
        position=position(own.epoch, own.length, log_format),
        upstream=None if own.upstream == NOBODY else SITES[own.upstream],
        receiving=own.upstream != NOBODY,
    )


def _report(seal: Seal, log_format: LogFormat) -> ServiceReport:
    voter = VoterState(
        database=DATABASE,
        promised=Epoch(seal.promised),
        sealed=seal.quiet,
        position=position(seal.epoch, seal.length, log_format),
        following=None if seal.upstream == NOBODY else SITES[seal.upstream],
        following_epoch=Epoch(seal.under),
        whole=seal.whole,
    )
    return ServiceReport(
        service=SERVICE,
        role=Role.STANDBY,
        epoch=Epoch(seal.promised),
        stance=Stance.BACKUP,
        rule=420,
        reason="",
        healthy=True,
        eligible=True,
        voters=(voter,),
    )
