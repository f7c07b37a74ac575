"""A moment as an operator writes it, counted from the clock of the daemon that is asked."""

import re
from datetime import datetime, timedelta
from typing import Final

from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode

LONGEST: Final = timedelta(days=365)
_CLOCK: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_SAID: Final = "2026-11-24T03:00Z, 2026-11-24 03:00 (in the zone of this terminal) or 03:00"


def moment(text: str, now: str) -> datetime:
    """The first moment after `now` (RFC 3339) that `text` means, with its zone.

    `text` is ISO 8601, or a time of day alone; without a zone it is one of this machine's.
    Raises CliError for what is neither, is over, or is more than a year away.
    """
    here = _read(now, now).astimezone()
    if _CLOCK.fullmatch(text):
        day = here.date().isoformat()
        found = _read(f"{day}T{text.rjust(8 if text.count(':') > 1 else 5, '0')}", text)
        if found <= here:
            found = _read_next_day(found)
    else:
        found = _read(text, text)
    if found <= here:
        raise _wrong(f"{text} is over: it is {here.isoformat(timespec='seconds')}")
    if found - here > LONGEST:
        raise _wrong(f"{text} is more than {LONGEST.days} days away")
    return found


def seconds_until(then: datetime, now: str) -> float:
    """How long it is from `now` (RFC 3339) until `then`."""
    return (then - _read(now, now)).total_seconds()


def _read(text: str, said: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(f"{said!r} is no time; write {_SAID}") from None
    return found if found.tzinfo is not None else found.astimezone()


def _read_next_day(found: datetime) -> datetime:
    """The same time of day tomorrow, by the zone's rules of tomorrow."""
    return (found.replace(tzinfo=None) + timedelta(days=1)).astimezone()


def _wrong(what: str) -> CliError:
    return CliError(ExitCode.USAGE, f"--at: {what}")
