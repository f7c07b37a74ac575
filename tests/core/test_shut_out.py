"""A holder that waits for relief lets nobody write to the databases that still live."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.core.decide import decide
from controller.core.intents import Intent, SetGate
from controller.core.model import DatabaseName, Liveness
from controller.core.view import View
from tests.core.turned import other, own, serving, spec
from tests.core.views import DC1, LEDGER

JOURNAL, ARCHIVE = DatabaseName("journal"), DatabaseName("archive")


def fallen(*, for_s: float = 0.05) -> View:
    """Of three databases of the serving dc2 the first is down; dc1 could take over."""
    view = serving()
    (ledger,) = view.own.databases
    down = replace(ledger, liveness=Liveness.DOWN, writable=False, gate_open=False, followers=())
    rest = tuple(replace(ledger, name=name) for name in (JOURNAL, ARCHIVE))
    view = own(view, databases=(down, *rest), trouble_s={f"database:{LEDGER}": for_s})
    return spec(view, databases=(LEDGER, JOURNAL, ARCHIVE))


def unseen(view: View) -> View:
    first, *rest = view.own.databases
    late = replace(first, liveness=Liveness.UNKNOWN)
    trouble_s, commit_age_s = {f"database:{LEDGER}": 0.6}, {LEDGER: 5.0}
    return own(view, databases=(late, *rest), trouble_s=trouble_s, commit_age_s=commit_age_s)


def gates(view: View) -> list[Intent]:
    return [intent for intent in decide(view).intents if isinstance(intent, SetGate)]


def test_the_gates_of_the_living_are_closed_one_after_the_other() -> None:
    view = fallen()
    assert decide(view).rule == 305
    assert gates(view) == [SetGate(database=JOURNAL, opened=False)]
    assert gates(replace(view, busy=frozenset({"database:journal"}))) == [
        SetGate(database=ARCHIVE, opened=False)
    ]
    both = frozenset({"database:journal", "database:archive"})
    assert not gates(replace(view, busy=both))
    shut = tuple(replace(state, gate_open=False) for state in view.own.databases)
    assert not gates(own(view, databases=shut))


@pytest.mark.parametrize(
    ("turn", "rule"),
    [
        (lambda v: own(v, trouble_s={f"database:{LEDGER}": 0.04}), 305),  # one look said so
        (lambda v: own(v, trouble_s={"database:journal": 0.2}), 305),
        (unseen, 305),  # it may still acknowledge
        (lambda v: other(v, DC1, report_age_s=9.0), 311),  # nobody comes
    ],
)
def test_only_for_one_that_has_fallen_and_when_relief_is_near(
    turn: Callable[[View], View], rule: int
) -> None:
    view = turn(fallen())
    assert decide(view).rule == rule
    assert not [gate for gate in gates(view) if not gate.opened]  # type: ignore[union-attr]
