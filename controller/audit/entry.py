"""One entry of the audit log, its bytes, and its place in the chain.

An entry is one line of canonical JSON: keys sorted, no spaces, ASCII, so that equal entries have
equal bytes and any other byte is a change. Its hash is

    SHA-256(domain, hash of the entry before, canonical JSON without `prev` and `hash`)

and the first entry comes after `GENESIS`. `seq` counts from 1 without a gap. A reader ignores
fields it does not know; they are hashed all the same. What is made otherwise has another `format`:
a reader that does not know it can say so, and must not take it for damage.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

from controller.core.codec import BadField, Codec

FORMAT: Final = 1
DOMAIN: Final = b"tricast audit 1\0"
GENESIS: Final = "0" * 64
LINE_BYTES_MAX: Final = 256 * 1024
TEXT_LENGTH_MAX: Final = 2000
FACTS_MAX: Final = 100

_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CODEC: Final = Codec({}, {})


class Event(StrEnum):
    """What an entry is about. A newer version may write others."""

    STARTED = "started"  # a daemon began, with this configuration
    CONFIGURED = "configured"  # it is not the configuration of the start before
    ASKED = "asked"  # an operator's request
    BROKE_GLASS = "broke_glass"  # one that was carried out past its policy
    APPROVED = "approved"
    DECLINED = "declined"  # a request or a standing order was ended by a person
    REFUSED = "refused"  # nothing was changed
    SETTLED = "settled"  # a request has come so far, or has lapsed, without a person
    PAUSED = "paused"  # by hand, in the store
    RESUMED = "resumed"
    RAISED = "raised"  # an epoch was seen for the first time
    MOVED = "moved"  # a role change is complete
    DAMAGED = "damaged"  # a break of a chain was found
    LOST = "lost"  # entries that could not be kept until there was room
    ROTATED = "rotated"  # a file was closed; the first entry of the one after it
    ARCHIVED = "archived"  # a closed file was moved away


class BadEntry(ValueError):
    """A line that is no entry; the message says why."""


class OtherFormat(BadEntry):
    """A line that another version wrote in a way that this one cannot verify."""

    def __init__(self, number: int, version: str = "") -> None:
        super().__init__(f"it is in {written_in(number, version)}, not in format {FORMAT}")
        self.number = number
        self.version = version  # "" where it does not tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What happened, before it has a place in a chain."""

    at: str  # UTC, RFC 3339, for humans
    event: str
    who: str = ""  # the account the kernel named; "" for a daemon itself
    verb: str = ""
    service: str = ""
    epoch: int = 0
    reason: str = ""
    outcome: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Note):
    """A note in its place."""

    format: int = FORMAT
    seq: int
    site: str
    prev: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a chain."""

    seq: int = 0
    hash: str = GENESIS


def sealed(note: Note, site: str, head: Head) -> Entry:
    """`note` as the entry after `head`."""
    body = asdict(_shortened(note)) | {"format": FORMAT, "seq": head.seq + 1, "site": site}
    return Entry(**body, prev=head.hash, hash=digest(body, head.hash))


def head_of(entry: Entry) -> Head:
    """The chain that ends with `entry`."""
    return Head(seq=entry.seq, hash=entry.hash)


def line_of(entry: Entry) -> bytes:
    """The line of `entry`, without its end."""
    return canonical(asdict(entry))


def read_line(line: bytes) -> Entry:
    """The entry that `line` is, whole and unchanged in itself. Raises BadEntry, nothing else."""
    if len(line) > LINE_BYTES_MAX:
        raise BadEntry(f"it has {len(line)} bytes, more than any entry")
    try:
        data = json.loads(line)
        if (other := other_format(data)) is not None:
            raise other
        same = canonical(data) == line
        entry = _CODEC.decode(Entry, data)
    except BadField as error:
        raise BadEntry(str(error)) from None
    except BadEntry:
        raise
    except (ValueError, RecursionError):
        raise BadEntry("it is not JSON") from None
    if not same:
        raise BadEntry("it is not written as entries are")
    if not _HASH.fullmatch(entry.prev) or entry.seq < 1:
        raise BadEntry("it has no place in a chain")
    body = {name: value for name, value in data.items() if name not in ("prev", "hash")}
    if digest(body, entry.prev) != entry.hash:
        raise BadEntry("its hash is not that of its text")
    return entry


def other_format(data: object) -> OtherFormat | None:
    """That it is in a format that is not known here; None where it tells none, or ours."""
    number = data.get("format") if isinstance(data, dict) else None
    if not isinstance(data, dict) or type(number) is not int or number == FORMAT:
        return None
    facts = data.get("facts")
    version = data.get("version") or (facts.get("version") if isinstance(facts, dict) else "")
    return OtherFormat(number, version[:40] if isinstance(version, str) else "")


def written_in(number: int, version: str) -> str:
    """How a format is called."""
    return f"format {number} of tricast {version}" if version else f"format {number}"


def canonical(data: object) -> bytes:
    """The only way to write `data`."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def digest(body: Mapping[str, object], prev: str) -> str:
    """The hash of an entry after one with hash `prev`."""
    return hashlib.sha256(DOMAIN + bytes.fromhex(prev) + canonical(body)).hexdigest()


def _shortened(note: Note) -> Note:
    facts = list(note.facts.items())[:FACTS_MAX]
    return Note(
        at=_cut(note.at),
        event=_cut(note.event),
        who=_cut(note.who),
        verb=_cut(note.verb),
        service=_cut(note.service),
        epoch=note.epoch,
        reason=_cut(note.reason),
        outcome=_cut(note.outcome),
        facts={_cut(name): _cut(value) for name, value in facts},
    )


def _cut(text: str) -> str:
    whole = str(text)
    return whole if len(whole) <= TEXT_LENGTH_MAX else whole[: TEXT_LENGTH_MAX - 3] + "..."
