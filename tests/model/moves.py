"""The moves of every space: writes, replication, epochs, seals, catching up and promotion.

A move is made by whoever can make it, at any time: nobody is assumed to be fast, awake or aware of
the present epoch. A deposed primary goes on taking writes until it closes.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from controller.core.position import Order
from tests.model import proof
from tests.model.space import Family, Space
from tests.model.state import (
    DATABASES,
    NOBODY,
    Copy,
    State,
    bit,
    bits,
    common,
    durable_writes,
    record,
    replaced,
    writes_in,
)

AT_LEAST = (Order.EQUAL, Order.AHEAD)


class Move(NamedTuple):
    """One step of a history, and the state after it."""

    kind: str
    state: State
    site: int = NOBODY
    other: int = NOBODY
    number: int = 0


# --- writes and acknowledgements -----------------------------------------------------------------


def write(state: State, space: Space) -> Iterator[Move]:
    """A client writes at any database that believes itself primary."""
    for site in DATABASES:
        copy = state.copies[site]
        if not copy.writable or copy.quiesced or state.written >= space.writes:
            continue
        number = _free_number(state)
        own = space.protocol.timeline_is_epoch and space.protocol.begins_with_epoch_record
        log = copy.log + record(copy.writable if own else copy.ends_in, number)
        grown = copy._replace(log=log, durable=len(log), waiting=copy.waiting | bit(number))
        after = state._replace(copies=replaced(state, site, grown), written=state.written + 1)
        yield Move("write", released(after, site, space), site, number=number)


def _free_number(state: State) -> int:
    used = state.acknowledged
    for copy in state.copies:
        used |= writes_in(copy.log)
    return next(number for number in range(1, 16) if not used & bit(number))


def take(state: State, space: Space) -> Iterator[Move]:
    """A follower receives the next record; what it has flushed it acknowledges."""
    for site, copy in enumerate(state.copies):
        if copy.upstream == NOBODY:
            continue
        source = state.copies[copy.upstream]
        length = len(copy.log)
        streams = source.writable == copy.under and length < len(source.log)
        if not streams or not source.log.startswith(copy.log):
            continue
        torn = space.has(Family.TORN)
        grown = copy._replace(
            log=source.log[: length + 1], durable=copy.durable if torn else length + 1
        )
        after = state._replace(copies=replaced(state, site, grown))
        told = grown.durable if space.protocol.acknowledges_when_flushed else length + 1
        yield Move("take", reported(after, site, told, space), site, copy.upstream)


def reported(state: State, site: int, length: int, space: Space) -> State:
    """The follower has told its upstream how much it holds, or the word is under way."""
    copy = state.copies[site]
    if space.has(Family.LATE):
        word = (copy.upstream, copy.under, length)
        return state._replace(copies=replaced(state, site, copy._replace(flying=word)))
    return heard(state, (copy.upstream, copy.under, length), site, space)


def heard(state: State, word: tuple[int, ...], site: int, space: Space) -> State:
    """A primary has heard how much a follower holds."""
    upstream, epoch, length = word
    primary = state.copies[upstream]
    counts = primary.asked & bit(site) or not space.protocol.learner_is_not_heard
    if primary.writable != epoch or not counts:
        return state
    return released(state, upstream, space, site, length)


def released(state: State, site: int, space: Space, teller: int = NOBODY, told: int = 0) -> State:
    """Sessions that waited for what a majority of the voters asked now holds are answered."""
    primary = state.copies[site]
    if not primary.waiting:
        return state
    enough = proof.needed(primary.asked, space.everybody)
    if teller == NOBODY and enough > 1:
        return state
    others = [
        copy.durable
        for voter, copy in enumerate(state.copies)
        if voter not in (site, teller)
        and not space.has(Family.LATE)  # what is under way has not been heard
        and primary.asked & bit(voter)
        and (copy.upstream, copy.under) == (site, primary.writable)
    ]
    if teller != NOBODY:
        others.append(told)
    done = 0
    for index, byte in enumerate(primary.log):
        if 1 + sum(length > index for length in others) >= enough:
            done |= bit(byte & 15)
    done &= primary.waiting
    # Whoever still serves below an epoch that an operator forced is outside the promise, but for
    # what the survivor holds: so it was said.
    safe = done
    if primary.writable < state.forced:
        safe &= durable_writes(state.copies[state.survivor])
    return state._replace(
        copies=replaced(state, site, primary._replace(waiting=primary.waiting & ~done)),
        acknowledged=state.acknowledged | safe,
    )


# --- epochs and seals ----------------------------------------------------------------------------


def raise_epoch(state: State, space: Space) -> Iterator[Move]:
    """A data site of the record's voters raises the epoch by compare-and-swap."""
    for site in DATABASES:
        if state.voters & bit(site) and state.epoch < space.epochs:
            after = state._replace(epoch=state.epoch + 1, holder=site, handed=0)
            yield Move("raise", after, site, number=after.epoch)
        if not space.protocol.epoch_raised_by_swap and site != state.holder and state.epoch > 1:
            yield Move("overwrite", state._replace(holder=site), site, number=state.epoch)


