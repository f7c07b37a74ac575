"""What was refused, failed, or is not known, as the API tells it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from controller.core.requests import NotAllowed
from controller.ports import PortError, TimedOut
from controller.web.source import NotAsked

WRONG, FORBIDDEN, REFUSED, UNKNOWN, BUSY = 400, 403, 409, 504, 503
NO_MAJORITY: Final = (
    "without the store's majority nothing can be asked of the cluster; what serves, serves on. "
    "If no majority will come back: tricast force-single SITE, at the site that is to serve alone"
)


@contextmanager
def refusals_told() -> Iterator[None]:
    """Every refusal within is a NotAsked."""
    try:
        yield
    except NotAllowed as error:
        raise NotAsked(REFUSED, str(error)) from None
    except TimedOut as error:
        raise NotAsked(
            UNKNOWN, f"{error}: whether it stands is not known; see tricast requests"
        ) from None
    except PortError as error:
        raise NotAsked(BUSY, f"{error}. {NO_MAJORITY}") from None
