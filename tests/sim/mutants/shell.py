"""Bugs in what surrounds the deciding code: promises, leases, seals, logs, admission, the store.

In production these live in controller.runtime, the adapters and the host agent; here they are
planted into the models that stand for them.
"""

from tests.sim.mutants.plant import Mutant, mutant

SERVER = "tests.sim.server"
KEEPER = "tests.sim.keeper"
COPY = "tests.sim.replication:Copy"
STREAM = "tests.sim.replication:Stream"

SHELL: tuple[Mutant, ...] = (
    mutant(
        "epoch_raised_without_compare_and_swap",
        "the record is written whatever it has become meanwhile",
        (
            "tests.sim.store:Store.unchanged",
            "(0 if found is None else found.revision) == expected",
            "found is None or expected > 0",
        ),
    ),
    mutant(
        "lease_counted_from_the_reply",
        "the lease begins when the store has answered",
        ("tests.sim.hands:Hands.lease_until", "del answered", "sent = answered + 1.0"),
        shape="lease",
    ),
    mutant(
        "acknowledged_on_receipt",
        "a voter confirms what it has received, before it is on its disk",
        (f"{COPY}.confirmed_end", "return self.flushed", "return self.log.end"),
    ),
    mutant(
        "acknowledged_before_own_flush",
        "records are sent as they are written: the others have them, that is enough",
        (
            f"{STREAM}.pump",
            "if sender.flushed > self.sent and",
            "if sender.log.end > self.sent and",
        ),
        (f"{STREAM}.pump", "self.sent = sender.flushed", "self.sent = sender.log.end"),
        (f"{STREAM}.pump", "sender.durable)", "sender.log)"),
        (
            f"{SERVER}:Server.release",
            "while self.waiting and self.waiting[0].end <= self.flushed:",
            "while self.waiting:",
        ),
    ),
    mutant(
        "nobody_waited_for",
        "synchronous_standby_names was forgotten in the configuration",
        (
            f"{SERVER}:Server.release",
            "needed = 0 if self.alone else self.world.acks_needed",
            "needed = 0",
        ),
    ),
    mutant(
        "timeline_numbered_by_the_server",
        "the new timeline is the own last one plus one, as PostgreSQL does it",
        (f"{SERVER}:Server.timeline_for", "return epoch", "return self.log.epoch + 1"),
        ("tests.sim.hands:Hands.carry_out", "if server.opened_under != epoch:", "if False:"),
        (
            "controller.core.copies:promoted_here",
            "return state.writable and state.epoch == view.record.epoch",
            "return state.writable",
        ),
    ),
    mutant(
        "waiting_sessions_answered_on_close",
        "a fast shutdown lets the waiting sessions end well",
        (
            f"{SERVER}:Server.cut_sessions",
            "self.waiting = []",
            "for commit in self.waiting:\n        self.acknowledge(commit, frozenset())\n"
            "    self.waiting = []",
        ),
    ),
    mutant(
        "regained_epoch_resumed_without_closing",
        "a deposed primary that wins a later epoch goes on, its sessions still waiting",
        (
            "controller.core.sequences:_closed_before_climbing",
            "return not state.writable or",
            "return True or",
        ),
        (
            "controller.core.quorum:prove",
            "promoted = state.writable and state.epoch == epoch",
            "promoted = state.writable",
        ),
        (
            f"{SERVER}:Server.promote",
            'raise Refused(f"{self.name} at {self.site} is writable: close it first")',
            "return self.open_history(epoch)",
        ),
    ),
    mutant(
        "unrewound_voter_heard",
        "a database that comes back follows under its old name, as it is",
        (
            f"{SERVER}:Server.lets_in",
            "return copy.site in self.admitted if voter else True",
            "return True",
        ),
        (
            "tests.sim.agent:rejoin",
            "if afresh or not server.log.begins(primary.durable):",
            "if afresh:",
        ),
        (
            "tests.sim.agent:rejoin",
            "server.set_upstream(upstream, quarantine=True)",
            "server.set_upstream(upstream, quarantine=False)",
        ),
    ),
    mutant(
        "receiver_told_to_go_not_seen_gone",
        "the keeper is sealed as soon as its receiver was sent a signal",
        (f"{KEEPER}:Keeper.seal", "self.kill_receiver()", "pass"),
        (
            f"{KEEPER}:Keeper.observe",
            "sealed=not alive and self.wanted is None",
            "sealed=self.wanted is None",
        ),
    ),
    mutant(
        "receiver_restarted_after_the_seal",
        "the receiver is a unit with Restart=always: it comes back by itself",
        (f"{KEEPER}:Keeper.seal", "self.wanted = None", "pass"),
        (
            f"{KEEPER}:Keeper.observe",
            "sealed=not alive and self.wanted is None",
            "sealed=not alive",
        ),
    ),
    mutant(
        "promise_kept_in_memory_only",
        "the witness daemon's promise is written when there is time",
        (
            "tests.sim.witness:WitnessDaemon.boot",
            "self.process.begin()",
            "self.process.begin()\n    self.world.promises[self.site].clear()",
        ),
    ),
    mutant(
        "restarted_server_opens_by_itself",
        "nothing in the data directory of a primary says that it has to start closed",
        (
            f"{SERVER}:Server.boot",
            "self.process.begin()",
            "self.process.begin()\n    if self.promoted_at > 0:\n"
            "        self.writable, self.opened_under = True, self.log.epoch",
        ),
    ),
    mutant(
        "rewind_skipped_when_shorter",
        "a log that is not longer than the primary's has nothing to be rewound",
        (
            "tests.sim.agent:rejoin",
            "if afresh or not server.log.begins(primary.durable):",
            "if afresh or server.log.end > primary.durable.end:",
        ),
    ),
    mutant(
        "fork_not_cut_at_the_keeper",
        "the keeper keeps what lies beyond the fork and receives behind it",
        (f"{KEEPER}:Keeper.make_ready", "if self.log.begins(theirs):", "if True:"),
        shape="five",  # of three voters no keeper alone has what a takeover could do without
    ),
)