def promise(state: State, space: Space) -> Iterator[Move]:
    """A voter makes the present epoch its floor, durably; its receiver still runs."""
    for site, copy in enumerate(state.copies):
        if copy.promised < state.epoch:
            after = copy._replace(promised=state.epoch)
            yield Move(
                "promise",
                state._replace(copies=replaced(state, site, after)),
                site,
                number=state.epoch,
            )


def end_receiver(state: State, space: Space) -> Iterator[Move]:
    """A receiver of an epoch below the promise is ended, and seen to be gone."""
    for site, copy in enumerate(state.copies):
        if copy.upstream != NOBODY and copy.under < copy.promised:
            after = copy._replace(upstream=NOBODY, under=0)
            yield Move(
                "end", state._replace(copies=replaced(state, site, after)), site, copy.upstream
            )


def close(state: State, space: Space) -> Iterator[Move]:
    """A primary of an epoch below its promise closes: who waits is cut off unanswered."""
    for site in DATABASES:
        copy = state.copies[site]
        resumes = not space.protocol.closes_before_climbing and state.holder == site
        if 0 < copy.writable < copy.promised and not resumes:
            after = copy._replace(writable=0, waiting=0, quiesced=0)
            yield Move("close", state._replace(copies=replaced(state, site, after)), site)


# --- catching up and promotion -------------------------------------------------------------------


def findings(state: State, space: Space) -> Iterator[proof.Finding]:
    """What each smallest sufficient set of sealed voters proves to the holder."""
    own = state.copies[state.holder]
    if own.promised != state.epoch or own.writable == state.epoch:
        return
    voters = state.voters if space.protocol.majority_is_sealed else bit(state.holder)
    present = [
        site
        for site in bits(voters)
        if site != state.holder and state.copies[site].promised == state.epoch
    ]
    mine = _seal(state, state.holder, space)
    everybody = space.everybody if space.protocol.majority_is_sealed else 0
    for some in combinations(present, proof.seals_needed(voters, everybody) - 1):
        seals = tuple(_seal(state, site, space) for site in some)
        finding = proof.proved(state.epoch, voters, everybody, mine, seals, space.log_format)
        if finding.complete:
            yield finding


def _seal(state: State, site: int, space: Space) -> proof.Seal:
    """What is heard of a voter; a variant hears it wrongly."""
    copy, protocol = state.copies[site], space.protocol
    seal = proof.seal_of(site, copy)
    if not protocol.epochs_compare_first:
        seal = seal._replace(epoch=1)
    if not protocol.receivers_seen_gone and site != state.holder:
        seal = seal._replace(quiet=True)
    if not protocol.closes_before_climbing and site == state.holder and copy.writable:
        seal = seal._replace(quiet=True)
    if not protocol.empty_proves_nothing:
        seal = seal._replace(whole=True)
    return seal


