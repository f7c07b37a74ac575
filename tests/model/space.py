"""What is explored: which moves, how far, and which protocol.

`Protocol()` is the design. A variant is the design with one promise broken; the moves ask the
protocol wherever a shortcut is tempting.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from controller.core.position import LogFormat


class Family(StrEnum):
    """Moves that belong together. TAKEOVER is always there."""

    TAKEOVER = "takeover"  # writes, replication, epochs, seals, catching up, promotion
    RESTART = "restart"  # a database or a keeper falls and comes back; a keeper is wiped
    TORN = "torn"  # records are received first and flushed later; a crash tears the rest off
    LATE = "late"  # acknowledgements are under way while other things happen
    PLANNED = "planned"  # quiesce, hand over, take back
    VOTERS = "voters"  # the set of voters changes
    SINGLE = "single"  # an operator lets the last survivor go on alone, and ends it
    LEARNERS = "learners"  # as VOTERS, but a commit needs as many copies as ever, of fewer voters


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The promises of the design; each may be broken by one variant."""

    # epochs and promotion
    closes_before_climbing: bool = True
    record_when_resuming: bool = False  # of a variant that resumes: it writes an epoch record
    timeline_is_epoch: bool = True
    begins_with_epoch_record: bool = True
    epoch_raised_by_swap: bool = True
    majority_is_sealed: bool = True
    receivers_seen_gone: bool = True
    epochs_compare_first: bool = True
    empty_proves_nothing: bool = True
    catches_up_before_promoting: bool = True
    gaps_are_seen: bool = True
    planned_is_proved: bool = True
    # voters
    seal_survives_restart: bool = True
    follows_no_lower_epoch: bool = True
    acknowledges_when_flushed: bool = True
    cut_tail_is_kept: bool = True
    rewound_before_heard: bool = True
    learner_is_not_heard: bool = True
    # the set of voters
    one_voter_at_a_time: bool = True
    widens_record_first: bool = True
    shrinks_database_first: bool = True
    waits_until_settled: bool = True
    forced_by_record: bool = True
    statement_counts_flushed: bool = True
    restores_database_first: bool = True


DESIGN = Protocol()


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """One bounded space."""

    name: str
    epochs: int
    writes: int
    families: frozenset[Family] = frozenset()
    copies: int = 3
    protocol: Protocol = DESIGN
    log_format: LogFormat = field(default=LogFormat.LSN)

    @property
    def is_variant(self) -> bool:
        """Whether a promise of the design is broken here."""
        return self.protocol != DESIGN

    def has(self, family: Family) -> bool:
        """Whether these moves are made."""
        return family in self.families

    @property
    def everybody(self) -> int:
        """Bit set of those whose number a commit's majority is of, where learners are no voters;
        0 where it is that of the voters themselves.
        """
        return (1 << self.copies) - 1 if self.has(Family.LEARNERS) else 0
