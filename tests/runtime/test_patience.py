"""A turn waits no longer than its lease lasts."""

import pytest

from controller.core.model import Durability
from controller.core.view import View
from controller.runtime.patience import while_leased_s
from tests.core.turned import own, serving, spec


def leased(left_s: float) -> View:
    return own(spec(serving(), durability=Durability.LEASE), lease_left_s=left_s)


@pytest.mark.parametrize(
    ("seen", "left_s", "expected"),
    [
        (None, 0.1, 0.3),  # it has never looked
        (serving(), 0.1, 0.3),  # it rests on a quorum
        (leased(1.0), 0.5, 0.3),
        (leased(1.0), 0.1, 0.1),
        (leased(0.1), -0.2, 0.0),  # it ended while nobody looked
        (leased(0.0), -0.2, 0.3),  # that it ended is known: the store is asked again
    ],
)
def test_a_look_does_not_outlast_the_lease(
    seen: View | None, left_s: float, expected: float
) -> None:
    assert while_leased_s(0.3, seen, left_s) == expected
