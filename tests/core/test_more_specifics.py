"""While more-specifics draw traffic to the holder: when it may enter elsewhere again."""

from dataclasses import replace

import pytest

from bgp.policy import Stance
from controller.core import guards, outlook, wants
from controller.core.model import Epoch
from controller.core.view import View
from tests.core.test_guards import third
from tests.core.turned import other, own, record, report, serving, spec
from tests.core.views import DC1, DC2, WITNESS

HALVES = ("198.51.100.0/25", "198.51.100.128/25")


def overriding(**changes: object) -> View:
    """dc2 took over and halves may go with it; dc1 has left, is well, and is heard by all."""
    view = spec(own(serving(), stance=Stance.OVERRIDE), more_specifics=HALVES)
    return report(view, DC1, **changes) if changes else view


@pytest.mark.parametrize(
    ("view", "stance"),
    [
        (overriding(), Stance.PREFERRED),
        (overriding(healthy=False), Stance.OVERRIDE),
        (overriding(sessions_down=1), Stance.OVERRIDE),  # that provider may keep an old route
        (overriding(stance=Stance.PREFERRED), Stance.OVERRIDE),
        (other(overriding(), DC1, report_age_s=60.0), Stance.OVERRIDE),
        (third(overriding()), Stance.PREFERRED),
        (third(overriding(sessions_down=1)), Stance.OVERRIDE),
        (spec(overriding(healthy=False), more_specifics=()), Stance.PREFERRED),
        (spec(overriding(sessions_down=1), more_specifics=()), Stance.PREFERRED),
        # Once said, `preferred` stays: nothing is announced anew for a site that fell ill since.
        (own(overriding(healthy=False), stance=Stance.PREFERRED), Stance.PREFERRED),
        (record(overriding(healthy=False), kind="bootstrap"), Stance.PREFERRED),
    ],
)
def test_they_are_not_taken_back_while_an_old_route_may_lead_astray(
    view: View, stance: Stance
) -> None:
    assert wants.attracting_stance(view) is stance


def test_a_site_that_has_never_told_anything_serves_nobody() -> None:
    assert not guards.entrances_serve(other(overriding(), DC1, report=None))
    assert guards.entrances_serve(other(spec(overriding(), more_specifics=()), DC1, report=None))


def test_that_not_even_they_were_taken_is_told() -> None:
    view = replace(overriding(), record_unchanged_s=60.0, changed_s=0.0)
    view = report(own(view, more_specifics=HALVES), WITNESS, lands_at=DC1)
    assert (
        f"requests from witness enter at dc1, though {DC2} announces override and more-specifics:"
        " a provider keeps an old route"
    ) in outlook.warnings(view)


def test_who_lost_the_epoch_wants_no_stance_that_has_them() -> None:
    assert wants.takeover_routes(own(overriding(), promised=Epoch(1))) is Stance.BACKUP
