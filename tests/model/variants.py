"""Shortcuts, each of which loses an acknowledged write, and the smallest space that shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.model.space import Family, Protocol, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The design with one promise broken."""

    name: str
    says: str  # what somebody in a hurry would do
    space: Space


def _in(
    epochs: int, writes: int, *families: Family, copies: int = 3
) -> Callable[[str, Protocol], Space]:
    return partial(
        _space_of, epochs=epochs, writes=writes, families=frozenset(families), copies=copies
    )


def _space_of(
    name: str,
    protocol: Protocol,
    *,
    epochs: int,
    writes: int,
    families: frozenset[Family],
    copies: int,
) -> Space:
    return Space(
        name=name,
        epochs=epochs,
        writes=writes,
        families=families,
        copies=copies,
        protocol=protocol,
    )


def _variant(
    name: str, says: str, where: Callable[[str, Protocol], Space], protocol: Protocol
) -> Variant:
    return Variant(name=name, says=says, space=where(name, protocol))


VARIANTS: Final = (
    _variant(
        "resumes",
        "a primary that was deposed and wins a later epoch goes on, its old sessions waiting",
        _in(4, 1),
        Protocol(closes_before_climbing=False),
    ),
    _variant(
        "resumes-with-record",
        "the same, but it writes the epoch record first",
        _in(4, 1),
        Protocol(closes_before_climbing=False, record_when_resuming=True),
    ),
    _variant(
        "numbers-itself",
        "a promoted server numbers its timeline by its own last one plus one",
        _in(4, 2),
        Protocol(timeline_is_epoch=False),
    ),
    _variant(
        "no-epoch-record",
        "a promoted server goes on writing without a first record of the epoch",
        _in(3, 2),
        Protocol(begins_with_epoch_record=False),
    ),
    _variant(
        "no-swap",
        "the epoch record is overwritten instead of compared and swapped",
        _in(2, 1),
        Protocol(epoch_raised_by_swap=False),
    ),
    _variant(
        "own-seal-is-enough",
        "one seal is counted twice: the holder needs nobody else's",
        _in(2, 1),
        Protocol(majority_is_sealed=False),
    ),
    _variant(
        "reads-before-sealing",
        "a position counts once its voter has promised, its receiver still running",
        _in(2, 1),
        Protocol(receivers_seen_gone=False),
    ),
    _variant(
        "length-only",
        "positions are compared without their epochs",
        _in(3, 3),
        Protocol(epochs_compare_first=False),
    ),
    _variant(
        "counts-the-empty",
        "a keeper that was wiped is counted among the sealed",
        _in(2, 1, Family.RESTART),
        Protocol(empty_proves_nothing=False),
    ),
    _variant(
        "promotes-first",
        "the holder is promoted as soon as a majority is sealed, and catches up later",
        _in(2, 1),
        Protocol(catches_up_before_promoting=False),
    ),
    _variant(
        "fetches-over-a-gap",
        "the log is fetched from a keeper that began again after it was wiped",
        _in(2, 2, Family.RESTART),
        Protocol(gaps_are_seen=False),
    ),
    _variant(
        "planned-unsealed",
        "after a planned hand-over the candidate is promoted without seals: it is equal after all",
        _in(2, 1, Family.PLANNED),
        Protocol(planned_is_proved=False),
    ),
    _variant(
        "forgets-its-seal",
        "a keeper that restarts does not find its promise again",
        _in(2, 1, Family.RESTART),
        Protocol(seal_survives_restart=False),
    ),
    _variant(
        "follows-an-old-epoch",
        "a voter follows whoever its configuration names, whatever it has promised",
        _in(2, 1),
        Protocol(follows_no_lower_epoch=False),
    ),
    _variant(
        "acknowledges-on-receipt",
        "a voter acknowledges what it has received and not yet flushed",
        _in(2, 1, Family.TORN),
        Protocol(acknowledges_when_flushed=False),
    ),
    _variant(
        "cuts-its-tail",
        "MariaDB's recovery cuts the end of the log, and the position is reported as cut",
        _in(2, 1, Family.RESTART),
        Protocol(cut_tail_is_kept=False),
    ),
    _variant(
        "heard-un-rewound",
        "a returning database is heard as a voter before it is rewound",
        _in(3, 3),
        Protocol(rewound_before_heard=False),
    ),
    _variant(
        "hears-a-learner",
        "a copy that is not a voter releases commits",
        _in(2, 1, Family.VOTERS, copies=4),
        Protocol(learner_is_not_heard=False),
    ),
    _variant(
        "replaces-a-voter",
        "one voter is put in another's place in a single step",
        _in(2, 1, Family.VOTERS, copies=4),
        Protocol(one_voter_at_a_time=False),
    ),
    _variant(
        "widens-database-first",
        "the database asks a new voter before the record names it",
        _in(2, 1, Family.VOTERS, copies=4),
        Protocol(widens_record_first=False),
    ),
    _variant(
        "shrinks-record-first",
        "the record lets a voter go before the database has stopped to count it",
        _in(2, 1, Family.VOTERS, copies=4),
        Protocol(shrinks_database_first=False),
    ),
    _variant(
        "changes-without-waiting",
        "the voters change before the log is durable at a majority of those that are asked",
        _in(2, 1, Family.VOTERS, copies=4),
        Protocol(waits_until_settled=False),
    ),
    _variant(
        "demotes-record-first",
        "the record names a learner before the database has stopped to count it",
        _in(2, 1, Family.LEARNERS),
        Protocol(shrinks_database_first=False),
    ),
    _variant(
        "promotes-database-first",
        "the database counts a learner before the record has it as a voter",
        _in(2, 2, Family.LEARNERS),
        Protocol(widens_record_first=False),
    ),
    _variant(
        "demotes-without-waiting",
        "the record names a learner before others hold all that it confirmed",
        _in(2, 1, Family.LEARNERS),
        Protocol(waits_until_settled=False),
    ),
    _variant(
        "alone-by-the-database",
        "the last survivor asks nobody any more, and the record does not say so",
        _in(2, 1, Family.SINGLE),
        Protocol(forced_by_record=False),
    ),
    _variant(
        "states-the-unflushed",
        "the statement of what is given up counts what the survivor has received and not flushed",
        _in(2, 1, Family.SINGLE, Family.TORN),
        Protocol(statement_counts_flushed=False),
    ),
    _variant(
        "restores-record-first",
        "after having been alone the record names all voters before the database asks them",
        _in(3, 1, Family.SINGLE),
        Protocol(restores_database_first=False),
    ),
    _variant(
        "restores-without-waiting",
        "after having been alone the record names all voters before they hold the log",
        _in(3, 1, Family.SINGLE),
        Protocol(waits_until_settled=False),
    ),
)
