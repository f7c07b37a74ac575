"""What people do to the simulated world: operators, and others with the store and the databases."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from controller.core.model import EpochRecord, ServiceName, SiteName
from controller.core.requests import Kind
from lab.scenario.matching import Phrase
from lab.scenario.play import StageError
from lab.scenario.tampering import TAMPERING
from tests.sim.asking import COLLEAGUE, OPERATOR
from tests.sim.scenario_acts import LINKS_AND_PROCESSES, Act, Acts


def _remember(acts: Acts, _: Phrase) -> None:
    acts.snapshot = _records(acts)


def _records(acts: Acts) -> dict[str, EpochRecord]:
    return {
        key: found.value
        for key, found in acts.world.store.contents.items()
        if isinstance(found.value, EpochRecord)
    }


def _roll_back(acts: Acts, _: Phrase) -> None:
    if not acts.snapshot:
        raise StageError("there is no snapshot: `remember store` comes first")
    acts.newest = _records(acts)
    acts.world.broke("restore_etcd")
    for key, record in acts.snapshot.items():
        _write(acts, key, record)
    acts.world.tell_restored()
    acts.world.mended("restore_etcd")


def _write(acts: Acts, key: str, record: EpochRecord) -> None:
    acts.world.store.put(key, lambda revision: replace(record, revision=revision))


def _empty(acts: Acts, _: Phrase) -> None:
    acts.newest = _records(acts)
    acts.world.broke("empty_etcd")
    for key in acts.newest:
        acts.world.store.delete(key)
    acts.world.mended("empty_etcd")


def _roll_on(acts: Acts, _: Phrase) -> None:
    for key, record in acts.newest.items():
        _write(acts, key, record)
    acts.world.tell_restored()


def _put_right(acts: Acts, phrase: Phrase) -> None:
    service, holder = ServiceName(phrase.text("SERVICE")), SiteName(phrase.text("DC"))
    acts.world.write_record_by_hand(service, holder)


def _pause(acts: Acts, phrase: Phrase) -> None:
    acts.paused.add(phrase.text("SERVICE"))
    acts.world.pause(phrase.text("SERVICE"))


def _resume(acts: Acts, phrase: Phrase) -> None:
    acts.paused.discard(phrase.text("SERVICE"))
    acts.world.resume(phrase.text("SERVICE"))


def _ask(kind: Kind) -> Act:
    def act(acts: Acts, phrase: Phrase) -> None:
        target = str(phrase.arguments.get("DC", ""))
        acts.world.request(kind.value, phrase.text("SERVICE"), target)

    return act


def _misconfigure(acts: Acts, phrase: Phrase) -> None:
    acts.configure(phrase.text("DC"), right=False)


def _correct(acts: Acts, phrase: Phrase) -> None:
    acts.configure(phrase.text("DC"), right=True)


def _verdict(do: str, *more: str) -> Act:
    def act(acts: Acts, phrase: Phrase) -> None:
        getattr(acts.world, do)(phrase.text("SERVICE"), *more)

    return act


def _tamper(how: str) -> Act:
    def act(acts: Acts, phrase: Phrase) -> None:
        acts.audits.tamper(phrase.text("SITE"), how)

    return act


def _audit_disk(*, full: bool) -> Act:
    def act(acts: Acts, phrase: Phrase) -> None:
        acts.audits.fill(phrase.text("SITE"), full=full)

    return act


def _order(do: str) -> Act:
    def act(acts: Acts, phrase: Phrase) -> None:
        getattr(acts.world, do)(phrase.text("DC"))

    return act


def _drain(acts: Acts, phrase: Phrase) -> None:
    acts.drained.add(phrase.text("DC"))
    acts.world.drain(phrase.text("DC"))


def _undrain(acts: Acts, phrase: Phrase) -> None:
    acts.drained.discard(phrase.text("DC"))
    acts.world.undrain(phrase.text("DC"))


def _fence(acts: Acts, phrase: Phrase) -> None:
    acts.fenced.add(phrase.text("DC"))
    acts.world.fence(phrase.text("DC"))


def _unfence(acts: Acts, phrase: Phrase) -> None:
    acts.fenced.discard(phrase.text("DC"))
    acts.world.unfence(phrase.text("DC"))


def _repair(kind: Kind) -> Act:
    def act(acts: Acts, phrase: Phrase) -> None:
        acts.world.repair(kind.value, phrase.text("DC"), phrase.text("DATABASE"))

    return act


def _vote(kind: Kind) -> Act:
    def act(acts: Acts, phrase: Phrase) -> None:
        acts.world.vote(kind.value, phrase.text("SITE"), phrase.text("SERVICE"))

    return act


def _prefer(acts: Acts, phrase: Phrase) -> None:
    acts.world.weigh(phrase.text("SERVICE"), **{phrase.text("DC"): 100})


def _prefer_none(acts: Acts, phrase: Phrase) -> None:
    acts.world.weigh(phrase.text("SERVICE"))


def _at_database(do: str) -> Act:
    def act(acts: Acts, phrase: Phrase) -> None:
        getattr(acts.world, do)(phrase.text("DATABASE"), phrase.text("DC"))

    return act


ACTS: Final[Mapping[str, Act]] = {
    **LINKS_AND_PROCESSES,
    "remember": _remember,
    "roll_back": _roll_back,
    "roll_on": _roll_on,
    "put_right": _put_right,
    "pause": _pause,
    "resume": _resume,
    "promote_by_hand": _at_database("promote_by_hand"),
    "demote": _vote(Kind.DEMOTE),
    "promote": _vote(Kind.PROMOTE),
    "reinit": _repair(Kind.REINIT),
    "rejoin": _repair(Kind.REJOIN),
    "prefer": _prefer,
    "prefer_none": _prefer_none,
    "allow_move": _ask(Kind.ACK),
    "switchover": _ask(Kind.SWITCHOVER),
    "failover": _ask(Kind.FAILOVER),
    "forced_failover": _order("force_failover"),
    "force_single": _order("force_single"),
    "approve": _verdict("approve"),
    "approve_own": _verdict("approve", OPERATOR),
    "approve_other": _verdict("approve", COLLEAGUE, "another plan"),
    "decline": _verdict("decline"),
    "withdraw": _verdict("withdraw"),
    **{how: _tamper(how) for how in TAMPERING},
    "audit_full": _audit_disk(full=True),
    "audit_room": _audit_disk(full=False),
    "misconfigure": _misconfigure,
    "correct": _correct,
    "drain": _drain,
    "undrain": _undrain,
    "fence": _fence,
    "unfence": _unfence,
    "cancel": _at_database("cancel_waits"),
    "empty": _empty,
}
