"""One state of the model: the copies of a log, the epoch record, and what clients were told.

Sites A and B hold databases, W and X hold log keepers; X is there only where the set of voters
changes. A log is a string of bytes, one a record: the epoch in the high half, the write in the low
half, 0 for the epoch record. Two states that differ by the names of A and B, or by the numbers of
the writes, are one: `canonical` picks the representative.
"""

from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

A, B, W, X, NOBODY = range(5)
DATABASES: Final = (A, B)
NAMES: Final = ("A", "B", "W", "X", "nobody")
MOST: Final = 15  # epochs, and writes, that a byte can tell apart


class Copy(NamedTuple):
    """One copy of the log: a database, or a keeper."""

    promised: int  # durable: takes nothing more from an epoch below
    log: bytes
    durable: int  # records that a crash leaves
    missing: int = 0  # a wiped keeper's: leading records it does not have; 0: it is whole
    upstream: int = NOBODY
    under: int = 0  # the epoch it follows its upstream under
    writable: int = 0  # the epoch this database is primary under; 0: it is closed
    waiting: int = 0  # bit set of the writes whose sessions wait for an acknowledgement
    asked: int = 0  # bit set of the voters whose acknowledgements this database counts
    quiesced: int = 0  # 1: no new writes, for a planned hand-over
    flying: tuple[int, ...] = ()  # an acknowledgement under way: to whom, epoch, length

    @property
    def ends_in(self) -> int:
        """The epoch of the last record."""
        return self.log[-1] >> 4 if self.log else 0


class State(NamedTuple):
    """Everything."""

    copies: tuple[Copy, ...]
    epoch: int = 1
    holder: int = A
    voters: int = 0  # bit set: of whom the epoch record says that a majority must be sealed
    written: int = 0
    acknowledged: int = 0  # bit set of the writes that clients were told are safe
    opened: int = 1  # the highest epoch that somebody was promoted under
    handed: int = 0  # the epoch that was handed over by a plan, if it is the present one
    forced: int = 0  # the epoch from which one database went on alone
    survivor: int = NOBODY  # and whose that was


def bit(index: int) -> int:
    """The bit of a voter, or of a write."""
    return 1 << index


def bits(mask: int) -> tuple[int, ...]:
    """The voters, or the writes, of a bit set."""
    return tuple(index for index in range(mask.bit_length()) if mask >> index & 1)


def record(epoch: int, write: int = 0) -> bytes:
    """One record of a log."""
    assert epoch <= MOST
    assert write <= MOST
    return bytes((epoch << 4 | write,))


@cache
def writes_in(log: bytes) -> int:
    """Bit set of the writes that a log holds."""
    mask = 0
    for byte in log:
        mask |= bit(byte & MOST)
    return mask & ~1


def durable_writes(copy: Copy) -> int:
    """Bit set of the writes that a crash leaves in a copy."""
    return writes_in(copy.log[: copy.durable])


@cache
def common(first: bytes, second: bytes) -> bytes:
    """The longest beginning of both."""
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return first[:length]


def initial(voters: int) -> State:
    """A is primary of epoch 1; the other voters follow it; a fourth copy is empty and idle."""
    log = record(1)
    asked = bit(A) | bit(B) | bit(W)
    copies = [
        Copy(promised=1, log=log, durable=1, writable=1, asked=asked),
        Copy(promised=1, log=log, durable=1, upstream=A, under=1),
        Copy(promised=1, log=log, durable=1, upstream=A, under=1),
        Copy(promised=1, log=b"", durable=0),
    ]
    return State(copies=tuple(copies[:voters]), voters=asked)


def replaced(state: State, index: int, copy: Copy) -> tuple[Copy, ...]:
    """The copies, with one of them changed."""
    copies = list(state.copies)
    copies[index] = copy
    return tuple(copies)


def violation(state: State) -> str:
    """What clients were told and does not hold; empty while all is well.

    Whoever is primary under the highest epoch that was ever opened holds every write that was
    acknowledged, whoever acknowledged it.
    """
    for index in DATABASES:
        copy = state.copies[index]
        if copy.writable == state.opened and (lost := state.acknowledged & ~writes_in(copy.log)):
            names = ", ".join(f"write {write}" for write in bits(lost))
            return f"{names} acknowledged, not at {NAMES[index]}, primary of epoch {state.opened}"
    return ""


# --- symmetry ------------------------------------------------------------------------------------

MIRROR: Final = (B, A, W, X, NOBODY)


def canonical(state: State) -> State:
    """The representative of every state that differs from `state` by names and numbers only."""
    return min(_renumbered(state), _renumbered(_mirrored(state)))


def _mirrored(state: State) -> State:
    first, second, *keepers = state.copies
    return State(
        (_mirrored_copy(second), _mirrored_copy(first), *map(_mirrored_copy, keepers)),
        state.epoch,
        MIRROR[state.holder],
        _mirrored_bits(state.voters),
        state.written,
        state.acknowledged,
        state.opened,
        state.handed,
        state.forced,
        MIRROR[state.survivor],
    )


@cache
def _mirrored_copy(copy: Copy) -> Copy:
    return copy._replace(
        upstream=MIRROR[copy.upstream],
        asked=_mirrored_bits(copy.asked),
        flying=(MIRROR[copy.flying[0]], *copy.flying[1:]) if copy.flying else (),
    )


@cache
def _mirrored_bits(mask: int) -> int:
    return mask & ~0b11 | (mask & 0b01) << 1 | (mask & 0b10) >> 1


def _renumbered(state: State) -> State:
    new = _numbering(tuple(copy.log for copy in state.copies), state.acknowledged)
    if new is None:
        return state
    return state._replace(
        copies=tuple(_renumbered_copy(copy, new) for copy in state.copies),
        acknowledged=_renumbered_bits(state.acknowledged, new),
    )


@cache
def _numbering(logs: tuple[bytes, ...], acknowledged: int) -> tuple[int, ...] | None:
    """New numbers of the writes, in the order in which the logs show them; None: as they are."""
    order = list(dict.fromkeys(_shown(logs)))
    order += [write for write in bits(acknowledged) if write not in order]
    if order == list(range(1, len(order) + 1)):
        return None
    new = [0] * (MOST + 1)
    for number, write in enumerate(order, 1):
        new[write] = number
    return tuple(new)


def _shown(logs: tuple[bytes, ...]) -> Iterator[int]:
    return (byte & MOST for log in logs for byte in log if byte & MOST)


@cache
def _renumbered_copy(copy: Copy, new: tuple[int, ...]) -> Copy:
    return copy._replace(
        log=bytes(byte & ~MOST | new[byte & MOST] for byte in copy.log),
        waiting=_renumbered_bits(copy.waiting, new),
    )


@cache
def _renumbered_bits(mask: int, new: tuple[int, ...]) -> int:
    return sum(bit(new[write]) for write in bits(mask))
