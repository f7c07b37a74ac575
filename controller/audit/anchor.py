"""Heads of chains that somebody else keeps, as they stand in the store.

audit/<site>/head     the newest entry of the site's chain; only ever rises
"""

import json
import re
from dataclasses import dataclass
from typing import Final

from controller.audit.entry import FORMAT, Head, canonical
from controller.core.codec import BadField, Codec

PREFIX: Final = "audit/"
SEQ_MAX: Final = 2**48  # more entries than any site writes
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CODEC: Final = Codec({}, {})


class BadAnchor(ValueError):
    """A value that is no anchor; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """One entry of a chain, as `place` knows it."""

    site: str  # whose chain
    seq: int
    hash: str
    at: str = ""  # of the entry's site, for humans
    place: str = ""  # who has kept it; not stored

    @property
    def head(self) -> Head:
        """The chain that ended with it."""
        return Head(seq=self.seq, hash=self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    format: int = FORMAT
    site: str
    seq: int
    hash: str
    at: str = ""


def anchor_key(site: str) -> str:
    """Where the head of a site's chain is anchored."""
    return f"{PREFIX}{site}/head"


def encode_anchor(anchor: Anchor) -> bytes:
    """As stored."""
    stored = _Stored(site=anchor.site, seq=anchor.seq, hash=anchor.hash, at=anchor.at)
    return canonical(_CODEC.encode(stored))


def decode_anchor(site: str, value: bytes, place: str) -> Anchor:
    """The anchor of the site's chain. Raises BadAnchor, nothing else."""
    try:
        found = _CODEC.decode(_Stored, json.loads(value))
    except BadField as error:
        raise BadAnchor(f"{anchor_key(site)}: {error}") from None
    except (ValueError, RecursionError):
        raise BadAnchor(f"{anchor_key(site)}: it is not JSON") from None
    if found.format != FORMAT:
        raise BadAnchor(f"{anchor_key(site)}: it is in format {found.format}, not in {FORMAT}")
    if found.site != site or not 1 <= found.seq <= SEQ_MAX:
        raise BadAnchor(f"{anchor_key(site)}: it is of {found.site[:60]!r}, entry {found.seq}")
    if not _HASH.fullmatch(found.hash):
        raise BadAnchor(f"{anchor_key(site)}: {found.hash[:80]!r} is no hash")
    return Anchor(site=site, seq=found.seq, hash=found.hash, at=found.at, place=place)
