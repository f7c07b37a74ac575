"""Realistic bugs, planted one at a time. The search must find each, or the world is too kind."""

from tests.sim.mutants.deciding import DECIDING
from tests.sim.mutants.plant import Mutant
from tests.sim.mutants.shell import SHELL

MUTANTS: dict[str, Mutant] = {found.name: found for found in (*DECIDING, *SHELL)}

# Found within a few seconds of search: of these every `make sim` hunts the next few.
QUICK: tuple[str, ...] = (
    "majority_off_by_one",
    "one_seal_counted_twice",
    "seal_of_an_older_epoch_counts",
    "promise_taken_for_a_seal",
    "receiving_taken_for_quiet",
    "planned_takeover_unsealed",
    "nearest_for_furthest",
    "promote_before_catch_up",
    "catch_up_skipped_on_resume",
    "close_skipped",
    "promoted_twice_under_one_epoch",
    "step_down_forgets_to_close",
    "rejoin_as_voter_at_once",
    "every_data_site_admitted",
    "epoch_not_raised",
    "epoch_below_the_floor_accepted",
    "pause_ignored",
    "flap_window_ignored",
    "witness_not_asked",
    "data_path_not_asked",
    "lease_margin_dropped",
    "lease_never_lapses",
    "override_kept_for_ever",
    "routes_pulled_without_a_proof",
    "permit_never_lapses",
    "keeper_promises_last",
    "keeper_never_seals",
    "lease_counted_from_the_reply",
    "acknowledged_on_receipt",
    "nobody_waited_for",
    "timeline_numbered_by_the_server",
    "waiting_sessions_answered_on_close",
    "regained_epoch_resumed_without_closing",
    "unrewound_voter_heard",
    "receiver_told_to_go_not_seen_gone",
    "receiver_restarted_after_the_seal",
    "promise_kept_in_memory_only",
    "restarted_server_opens_by_itself",
    "rewind_skipped_when_shorter",
)

__all__ = ["DECIDING", "MUTANTS", "QUICK", "SHELL"]
