"""Breadth first through a whole bounded space, up to symmetry, to the shortest loss if any."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from time import monotonic

from tests.model import faults, moves, planned
from tests.model.moves import Move
from tests.model.space import Family, Space
from tests.model.state import NAMES, State, bits, canonical, initial, violation

Maker = Callable[[State, Space], Iterator[Move]]

MAKERS: dict[Family, tuple[Maker, ...]] = {
    Family.TAKEOVER: (
        moves.write,
        moves.take,
        moves.raise_epoch,
        moves.promise,
        moves.end_receiver,
        moves.close,
        moves.catch_up,
        moves.promote,
        moves.follow,
    ),
    Family.RESTART: (
        faults.crash_database,
        faults.crash_keeper,
        faults.crash_sealed_keeper,
        faults.wipe_keeper,
    ),
    Family.TORN: (faults.flush, faults.crash_database, faults.crash_keeper),
    Family.LATE: (faults.arrive,),
    Family.PLANNED: (planned.quiesce, planned.take_back, planned.hand_over),
    Family.VOTERS: (planned.widen, planned.shrink, planned.replace_voter, planned.agree),
    Family.LEARNERS: (planned.widen, planned.shrink, planned.agree),
    Family.SINGLE: (planned.force_single, planned.restore, planned.agree),
}
SENTENCES = {
    "write": "a client writes {number} at {site}",
    "take": "{site} takes the next record from {other}",
    "raise": "{site} raises the epoch to {number}",
    "overwrite": "{site} writes itself into the record of epoch {number}",
    "promise": "{site} promises epoch {number}",
    "end": "{site} ends its receiver from {other}",
    "close": "{site} closes, waiting sessions unanswered",
    "catch up": "{site} fetches what {other} has more",
    "promote": "{site} is promoted at epoch {number}",
    "follow": "{site} follows {other} at epoch {number}",
    "crash database": "the database of {site} falls and comes back closed",
    "crash keeper": "the keeper {site} falls and comes back",
    "wipe": "the keeper {site} loses its log",
    "flush": "{site} flushes what it has received",
    "arrive": "an acknowledgement of {site} arrives at {other}",
    "quiesce": "{site} takes no new writes",
    "take back": "{site} takes writes again",
    "hand over": "{site} hands epoch {number} over to {other}",
    "record widens": "the record names {other} as a voter too",
    "record shrinks": "the record names {other} as a voter no more",
    "record replaces": "the record names {other} as a voter instead of {site}",
    "record adopts": "the record names the voters that the database of {site} asks",
    "record restores": "the record names all voters again",
    "database widens": "the database of {site} asks {other} too",
    "database shrinks": "the database of {site} asks {other} no more",
    "database adopts": "the database of {site} asks the voters that the record names",
    "alone": "the database of {site} goes on alone, the record unchanged",
    "asks again": "the database of {site} asks the others again",
    "force": "an operator lets {site} go on alone at epoch {number}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """What a search found."""

    space: Space
    states: int
    transitions: int
    depth: int
    seconds: float
    complete: bool  # the whole space was seen, or a loss ended the search
    moves: dict[str, int]  # how often each kind of move was made
    loss: str = ""
    history: tuple[str, ...] = ()  # shortest, one line a move

    @property
    def sound(self) -> bool:
        """Nothing is lost in all of the space."""
        return self.complete and not self.loss


class Walk:
    """The states seen, each with the one it was first reached from."""

    def __init__(self, space: Space) -> None:
        self.space = space
        kinds = (Family.TAKEOVER, *(family for family in Family if space.has(family)))
        self.makers = tuple(dict.fromkeys(chain.from_iterable(MAKERS[kind] for kind in kinds)))
        first = canonical(initial(space.copies))
        self.states = [first]
        self.parents = array("I", [0])
        self.seen = {first}
        self.made: Counter[str] = Counter()

    def next_moves(self, state: State) -> Iterator[Move]:
        """Every move that somebody could make in `state`."""
        for maker in self.makers:
            yield from maker(state, self.space)

    def visit(self, index: int) -> int | None:
        """Add what follows on a state; the index of the first violation, if any is among it."""
        for move in self.next_moves(self.states[index]):
            self.made[move.kind] += 1
            after = canonical(move.state)
            if after in self.seen:
                continue
            self.seen.add(after)
            self.states.append(after)
            self.parents.append(index)
            if violation(after):
                return len(self.states) - 1
        return None

    def path(self, index: int) -> list[State]:
        """The states from the first to this one."""
        found = [self.states[index]]
        while index:
            index = self.parents[index]
            found.append(self.states[index])
        return found[::-1]

    def history(self, index: int) -> tuple[tuple[str, ...], str]:
        """The moves to a state under the names a reader can follow, and what is violated there."""
        now = initial(self.space.copies)
        lines: list[str] = []
        for wanted in self.path(index)[1:]:
            move = next(m for m in self.next_moves(now) if canonical(m.state) == wanted)
            lines.append(told(move, now))
            now = move.state
        return tuple(lines), violation(now)


def told(move: Move, before: State) -> str:
    """One line of a history."""
    line = SENTENCES[move.kind].format(
        site=NAMES[move.site], other=NAMES[move.other], number=move.number
    )
    news = bits(move.state.acknowledged & ~before.acknowledged)
    given_up = bits(before.acknowledged & ~move.state.acknowledged)
    if news:
        line += f"; acknowledged: {', '.join(map(str, news))}"
    if given_up:
        line += f"; given up, and said so: {', '.join(map(str, given_up))}"
    return line


def explore(
    space: Space,
    *,
    at_most: int = 50_000_000,
    progress: Callable[[int, int, int], None] | None = None,
) -> Explored:
    """All of `space`, or as far as a loss. `progress` hears states, states to visit and depth."""
    walk, began = Walk(space), monotonic()
    index = depth = 0
    layer = 1
    lost: int | None = None
    while index < len(walk.states) and lost is None and len(walk.states) < at_most:
        if index == layer:
            depth, layer = depth + 1, len(walk.states)
        if progress is not None and index % 20_000 == 0:
            progress(len(walk.states), len(walk.states) - index, depth)
        lost = walk.visit(index)
        index += 1
    history, loss = walk.history(lost) if lost is not None else ((), "")
    return Explored(
        space=space,
        states=len(walk.states),
        transitions=sum(walk.made.values()),
        depth=len(history) if history else depth,
        seconds=round(monotonic() - began, 2),
        complete=lost is not None or index == len(walk.states),
        moves=dict(sorted(walk.made.items())),
        loss=loss,
        history=history,
    )
