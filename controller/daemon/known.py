"""What the loops of this site have seen last, as far as somebody who asks relies on it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from controller.core.model import EpochRecord, ServiceName, SiteName
from controller.core.requests import Request
from controller.core.view import View
from controller.daemon.refusals import BUSY, WRONG
from controller.web.source import NotAsked

_HELD: Final = re.compile(r"(\S+) is held by \S+ in epoch ([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Each loop's newest view. Everything raises NotAsked."""

    data_sites: tuple[SiteName, ...]
    views: Callable[[], Mapping[ServiceName, View | None]]

    def all(self) -> tuple[View, ...]:
        """The views of all services."""
        return tuple(self.service(name)[0] for name in self.views())

    def service(self, name: str) -> tuple[View, EpochRecord]:
        """The view and record of one service; of the only one when "" is asked for."""
        known = self.views()
        names = ", ".join(known)
        found = [view for each, view in known.items() if name in ("", each)]
        if not found:
            raise NotAsked(WRONG, f"there is no service {name!r}; there are {names}")
        if len(found) > 1:
            raise NotAsked(WRONG, f"which service? --service one of {names}")
        view = found[0]
        if view is None or view.record is None:
            raise NotAsked(BUSY, "the epoch record has not been read here yet")
        return view, view.record

    def data_site(self, name: str) -> None:
        """`name` is one."""
        if name not in self.data_sites:
            raise NotAsked(
                WRONG, f"{name!r} is no data site; there are {', '.join(self.data_sites)}"
            )

    def holders(self) -> str:
        """Who holds what: the world in which a whole site is asked about."""
        found = {view.spec.name: view.record for view in self.all()}
        return ", ".join(
            f"{name} is held by {record.holder} in epoch {record.epoch}"
            for name, record in sorted(found.items())
            if record is not None
        )

    def changed(self, request: Request) -> str:
        """What has changed since `request` was made, so that no approval of it counts; or "".

        What this site has seen may be older than the request: only a later epoch is a change.
        """
        if request.service is None:
            was = request.holder
            now = self.holders() if was else ""
            before, after = _epochs(was), _epochs(now)
            later = any(after.get(name, 0) > epoch for name, epoch in before.items())
            return f"it was asked for while {was}; now {now}" if later else ""
        _, record = self.service(request.service)
        if record.epoch <= request.epoch:
            return ""
        return (
            f"{record.holder} raised epoch {record.epoch} meanwhile: {record.reason}; it was asked "
            f"for while {request.holder} held {request.service} in epoch {request.epoch}"
        )


def _epochs(holders: str) -> dict[str, int]:
    return {found[1]: int(found[2]) for found in _HELD.finditer(holders)}
