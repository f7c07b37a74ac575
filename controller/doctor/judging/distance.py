"""How far the sites are apart, and which profile of timings fits."""

import math
from collections.abc import Sequence
from typing import Final

from controller.doctor.judging.row import Row, ok, unknown, warn

CHECK: Final = "distance"
LIMITS: Final = {"fast": 0.002, "metro": 0.020, "wan": math.inf}  # round trip, from the nearest on
FEW: Final = 10


def p99(samples: Sequence[float]) -> float:
    """The nearest rank: of fewer than a hundred samples the greatest."""
    ranked = sorted(samples)
    return ranked[math.ceil(0.99 * len(ranked)) - 1]


def fitting(p99_s: float) -> str:
    """The fastest profile for this round trip."""
    return next(name for name, limit in LIMITS.items() if p99_s <= limit)


def profile(site: str, samples: Sequence[float], chosen: str, why: str = "") -> Row:
    """The chosen profile is for sites as far apart as these; `why` samples are missing."""
    if len(samples) < FEW:
        seen = f"{len(samples)} round trips measured, {FEW} needed" + (f": {why}" if why else "")
        return unknown(CHECK, site, seen, f"let this node reach the API port of {site}")
    found = p99(samples)
    fits = fitting(found)
    seen = f"p99 round trip {found * 1000:.1f} ms of at most {_limit(chosen)} for profile {chosen}"
    if found > LIMITS[chosen]:
        return warn(CHECK, site, seen, f"set profile: {fits}, or find what delays {site}")
    more = "" if fits == chosen else f"; {fits} would fit"
    return ok(
        CHECK, site, f"profile {chosen} fits: {seen.removesuffix(f' for profile {chosen}')}{more}"
    )


def _limit(name: str) -> str:
    limit = LIMITS[name]
    return "any" if math.isinf(limit) else f"{limit * 1000:g} ms"
