"""haproxy and BGP at this site."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from controller.doctor.judging.row import Row, bad, ok, unknown, warn

HAPROXY: Final = "haproxy"
BGP: Final = "bgp"
TESTED_FROM: Final = (2, 6)
_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\b.*", re.DOTALL)


def haproxy_silent(socket: str, why: str) -> Row:
    """The runtime socket cannot be used."""
    mend = "systemctl status haproxy; the socket needs `level admin` and our group"
    return bad(HAPROXY, socket, why, mend)


def haproxy_version(told: str) -> Row:
    """It is one that has been tested."""
    found = _VERSION.fullmatch(told)
    if found is None:
        return unknown(HAPROXY, "version", f"{told!r} is no version", "haproxy -v")
    if (int(found[1]), int(found[2])) < TESTED_FROM:
        return warn(HAPROXY, "version", f"{told} is older than what is tested", "run 2.6 or newer")
    return ok(HAPROXY, "version", told)


def backend(
    name: str, wanted: Sequence[str], found: Sequence[str] | None, *, gated: bool
) -> list[Row]:
    """It is there with exactly the servers of the configuration, and has a gate."""
    subject = f"backend {name}"
    mend = "compare haproxy.cfg with services[].apps; then: systemctl reload haproxy"
    if found is None:
        return [bad(HAPROXY, subject, "haproxy has no such backend", mend)]
    missing, strange = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    rows = []
    if missing:
        rows.append(bad(HAPROXY, subject, f"lacks the server {', '.join(missing)}", mend))
    if strange:
        seen = f"has {', '.join(strange)}, which the configuration does not name"
        rows.append(warn(HAPROXY, subject, seen, mend))
    if not gated:
        seen = f"no gate tricast_hold/{name}: in a switchover requests fail instead of waiting"
        step = "lua-load hold.lua and a backend tricast_hold, as in configs/haproxy.cfg"
        rows.append(warn(HAPROXY, subject, seen, step))
    seen = f"{', '.join(sorted(wanted)) or 'no server'}; its gate stands"
    return rows or [ok(HAPROXY, subject, seen)]


def shed(name: str, *, known: bool, gated: bool) -> list[Row]:
    """A low-priority backend is there, and can be switched off."""
    subject = f"backend {name}"
    rows = []
    if not known:
        step = "add it as in configs/haproxy.cfg, or take it out of services[].shed"
        rows.append(warn(HAPROXY, subject, "haproxy has no such backend to switch off", step))
    if not gated:
        seen = f"no gate tricast_shed/{name}: it cannot be switched off"
        step = "add that server and the rule that denies, as in configs/haproxy.cfg"
        rows.append(warn(HAPROXY, subject, seen, step))
    return rows or [ok(HAPROXY, subject, "can be switched off under strain")]


def speaker_silent(socket: str, why: str) -> Row:
    """The speaker does not answer."""
    return bad(BGP, socket, why, "systemctl status exabgp; it starts the speaker")


def sessions(wanted: Sequence[str], found: Mapping[str, bool]) -> list[Row]:
    """Each neighbor of the configuration has a session, and it is up."""
    any_up = any(found.get(address, False) for address in wanted)
    mend = "the provider, the password, or ExaBGP's log: journalctl -u exabgp"
    rows = []
    for address in wanted:
        subject = f"neighbor {address}"
        if address not in found:
            step = "write exabgp.conf anew (tricast render) and restart ExaBGP"
            rows.append(bad(BGP, subject, "the speaker does not know it", step))
        elif found[address]:
            rows.append(ok(BGP, subject, "established"))
        else:
            rows.append((warn if any_up else bad)(BGP, subject, "the session is down", mend))
    return rows


def permit(left_s: float, problems: Sequence[str]) -> list[Row]:
    """The controller renews the routes' permit, and the speaker complains of nothing."""
    rows = [warn(BGP, "speaker", problem, "journalctl -u exabgp") for problem in problems]
    if left_s <= 0:
        seen = "nobody renews the permit: the routes are, or turn, isolated"
        rows.append(bad(BGP, "permit", seen, "systemctl status tricast"))
    else:
        rows.append(ok(BGP, "permit", f"{left_s:.1f} s left"))
    return rows
