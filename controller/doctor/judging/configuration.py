"""Whether the sites agree on what they run."""

from collections.abc import Mapping, Sequence
from typing import Final

from controller.doctor.judging.row import Row, bad, ok, unknown, warn

CHECK: Final = "configuration"
SITES: Final = "sites"


def loaded(file: str, problems: Sequence[str], warnings: Sequence[str]) -> list[Row]:
    """The file can be used, or what is wrong with it."""
    mend = f"mend it, then: tricast config check {file}"
    rows = [bad(CHECK, file, problem, mend) for problem in problems]
    rows += [
        warn(CHECK, file, warning, "read what configs/tricast.yml says") for warning in warnings
    ]
    return rows or [ok(CHECK, file, "can be used, nothing to warn of")]


def terms(site: str, mine: Mapping[str, str], told: Mapping[str, str] | None) -> Row:
    """Every service of `site` has the terms it has here; `told` is None without a report."""
    if told is None:
        why = f"{site} has no report in etcd"
        return unknown(SITES, f"{site}: terms", why, f"at {site}: systemctl status tricast")
    silent = [service for service in mine if not told.get(service)]
    other = [service for service, found in mine.items() if (told.get(service) or found) != found]
    strange = sorted(told.keys() - mine.keys())
    same_file = "put the same file at every site, restart the daemon that had the wrong one"
    if other or strange:
        names = ", ".join([*other, *strange])
        said = f"other sites, databases or durability for {names} than in this file"
        return bad(SITES, f"{site}: terms", said, same_file)
    if silent:
        said = f"tells nothing of {', '.join(silent)}"
        return warn(SITES, f"{site}: terms", said, same_file)
    return ok(SITES, f"{site}: terms", f"the same as here for {', '.join(mine)}")


def version(site: str, mine: str, told: str | None) -> Row:
    """The daemon of `site` is of this version."""
    subject = f"{site}: version"
    if told is None:
        why = f"{site} has no report in etcd"
        return unknown(SITES, subject, why, f"at {site}: systemctl status tricast")
    if told != mine:
        seen = f"its daemon is {told}, this is {mine}"
        return warn(SITES, subject, seen, "upgrade one site after the other, and all of them")
    return ok(SITES, subject, told)