def _reaches(state: State, finding: proof.Finding, space: Space) -> bool:
    own = _seal(state, state.holder, space)
    order = proof.order_of_ends(
        (own.epoch, own.length), (finding.epoch, finding.length), space.log_format
    )
    return order in AT_LEAST


def catch_up(state: State, space: Space) -> Iterator[Move]:
    """The holder fetches what the furthest sealed voter has more; never over its own fork."""
    own = state.copies[state.holder]
    for finding in findings(state, space):
        if finding.source == state.holder or _reaches(state, finding, space):
            continue
        source = state.copies[finding.source]
        if not source.log.startswith(own.log):
            continue
        log = source.log
        if source.missing > len(own.log):
            if space.protocol.gaps_are_seen:
                continue
            log = own.log + _hole(own, source) + source.log[source.missing :]
        after = own._replace(log=log, durable=len(log))
        yield Move(
            "catch up",
            state._replace(copies=replaced(state, state.holder, after)),
            state.holder,
            finding.source,
        )


def _hole(own: Copy, source: Copy) -> bytes:
    """What a fetch over a gap leaves where the missing records should be."""
    return record(own.ends_in) * (source.missing - len(own.log))


def promote(state: State, space: Space) -> Iterator[Move]:
    """The holder opens under the epoch, once in each, with everything that was proved."""
    own, protocol = state.copies[state.holder], space.protocol
    if own.writable == state.epoch or own.ends_in >= state.epoch:
        return
    planned = (
        not protocol.planned_is_proved
        and state.handed == state.epoch == own.promised
        and not own.writable
    )
    if not planned and not any(
        not protocol.catches_up_before_promoting or _reaches(state, finding, space)
        for finding in findings(state, space)
    ):
        return
    log = own.log + _first_record(own, state.epoch, space)
    after = own._replace(
        log=log,
        durable=len(log),
        upstream=NOBODY,
        under=0,
        writable=state.epoch,
        asked=state.voters,
        quiesced=0,
    )
    yield Move(
        "promote",
        state._replace(copies=replaced(state, state.holder, after), opened=state.epoch, handed=0),
        state.holder,
        number=state.epoch,
    )


def _first_record(own: Copy, epoch: int, space: Space) -> bytes:
    protocol = space.protocol
    if not protocol.timeline_is_epoch:
        return record(own.ends_in + 1)
    resumed = own.writable and not protocol.record_when_resuming
    return b"" if resumed or not protocol.begins_with_epoch_record else record(epoch)


# --- following -----------------------------------------------------------------------------------


def follow(state: State, space: Space) -> Iterator[Move]:
    """A closed copy follows a primary of no epoch below its promise, rewound to its history."""
    for upstream in DATABASES:
        primary = state.copies[upstream]
        for site, copy in enumerate(state.copies):
            allowed = primary.writable >= copy.promised or not space.protocol.follows_no_lower_epoch
            idle = site != upstream and not copy.writable and primary.writable
            if (
                not idle
                or not allowed
                or (copy.upstream, copy.under) == (upstream, primary.writable)
            ):
                continue
            after = _following(copy, primary, space)._replace(
                promised=max(copy.promised, primary.writable),
                upstream=upstream,
                under=primary.writable,
                flying=(),
            )
            told = after.durable if proof.holds_anything(after) else 0
            joined = state._replace(copies=replaced(state, site, after))
            yield Move(
                "follow", reported(joined, site, told, space), site, upstream, primary.writable
            )


def _following(copy: Copy, primary: Copy, space: Space) -> Copy:
    """Beyond the fork nothing is kept; a wiped keeper begins where its primary is."""
    if not space.protocol.rewound_before_heard:
        return copy
    log = common(copy.log, primary.log)
    if copy.missing and len(log) <= copy.missing:
        length = len(primary.log)
        return copy._replace(log=primary.log, durable=length, missing=length)
    return copy._replace(log=log, durable=min(copy.durable, len(log)))
