"""What a heartbeat tells of the other sites: how long ago each gave which sign of life.

Ages are whole milliseconds. Those of the services' data paths are a list in the order of the
services' names, so that many services fit into one datagram; a fingerprint of the names keeps a
site with other services from reading them wrong.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Final, cast

from controller.core.heartbeat import PAYLOAD_BYTES_MAX
from controller.core.model import FOREVER_S, Seen, ServiceName, SiteName

NEVER: Final = -1
AGE_MS_MAX: Final = 9_999_999  # older than 2.7 hours is all the same

Sightings = Mapping[SiteName, Mapping[ServiceName, Seen]]


def tell(sightings: Sightings) -> dict[str, object]:
    """The payload that tells them; every site is seen for the same services."""
    names = sorted({service for seen in sightings.values() for service in seen})
    return {
        "of": _fingerprint(names),
        "seen": {site: _row(seen, names) for site, seen in sightings.items()},
    }


def fit(sites: Iterable[SiteName], services: Iterable[ServiceName]) -> bool:
    """Whether whatever is seen of `sites` for `services` can be told."""
    oldest = Seen(control_s=AGE_MS_MAX, front_s=AGE_MS_MAX, data_s=AGE_MS_MAX)
    worst = tell({site: dict.fromkeys(services, oldest) for site in sites})
    return len(json.dumps(worst, separators=(",", ":"))) <= PAYLOAD_BYTES_MAX


def _row(seen: Mapping[ServiceName, Seen], names: Iterable[ServiceName]) -> dict[str, object]:
    row: dict[str, object] = {"d": [_age(seen[name].data_s) for name in names]}
    for any_of_them in list(seen.values())[:1]:  # the same for every service
        row |= {"c": _age(any_of_them.control_s), "f": _age(any_of_them.front_s)}
    return row


def told(
    payload: Mapping[str, object],
    site: SiteName,
    service: ServiceName,
    services: Iterable[ServiceName],
) -> Seen:
    """What `payload` tells of `site` for `service`, one of `services`; never seen otherwise."""
    sites = payload.get("seen")
    row = sites.get(site) if isinstance(sites, dict) else None
    if not isinstance(row, dict):
        return Seen()
    return Seen(
        control_s=_seconds(row.get("c")),
        front_s=_seconds(row.get("f")),
        data_s=_seconds(_data(row.get("d"), payload.get("of"), service, services)),
    )


def _data(
    ages: object, fingerprint: object, service: ServiceName, services: Iterable[ServiceName]
) -> object:
    names = sorted(services)
    if not isinstance(ages, list) or len(ages) != len(names) or service not in names:
        return NEVER
    if fingerprint != _fingerprint(names):
        return NEVER
    return cast("list[object]", ages)[names.index(service)]


def _fingerprint(names: Iterable[ServiceName]) -> str:
    return f"{zlib.crc32(' '.join(names).encode()):08x}"


def _age(seconds: float) -> int:
    return NEVER if seconds == FOREVER_S else min(int(seconds * 1000), AGE_MS_MAX)


def _seconds(milliseconds: object) -> float:
    if type(milliseconds) is int and 0 <= milliseconds <= AGE_MS_MAX:
        return milliseconds / 1000
    return FOREVER_S
