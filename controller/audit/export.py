"""A chain in one file that needs nothing else: a first line with its head, then its lines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from controller.audit.anchor import Anchor
from controller.audit.chain import Verdict, verify
from controller.audit.entry import FORMAT, canonical
from controller.core.codec import BadField, Codec

KIND: Final = "tricast audit export"
_CODEC: Final = Codec({}, {})


class NoExport(ValueError):
    """A file that is no export; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line of an export."""

    format: int = FORMAT
    kind: str = KIND
    cluster: str
    site: str
    at: str
    seq: int
    hash: str
    anchors: tuple[Anchor, ...] = ()  # what was known elsewhere when it was made


def export(log: bytes, header: Header) -> bytes:
    """The file."""
    return canonical(_CODEC.encode(header)) + b"\n" + log


def read_export(data: bytes) -> tuple[Header, bytes]:
    """Its header and the log in it. Raises NoExport, nothing else."""
    first, _, log = data.partition(b"\n")
    try:
        header = _CODEC.decode(Header, json.loads(first))
    except BadField as error:
        raise NoExport(f"its first line is no header: {error}") from None
    except (ValueError, RecursionError):
        raise NoExport("its first line is no header: it is not JSON") from None
    if header.kind != KIND:
        raise NoExport(f"its first line is no header: its kind is {header.kind[:60]!r}")
    return header, log


def verify_export(data: bytes, more: Sequence[Anchor] = ()) -> tuple[Header, Verdict]:
    """What is wrong with an export; `more` are anchors from elsewhere. Raises NoExport."""
    header, log = read_export(data)
    anchors = [*header.anchors, *more]
    if header.seq:
        end = Anchor(site=header.site, seq=header.seq, hash=header.hash, place="its first line")
        anchors.append(end)
    return header, verify(log, header.site, anchors)
