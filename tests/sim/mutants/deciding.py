"""Bugs in the code that decides: controller.core, witness.decide, bgp.permit."""

from tests.sim.mutants.plant import Mutant, mutant

QUORUM = "controller.core.quorum"
COPIES = "controller.core.copies"
GUARDS = "controller.core.guards"
LADDERS = "controller.core.sequences"

DECIDING: tuple[Mutant, ...] = (
    # --- the proof --------------------------------------------------------------------------------
    mutant(
        "majority_off_by_one",
        "half of the voters is enough",
        (f"{QUORUM}:majority", "voters // 2 + 1", "voters // 2"),
    ),
    mutant(
        "one_seal_counted_twice",
        "the own seal is among the sealed, and is added once more",
        (
            f"{QUORUM}:prove",
            "len(sealed) + len(excused) >= needed",
            "len(sealed) + 1 + len(excused) >= needed",
        ),
        (
            f"{QUORUM}:Proof.complete",
            "counted = len(self.sealed)",
            "counted = 1 + len(self.sealed)",
        ),
    ),
    mutant(
        "seal_of_an_older_epoch_counts",
        "sealed is sealed: whoever sealed for the last epoch need not do so again",
        (f"{QUORUM}:is_sealed", "if voter.promised != epoch:", "if voter.promised == 0:"),
    ),
    mutant(
        "promise_taken_for_a_seal",
        "a voter that has promised is counted before its receiver is gone",
        (f"{QUORUM}:is_sealed", "return voter.sealed or (", "return True or ("),
    ),
    mutant(
        "receiving_taken_for_quiet",
        "a copy that is not writable is quiet, even while it receives",
        (f"{QUORUM}:is_quiet", "and not state.receiving", "and True"),
    ),
    mutant(
        "planned_takeover_unsealed",
        "after a hand-over the candidate is equal: it need not wait for anybody's seal",
        (
            f"{QUORUM}:prove",
            "needed = majority(len(view.spec.data_sites) + len(view.spec.witnesses))",
            'needed = 1 if view.record.kind == "handover" else majority(len(voters))',
        ),
    ),
    mutant(
        "record_before_the_database",
        "a voter is demoted in the record while its primary still counts on it",
        ("controller.core.voters:change", "and _does_without(view, request, site)", ""),
    ),
    mutant(
        "lsn_without_epoch",
        "the longer log is further, whatever epoch its end is of",
        ("controller.core.position:compare", "if first.epoch != second.epoch:", "if False:"),
    ),
    mutant(
        "nearest_for_furthest",
        "the comparison in the loop is the wrong way round",
        (f"{QUORUM}:furthest", "if order is Order.AHEAD:", "if order is Order.BEHIND:"),
    ),
    mutant(
        "empty_keeper_proves",
        "a keeper that was wiped is sealed like any other, at position nothing",
        (f"{QUORUM}:_shows_its_end", "and not holds_nothing(voter)", ""),
    ),
    # --- the ladders ------------------------------------------------------------------------------
    mutant(
        "promote_before_catch_up",
        "what is proved may be promoted; the rest is fetched afterwards",
        (f"{LADDERS}:_caught_up", "in (Order.EQUAL, Order.AHEAD)", "is not Order.DIVERGED"),
    ),
    mutant(
        "catch_up_skipped_on_resume",
        "a daemon that finds a takeover half-climbed takes it that the log was fetched",
        (
            f"{LADDERS}:_caught_up",
            "    proof = prove(view, state)",
            "    if not view.raised_here:\n        return True\n    proof = prove(view, state)",
        ),
    ),
    mutant(
        "close_skipped",
        "a server that is writable needs no closing: it only gets a new epoch",
        (f"{LADDERS}:_closed_before_climbing", "return not state.writable or", "return True or"),
        (
            "controller.core.copies:promoted_here",
            "state.writable and state.epoch == view.record.epoch",
            "state.writable",
        ),
    ),
    mutant(
        "promoted_twice_under_one_epoch",
        "what was primary of this epoch and fell is simply promoted again",
        (f"{LADDERS}:_promote", "if state.epoch >= view.record.epoch:", "if False:"),
        ("controller.core.troubles:epoch_used_up", "return any(", "return False and any("),
        ("tests.sim.server:Server.promote", "if self.durable.epoch >= epoch:", "if False:"),
    ),
    mutant(
        "gate_opened_without_a_voter",
        "the gate opens as soon as the server is promoted",
        (
            f"{LADDERS}:_committing",
            "return acknowledged and copies.voter_follows(view, state)",
            "return True",
        ),
    ),
    mutant(
        "step_down_forgets_to_close",
        "a deposed site pulls its routes and leaves its database writable",
        (
            f"{LADDERS}:_not_writable",
            "return not state.writable and not state.gate_open",
            "return not state.gate_open or view.me != ''",
        ),
    ),
    mutant(
        "rejoin_as_voter_at_once",
        "a returning copy follows as a voter, without its time in quarantine",
        (f"{LADDERS}:_rejoin", "quarantine=not as_voter", "quarantine=False"),
        (f"{LADDERS}:_rejoin", "if state.epoch == epoch and not state.diverged:", "if True:"),
        (
            f"{COPIES}:_proven_follower",
            "    return (\n        connected",
            "    return (\n        True",
        ),
        (
            f"{COPIES}:_proven_follower",
            "and theirs.streaming\n        and theirs.epoch == epoch",
            "",
        ),
        (f"{COPIES}:_known_strange", "return theirs is not None and", "return False and"),
    ),
    # --- who may follow ---------------------------------------------------------------------------
    mutant(
        "every_data_site_admitted",
        "the voters are in the configuration: all of them are let in",
        (
            f"{COPIES}:_proven_follower",
            "    other = view.others[site]\n",
            "    return True\n    other = view.others[site]\n",
        ),
        (f"{LADDERS}:_rejoin", "if state.epoch == epoch and not state.diverged:", "if True:"),
    ),
    # --- epochs -----------------------------------------------------------------------------------
    mutant(
        "epoch_not_raised",
        "the next epoch is the highest known one",
        ("controller.core.raising:next_epoch", "max(known) + 1", "max(known)"),
    ),
    mutant(
        "epoch_below_the_floor_accepted",
        "the store knows best, also after it was restored from a snapshot",
        (
            f"{GUARDS}:record_below_floor",
            "return view.record is not None and view.record.epoch < view.own.promised",
            "return False",
        ),
        ("witness.decide:decide_keeper", "if record.epoch < promised:", "if False:"),
        (
            "witness.decide:_of_promised",
            "keeper.following == record.holder and keeper.following_epoch == record.epoch",
            "keeper.following == record.holder",
        ),
    ),
    mutant(
        "pause_ignored",
        "nobody asks whether the automation is paused",
        (f"{GUARDS}:paused", "return bool(pause_reason(view))", "return False"),
    ),
    mutant(
        "flap_window_ignored",
        "a role change a moment ago is no reason against the next",
        (f"{GUARDS}:outside_flap_window", "return looked_at or", "return True or"),
    ),
    mutant(
        "witness_not_asked",
        "silent to this site is dead: the witness's view is left out",
        (
            f"{GUARDS}:holder_silent",
            "for seen in (other.seen, *observers)",
            "for seen in (other.seen,)",
        ),
    ),
    mutant(
        "data_path_not_asked",
        "no heartbeat is dead, although haproxy and the databases answer",
        (f"{GUARDS}:_gone", "and not data_path_alive", ""),
    ),
    mutant(
        "lease_margin_dropped",
        "the record is taken over as soon as it looks a little old",
        (
            f"{GUARDS}:lease_waited_out",
            "> timings.lease_s + timings.lease_margin_s",
            "> timings.lease_s / 4",
        ),
        shape="lease",
    ),
    mutant(
        "lease_never_lapses",
        "the holder serves until somebody tells it otherwise",
        (f"{GUARDS}:lease_lapsed", "return without_lease(view) and", "return False and"),
        shape="lease",
    ),
    mutant(
        "cut_off_unnoticed",
        "a site that reaches nobody goes on as if nothing had happened",
        (f"{GUARDS}:cut_off", "return store_gone and", "return False and"),
    ),
    # --- routes -----------------------------------------------------------------------------------
    mutant(
        "override_kept_for_ever",
        "nobody takes the override back once the other site has retired",
        (
            "controller.core.wants:attracting_stance",
            "if settled or first or (guards.others_retired(view)",
            "if first or (False",
        ),
    ),
    mutant(
        "routes_pulled_without_a_proof",
        "routes are pulled as soon as the epoch is owned, whoever still serves",
        (
            "controller.core.wants:takeover_routes",
            "if servable and (pulled or opened or (proved and alone)):",
            "if True:",
        ),
    ),
    mutant(
        "permit_never_lapses",
        "the speaker says for ever what it was told last",
        ("bgp.permit:Permit.in_force", "lapsed = now >= self.until", "lapsed = False"),
    ),
    mutant(
        "relieved_of_what_fails_everywhere",
        "a link of the health chain is down here: let the other site try",
        (
            "controller.core.troubles:_failing",
            "if not view.own.failing or not healthier_elsewhere(view):",
            "if False:",
        ),
    ),
    # --- the speaker's dialogue -------------------------------------------------------------------
    mutant(
        "plan_outlives_its_wishes",
        "what is being said is said to its end, whatever is wanted by now",
        (
            "bgp.dialogue:Dialogue._apply_permit",
            "self._plan = None\n    self._refused",
            "self._refused",
        ),
    ),
    # --- the keeper -------------------------------------------------------------------------------
    mutant(
        "keeper_promises_last",
        "the keeper goes over to the new holder and promises when there is time",
        ("witness.decide:decide_keeper", "if record.epoch > promised:", "if False:"),
        (f"{QUORUM}:is_sealed", "if voter.promised != epoch:", "if voter.promised == 0:"),
    ),
    mutant(
        "keeper_never_seals",
        "the keeper's promise is enough: its receiver is left alone until it has to move",
        ("witness.decide:_of_promised", "if not keeper.sealed:", "if False:"),
        (f"{QUORUM}:is_sealed", "return voter.sealed or (", "return True or ("),
    ),
)
