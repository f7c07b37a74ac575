"""What the configurations of all sites have to say alike of a service, and who says otherwise.

With other voters or another durability a site would prove something else than the others mean.
Every site tells a fingerprint of its own; the one that agrees with no other does not take over.
"""

import hashlib
from collections.abc import Iterable
from functools import cache

from controller.core.model import Durability, SiteName
from controller.core.view import ServiceSpec, View


def fingerprint(
    durability: Durability,
    data_sites: Iterable[str],
    witnesses: Iterable[str],
    databases: Iterable[str],
) -> str:
    """The same for two configurations if, and only if, they prove the same."""
    return _hashed(
        durability, tuple(sorted(data_sites)), tuple(sorted(witnesses)), tuple(sorted(databases))
    )


def _hashed(durability: Durability, *names: tuple[str, ...]) -> str:
    text = "\n".join((durability.value, *(" ".join(found) for found in names)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def own_terms(spec: ServiceSpec) -> str:
    """This site's fingerprint."""
    return _own(spec.durability, spec.data_sites, spec.witnesses, spec.databases)


_own = cache(fingerprint)  # a configuration does not change while its daemon runs


def strangers(view: View) -> tuple[SiteName, ...]:
    """Sites that have told other terms a moment ago."""
    mine = own_terms(view.spec)
    return tuple(sorted(site for site, told in _told(view).items() if told != mine))


def agrees_with_nobody(view: View) -> bool:
    """Other sites tell their terms, and none the same as this site."""
    told = _told(view)
    return bool(told) and own_terms(view.spec) not in told.values()


def _told(view: View) -> dict[SiteName, str]:
    """By the other sites; a version that tells none is not among them."""
    fresh = view.spec.timings.report_fresh_s
    return {
        site: other.report.terms
        for site, other in view.others.items()
        if other.report is not None and other.report.terms and other.report_age_s <= fresh
    }
