"""A chain in one file that needs nothing else: a first line with its head, then its lines."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from controller.audit.anchor import Anchor
from controller.audit.chain import Verdict, lines_of, verify_lines
from controller.audit.entry import FORMAT, GENESIS, Head, canonical, other_format, written_in
from controller.core.codec import BadField, Codec

KIND: Final = "tricast audit export"
_CODEC: Final = Codec({}, {})
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class NoExport(ValueError):
    """A file that is no export; the message says why."""


class OtherExport(NoExport):
    """An export that another version made in a way that this one does not know."""

    def __init__(self, number: int, version: str) -> None:
        self.called = written_in(number, version)
        super().__init__(f"it is in {self.called}, not in format {FORMAT}")


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
    after_seq: int = 0  # the entry before the first one that was asked for
    after_hash: str = GENESIS
    version: str = ""  # of the tricast that made it

    @property
    def after(self) -> Head:
        """What the first entry comes after."""
        return Head(seq=self.after_seq, hash=self.after_hash)

    @property
    def known(self) -> tuple[Anchor, ...]:
        """The anchors that it names, and the end that it had."""
        end = Anchor(site=self.site, seq=self.seq, hash=self.hash, place="its first line")
        return (*self.anchors, end) if self.seq else self.anchors


def export(log: bytes, header: Header) -> bytes:
    """The file."""
    return header_line(header) + log


def header_line(header: Header, size: int = 0) -> bytes:
    """The first line of the file, filled up to `size` bytes."""
    return canonical(_CODEC.encode(header)).ljust(max(0, size - 1)) + b"\n"


def read_export(data: bytes) -> tuple[Header, bytes]:
    """Its header and the log in it. Raises NoExport, nothing else."""
    first, _, log = data.partition(b"\n")
    return read_header(first), log


def read_header(first: bytes) -> Header:
    """The header that the first line is. Raises NoExport, nothing else."""
    try:
        data = json.loads(first)
        other = other_format(data)
        if other is not None and data.get("kind") == KIND:
            raise OtherExport(other.number, other.version)
        header = _CODEC.decode(Header, data)
    except NoExport:
        raise
    except BadField as error:
        raise NoExport(f"its first line is no header: {error}") from None
    except (ValueError, RecursionError):
        raise NoExport("its first line is no header: it is not JSON") from None
    if header.kind != KIND:
        raise NoExport(f"its first line is no header: its kind is {header.kind[:60]!r}")
    if header.after_seq < 0 or not _HASH.fullmatch(header.after_hash):
        raise NoExport("its first line is no header: it says no entry to come after")
    return header


def verify_export(data: bytes, more: Sequence[Anchor] = ()) -> tuple[Header, Verdict]:
    """What is wrong with an export; `more` are anchors from elsewhere. Raises NoExport."""
    header, log = read_export(data)
    return header, verify_exported(lines_of([log]), header, more)


def verify_exported(lines: Iterable[bytes], header: Header, more: Sequence[Anchor] = ()) -> Verdict:
    """What is wrong with the lines that come after `header`."""
    return verify_lines(lines, header.site, (*header.known, *more), header.after)
