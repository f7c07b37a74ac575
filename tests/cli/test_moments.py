"""A time that an operator writes, as the moment that is meant."""

import time
from collections.abc import Iterator

import pytest

from controller.cli.errors import CliError
from controller.cli.moments import moment, seconds_until

NOW = "2026-11-21T01:10:00.000Z"  # 02:10 in Berlin


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "found", "left_s"),
    [
        ("03:00", "2026-11-21T03:00:00+01:00", 3000),
        ("3:00", "2026-11-21T03:00:00+01:00", 3000),
        ("02:10:05", "2026-11-21T02:10:05+01:00", 5),
        ("02:10", "2026-11-22T02:10:00+01:00", 86_400),  # it is just that now
        ("01:00", "2026-11-22T01:00:00+01:00", 82_200),
        ("2026-11-21T01:10:30Z", "2026-11-21T01:10:30+00:00", 30),
        ("2026-11-21 03:10", "2026-11-21T03:10:00+01:00", 3600),
        ("2026-11-21T03:10+02:00", "2026-11-21T03:10:00+02:00", 0),
        ("20261122", "2026-11-22T00:00:00+01:00", 78_600),
    ],
)
def test_what_is_meant(text: str, found: str, left_s: float) -> None:
    if not left_s:
        with pytest.raises(CliError, match="is over: it is 2026-11-21T02:10:00"):
            moment(text, NOW)
        return
    then = moment(text, NOW)
    assert (then.isoformat(), seconds_until(then, NOW)) == (found, left_s)


def test_tomorrow_may_be_longer_or_shorter_than_today() -> None:
    """The clocks go forward in the night to 2027-03-28."""
    then = moment("03:30", "2027-03-27T03:00:00Z")
    assert then.isoformat() == "2027-03-28T03:30:00+02:00"
    assert seconds_until(then, "2027-03-27T03:00:00Z") == 22.5 * 3600


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is no time; write 2026-11-24T03:00Z"),
        ("25:00", "'25:00' is no time"),
        ("tomorrow", "'tomorrow' is no time"),
        ("03:00Z", "'03:00Z' is no time"),
        ("2026-11-20T01:00:00Z", "is over: it is"),
        ("2028-01-01T00:00Z", "is more than 365 days away"),
    ],
)
def test_what_means_nothing_is_said_to(text: str, why: str) -> None:
    with pytest.raises(CliError) as told:
        moment(text, NOW)
    assert why in str(told.value)
    assert str(told.value).startswith("--at: ")
