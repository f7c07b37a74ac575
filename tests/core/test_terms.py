"""Sites whose configurations would prove different things are told apart, and the odd one stays."""

from dataclasses import replace

import pytest

from controller.core import outlook, terms, troubles
from controller.core.model import DatabaseName, Durability, SiteName
from controller.core.view import View
from tests.core.turned import other, report, serving, spec
from tests.core.views import DC1, DC2, LEDGER, WITNESS, dc2_view

MINE = terms.own_terms(dc2_view().spec)
JOURNAL = DatabaseName("journal")


def told(dc1: str, witness: str) -> View:
    """What the two others tell to dc2."""
    return report(report(serving(), DC1, terms=dc1), WITNESS, terms=witness)


@pytest.mark.parametrize(
    "changes",
    [
        {"durability": Durability.LEASE},
        {"databases": (LEDGER, JOURNAL)},
        {"databases": ()},
        {"witnesses": ()},
        {"witnesses": (WITNESS, SiteName("w2"))},
        {"data_sites": (DC1, DC2, WITNESS), "witnesses": ()},
    ],
)
def test_whatever_is_proved_differently_is_told_apart(changes: dict[str, object]) -> None:
    assert terms.own_terms(spec(dc2_view(), **changes).spec) != MINE


def test_order_and_what_each_site_may_choose_are_no_difference() -> None:
    turned = spec(dc2_view(), data_sites=(DC2, DC1), initial_holder=DC2, min_healthy=2)
    assert terms.own_terms(turned.spec) == MINE
    assert len(MINE) == 12
    both = spec(dc2_view(), databases=(LEDGER, JOURNAL)).spec
    assert terms.own_terms(both) == terms.own_terms(replace(both, databases=(JOURNAL, LEDGER)))
    more = (WITNESS, SiteName("w2"))
    three = spec(dc2_view(), witnesses=more).spec
    assert terms.own_terms(three) == terms.own_terms(replace(three, witnesses=more[::-1]))


def test_strangers_are_told_by_name() -> None:
    view = told("x", "x")
    turned = replace(view, others=dict(list(view.others.items())[::-1]))
    assert terms.strangers(turned) == terms.strangers(view) == (DC1, WITNESS)


@pytest.mark.parametrize(
    ("view", "strangers", "odd"),
    [
        (told(MINE, MINE), (), False),
        (told("", ""), (), False),  # a version that tells none
        (told("x", MINE), (DC1,), False),
        (told(MINE, "x"), (WITNESS,), False),
        (told("x", ""), (DC1,), True),
        (told("x", "x"), (DC1, WITNESS), True),
        (told("x", "y"), (DC1, WITNESS), True),
        (other(told("x", "x"), DC1, report=None), (WITNESS,), True),
        (other(told("x", ""), DC1, report_age_s=5.0), (DC1,), True),
        (other(told("x", ""), DC1, report_age_s=5.1), (), False),
    ],
)
def test_who_agrees_with_nobody_does_not_take_over(
    view: View, strangers: tuple[SiteName, ...], odd: bool
) -> None:
    assert terms.strangers(view) == strangers
    assert terms.agrees_with_nobody(view) is odd
    reason = (
        "the configuration here agrees with that of no other site: "
        "sites, databases or durability of the service differ",
    )
    assert troubles.ineligible_reasons(view) == (reason if odd else ())


def test_everybody_says_whose_configuration_is_another_one() -> None:
    assert outlook.warnings(report(serving(), DC1, terms="x")) == (
        "the configuration of dc1 is not that of dc2: sites, databases or durability of the "
        "service differ; compare the files (tricast config check), and restart the daemon that is "
        "wrong",
    )
