"""Files of this node: secrets, promises, room, the audit log, certificates."""

from collections.abc import Mapping, Sequence
from typing import Final

from controller.doctor.judging.row import Row, bad, ok, unknown, warn

FILES: Final = "files"
AUDIT: Final = "audit"
CERTIFICATES: Final = "certificates"
FREE_WARN: Final = 0.20
FREE_BAD: Final = 0.10
DAY_S: Final = 86_400.0
EXPIRES_WARN_D: Final = 30
EXPIRES_BAD_D: Final = 7


def secrets(problems: Sequence[str]) -> list[Row]:
    """Every secret of this site is there, and closed to others."""
    rows = [
        bad(FILES, "secrets", problem, "mend the file; see SECURITY.md") for problem in problems
    ]
    return rows or [ok(FILES, "secrets", "all are there, and closed to others")]


def promises(
    path: str, found: Mapping[str, int] | None, problem: str, *, writable: bool
) -> list[Row]:
    """They can be read, and new ones be written; `found` is None where the file is not there."""
    rows = []
    if problem:
        rows.append(bad(FILES, path, problem, "docs/runbook.md; never start without it"))
    elif found is None:
        seen = "not there: no daemon has promised anything here, or the file was removed"
        step = "if this site ever voted: put the highest epoch of each service into it first"
        rows.append(warn(FILES, path, seen, step))
    else:
        told = ", ".join(f"{service} {epoch}" for service, epoch in sorted(found.items()))
        rows.append(ok(FILES, path, f"promised: {told or 'nothing yet'}"))
    if not writable:
        folder = path.rpartition("/")[0]
        seen = "this account cannot write here: no promise can be made"
        rows.append(bad(FILES, folder, seen, "run as the daemon's account; is the disk read-only?"))
    return rows


def room(path: str, free: float | None, why: str = "") -> Row:
    """Part of the disk under `path` that is free; None where it cannot be told."""
    if free is None:
        return bad(FILES, path, why, "make the directory, owned by the daemon's account")
    seen = f"{free:.0%} of the disk free"
    if free < FREE_BAD:
        return bad(FILES, path, seen, "free or enlarge it: a full disk stops votes")
    if free < FREE_WARN:
        return warn(FILES, path, seen, "free or enlarge it before it is below 10 %")
    return ok(FILES, path, seen)


def audit(path: str, entries: int, breaks: Sequence[str], compared: Sequence[str]) -> list[Row]:
    """The chain is whole, and agrees with the anchors that were found."""
    step = "docs/runbook.md, the audit log is broken; tricast audit verify"
    if breaks:
        return [bad(AUDIT, path, found, step) for found in breaks]
    if not compared:
        seen = f"{entries} entries are whole; no anchor was found to compare with"
        return [warn(AUDIT, path, seen, "is etcd reached? tricast audit verify")]
    return [ok(AUDIT, path, f"{entries} entries are whole; compared with {', '.join(compared)}")]


def audit_of_another(path: str, first: int, called: str) -> Row:
    """Only the version that wrote it can tell whether it is whole."""
    seen = f"from entry {first} on it is written in {called}, which this version cannot verify"
    return unknown(AUDIT, path, seen, "verify it with the tricast that wrote it")


def audit_missing(path: str, why: str) -> Row:
    """There is no log to be read."""
    return unknown(AUDIT, path, why, "run as the daemon's account; has a daemon ever run here?")


def certificate(path: str, name: str, left_s: float) -> Row:
    """It will still be good when the incident comes."""
    days = int(left_s // DAY_S)
    if left_s <= 0:
        return bad(CERTIFICATES, path, f"{name}: has expired", "replace it now")
    seen = f"{name}: {days} days left"
    if left_s < EXPIRES_BAD_D * DAY_S:
        return bad(CERTIFICATES, path, seen, "replace it now")
    if left_s < EXPIRES_WARN_D * DAY_S:
        return warn(CERTIFICATES, path, seen, "replace it")
    return ok(CERTIFICATES, path, seen)


def certificate_unread(path: str, why: str) -> Row:
    """It cannot be read, so nothing that needs it works."""
    return bad(CERTIFICATES, path, why, "put the certificate there, readable by the daemon")


def pair(certificate: str, key: str, problem: str) -> list[Row]:
    """A certificate and its key belong together; a row only where they do not."""
    step = "put both in place as they were made; the daemon goes on with the former pair meanwhile"
    return [bad(CERTIFICATES, key, f"not with {certificate}: {problem}", step)] if problem else []


def key(path: str, problem: str) -> list[Row]:
    """The key is there, for the daemon alone; a row only where it is not."""
    step = f"put it there, owned by the daemon's account: chmod 0600 {path}"
    return [bad(CERTIFICATES, path, problem, step)] if problem else []


def revoked(path: str, count: int, left_s: float | None) -> Row:
    """The list of revoked certificates is good; `left_s` is None where it never ends."""
    seen = f"{count} certificates are revoked"
    if left_s is None:
        return ok(CERTIFICATES, path, f"{seen}; the list is good for ever")
    if left_s <= 0:
        step = "make a new one; nobody is let in over mutual TLS until then"
        return bad(CERTIFICATES, path, f"{seen}; the list is out of date", step)
    told = f"{seen}; the list is good for {int(left_s // DAY_S)} days"
    if left_s < DAY_S:
        return warn(CERTIFICATES, path, told, "make a new one; one that is too old lets nobody in")
    return ok(CERTIFICATES, path, told)


def revoked_unread(path: str, why: str) -> Row:
    """It cannot be relied on, so nobody is let in over mutual TLS."""
    return bad(CERTIFICATES, path, why, "mend it; nobody is let in over mutual TLS until then")
