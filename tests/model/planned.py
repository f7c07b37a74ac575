"""Moves of operators: a hand-over, a change of the voters, a last survivor that goes on alone."""

from collections.abc import Iterator

from controller.core.position import Order
from tests.model import proof
from tests.model.moves import Move, released
from tests.model.space import Family, Space
from tests.model.state import (
    DATABASES,
    A,
    B,
    Copy,
    State,
    W,
    bit,
    bits,
    durable_writes,
    replaced,
    writes_in,
)

ALL = bit(A) | bit(B) | bit(W)
FEWEST = 2  # voters that a change of the set leaves


# --- hand-over -----------------------------------------------------------------------------------


def quiesce(state: State, space: Space) -> Iterator[Move]:
    """The primary takes no new writes; those that wait go on waiting."""
    for site in DATABASES:
        copy = state.copies[site]
        if copy.writable and not copy.quiesced:
            after = copy._replace(quiesced=1)
            yield Move("quiesce", state._replace(copies=replaced(state, site, after)), site)


def take_back(state: State, space: Space) -> Iterator[Move]:
    """It takes writes again, perhaps not knowing that the epoch has gone."""
    for site in DATABASES:
        copy = state.copies[site]
        if copy.writable and copy.quiesced:
            after = copy._replace(quiesced=0)
            yield Move("take back", state._replace(copies=replaced(state, site, after)), site)


def hand_over(state: State, space: Space) -> Iterator[Move]:
    """Nobody waits, the candidate has the whole log: it is given the next epoch."""
    own = state.copies[state.holder]
    if state.epoch >= space.epochs or own.writable != state.epoch:
        return
    if not own.quiesced or own.waiting:
        return
    for site in DATABASES:
        other = state.copies[site]
        if site == state.holder or not state.voters & bit(site):
            continue
        if proof.order_of(other, own, space.log_format) is Order.EQUAL:
            epoch = state.epoch + 1
            after = state._replace(epoch=epoch, holder=site, handed=epoch)
            yield Move("hand over", after, state.holder, site, epoch)


# --- the set of voters ---------------------------------------------------------------------------


def _serving(state: State) -> Copy | None:
    """The holder's database, if it is primary of the present epoch: it may change the record."""
    own = state.copies[state.holder]
    return own if own.writable == state.epoch else None


def _settled(state: State, own: Copy, space: Space) -> bool:
    """Everything in the log so far is durable at a majority of the voters that are asked."""
    holding = sum(
        (copy.upstream, copy.under) == (state.holder, own.writable)
        and copy.durable >= len(own.log)
        and copy.missing == 0
        for copy in (state.copies[site] for site in bits(own.asked) if site != state.holder)
    )
    return 1 + holding >= proof.needed(own.asked, space.everybody)


def _asking(state: State, asked: int, space: Space) -> State:
    """The primary counts these voters from now on; what they hold may answer who waits."""
    own = state.copies[state.holder]._replace(asked=asked)
    after = state._replace(copies=replaced(state, state.holder, own))
    for site in bits(asked):
        copy = state.copies[site]
        if (copy.upstream, copy.under) == (state.holder, own.writable):
            after = released(after, state.holder, space, site, copy.durable)
    return released(after, state.holder, space)


def widen(state: State, space: Space) -> Iterator[Move]:
    """One voter more: the record names it first, then the database asks. All has to be settled,
    unless it was a learner: then a commit needs no more copies than before.
    """
    own = _serving(state)
    if own is None or own.asked != state.voters:
        return
    if not space.has(Family.LEARNERS) and _unsettled(state, own, space):
        return
    for site in range(len(state.copies)):
        wider = state.voters | bit(site)
        if wider == state.voters:
            continue
        if space.protocol.widens_record_first:
            yield Move("record widens", state._replace(voters=wider), state.holder, site)
        else:
            yield Move("database widens", _asking(state, wider, space), state.holder, site)


def shrink(state: State, space: Space) -> Iterator[Move]:
    """One voter less: the database asks it no more, and waits before the record lets it go."""
    own, protocol = _serving(state), space.protocol
    if own is None or (own.asked & ~state.voters and protocol.widens_record_first):
        return
    for site in range(len(state.copies)):
        if site == state.holder:
            continue
        fewer = own.asked & ~bit(site)
        if protocol.shrinks_database_first and FEWEST <= fewer.bit_count() < own.asked.bit_count():
            yield Move("database shrinks", _asking(state, fewer, space), state.holder, site)
        left = state.voters & ~bit(site)
        if protocol.shrinks_database_first or left == state.voters or left.bit_count() < FEWEST:
            continue
        yield Move("record shrinks", state._replace(voters=left), state.holder, site)


def replace_voter(state: State, space: Space) -> Iterator[Move]:
    """A variant's: one voter is put in another's place in a single step."""
    if space.protocol.one_voter_at_a_time or _serving(state) is None:
        return
    for gone in bits(state.voters & ~bit(state.holder)):
        for new in range(len(state.copies)):
            if not state.voters & bit(new):
                voters = state.voters & ~bit(gone) | bit(new)
                yield Move("record replaces", state._replace(voters=voters), gone, new)


def agree(state: State, space: Space) -> Iterator[Move]:
    """Database and record come to say the same: the stricter of the two never runs ahead."""
    own, protocol = _serving(state), space.protocol
    if own is None or own.asked == state.voters:
        return
    if own.asked & ~state.voters == 0 or not protocol.shrinks_database_first:
        yield Move("database adopts", _asking(state, state.voters, space), state.holder)
    if not _unsettled(state, own, space):
        yield Move("record adopts", state._replace(voters=own.asked), state.holder)


def _unsettled(state: State, own: Copy, space: Space) -> bool:
    return space.protocol.waits_until_settled and not _settled(state, own, space)


# --- alone ---------------------------------------------------------------------------------------


def force_single(state: State, space: Space) -> Iterator[Move]:
    """An operator lets one database go on alone: what it does not hold is given up, and said.

    The record names it as the only voter, so nobody else can take over until that is undone.
    """
    protocol = space.protocol
    if not protocol.forced_by_record:
        yield from _alone_by_database(state, space)
        return
    if state.forced or state.epoch >= space.epochs:
        return
    for site in DATABASES:
        epoch, survivor = state.epoch + 1, state.copies[site]
        flushed = protocol.statement_counts_flushed
        held = durable_writes(survivor) if flushed else writes_in(survivor.log)
        yield Move(
            "force",
            state._replace(
                epoch=epoch,
                holder=site,
                voters=bit(site),
                acknowledged=state.acknowledged & held,
                handed=0,
                forced=epoch,
                survivor=site,
            ),
            site,
            number=epoch,
        )


def _alone_by_database(state: State, space: Space) -> Iterator[Move]:
    own = _serving(state)
    if own is not None and own.asked != bit(state.holder):
        yield Move("alone", _asking(state, bit(state.holder), space), state.holder)


def restore(state: State, space: Space) -> Iterator[Move]:
    """The survivor asks the others again; only when they hold its log does the record follow."""
    own = _serving(state)
    if own is None or not state.voters == own.asked == bit(state.holder):
        return
    if space.protocol.restores_database_first:
        yield Move("asks again", _asking(state, ALL, space), state.holder)
    else:
        yield Move("record restores", state._replace(voters=ALL), state.holder)
