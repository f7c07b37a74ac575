"""What somebody does to an audit log that is not theirs: the log afterwards, and which entry."""

import json
from collections.abc import Callable, Mapping
from typing import Final

from controller.audit.entry import canonical

Tampered = tuple[bytes, int]


def cut(log: bytes) -> Tampered:
    """The last two entries are gone."""
    lines = log.splitlines(keepends=True)
    return b"".join(lines[:-2]), _seq(lines[-2])


def edit(log: bytes) -> Tampered:
    """An entry in the middle gives another reason."""
    lines = log.splitlines(keepends=True)
    middle = len(lines) // 2
    told = json.loads(lines[middle]) | {"reason": "nothing to see here"}
    return b"".join([*lines[:middle], canonical(told) + b"\n", *lines[middle + 1 :]]), told["seq"]


def delete(log: bytes) -> Tampered:
    """An entry in the middle is gone."""
    lines = log.splitlines(keepends=True)
    middle = (len(lines) - 1) // 2
    return b"".join(lines[:middle] + lines[middle + 1 :]), _seq(lines[middle])


def reorder(log: bytes) -> Tampered:
    """Two entries in the middle have changed places."""
    lines = log.splitlines(keepends=True)
    middle = (len(lines) - 1) // 2
    swapped = [lines[middle + 1], lines[middle]]
    return b"".join([*lines[:middle], *swapped, *lines[middle + 2 :]]), _seq(lines[middle])


def _seq(line: bytes) -> int:
    return int(json.loads(line)["seq"])


TAMPERING: Final[Mapping[str, Callable[[bytes], Tampered]]] = {
    "audit_cut": cut,
    "audit_edit": edit,
    "audit_delete": delete,
    "audit_reorder": reorder,
}


def restored(before: bytes, now: bytes) -> bytes:
    """As if nobody had touched it: what it was, and what was added since."""
    last = _seq(before.splitlines()[-1])
    fresh = [line for line in now.splitlines(keepends=True) if seq_of(line) > last]
    return before + b"".join(fresh)


def seq_of(line: bytes) -> int:
    """The number of the entry; 0 when it is none."""
    try:
        return _seq(line)
    except (ValueError, KeyError, TypeError):
        return 0
