"""Heads of every site's chain, as this node has kept them; and the one of this site in the store.

An anchor only rises. That somebody else's has fallen, or is another than it was, is told.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from controller.audit.anchor import (
    PREFIX,
    Anchor,
    BadAnchor,
    anchor_key,
    decode_anchor,
    encode_anchor,
)
from controller.audit.entry import Head
from controller.ports import Store
from controller.runtime.durable import replace_file

KEPT = 64  # of each site
STORE = "etcd"


@dataclass(slots=True)
class AnchorBook:
    """One small JSON file; replaced whole, by rename. Its methods block: for a thread."""

    path: Path
    place: str  # this node, as it names itself to others
    sites: dict[str, list[Anchor]] = field(default_factory=dict)
    dirty: bool = False

    def load(self) -> str:
        """What it held is known again. Says what is wrong with it; then it begins anew."""
        self.sites.clear()
        try:
            found = json.loads(self.path.read_text())
            for site, rows in found.items():
                for row in rows:
                    anchor = decode_anchor(site, json.dumps(row).encode(), self.place)
                    self.sites.setdefault(site, []).append(anchor)
        except FileNotFoundError:
            return ""
        except (BadAnchor, ValueError, AttributeError, TypeError, RecursionError) as error:
            self.sites.clear()
            self.path.replace(self.path.with_suffix(".damaged"))
            return f"{self.path} was damaged ({str(error)[:200]}) and begins anew"
        return ""

    def all(self) -> tuple[Anchor, ...]:
        """Everything that is kept."""
        return tuple(anchor for found in self.sites.values() for anchor in found)

    def take(self, anchor: Anchor) -> str:
        """It is kept, if it is newer than what is; says what contradicts it."""
        known = self.sites.setdefault(anchor.site, [])
        newest = max(known, key=lambda a: a.seq, default=None)
        if newest is None or anchor.seq > newest.seq:
            kept = Anchor(
                site=anchor.site, seq=anchor.seq, hash=anchor.hash, at=anchor.at, place=self.place
            )
            self.sites[anchor.site] = [*known, kept][-KEPT:]
            self.dirty = True
            return ""
        same = next((a for a in known if a.seq == anchor.seq), None)
        if same is not None and same.hash != anchor.hash:
            return (
                f"{anchor.place} has entry {anchor.seq} of {anchor.site} as {anchor.hash[:16]}, "
                f"{self.place} has it as {same.hash[:16]}"
            )
        if anchor.seq < newest.seq:
            return (
                f"{anchor.place} has entry {anchor.seq} as the last of {anchor.site}, "
                f"{self.place} has seen entry {newest.seq}"
            )
        return ""

    def save(self) -> None:
        """What is kept is kept durably. Raises OSError."""
        if not self.dirty:
            return
        rows = {
            site: [json.loads(encode_anchor(anchor)) for anchor in found]
            for site, found in self.sites.items()
        }
        replace_file(self.path, json.dumps(rows))
        self.dirty = False


@dataclass(slots=True, kw_only=True)
class StoreAnchors:
    """The anchors in the store."""

    store: Store
    prefix: str
    deadline_s: float

    async def read(self) -> tuple[tuple[Anchor, ...], tuple[str, ...]]:
        """Every site's, and what is wrong with some. Raises PortError."""
        snapshot = await self.store.read(f"{self.prefix}{PREFIX}", self.deadline_s)
        found: list[Anchor] = []
        problems: list[str] = []
        for key, entry in snapshot.entries.items():
            site = key.removeprefix(f"{self.prefix}{PREFIX}").removesuffix("/head")
            try:
                found.append(decode_anchor(site, entry.value, STORE))
            except BadAnchor as error:
                problems.append(str(error))
        return tuple(found), tuple(problems)

    async def raise_to(self, site: str, head: Head, at: str) -> Anchor | None:
        """The site's anchor is at `head`, unless it is at a later entry or at another one of that
        number: then what it is. Raises PortError.
        """
        key = f"{self.prefix}{anchor_key(site)}"
        while True:
            snapshot = await self.store.read(key, self.deadline_s)
            entry = snapshot.entries.get(key)
            known = None if entry is None else _readable(site, entry.value)
            if known is not None and known.seq >= head.seq:
                return None if known.head == head else known
            wanted = Anchor(site=site, seq=head.seq, hash=head.hash, at=at)
            before = 0 if entry is None else entry.revision
            done = await self.store.swap(key, encode_anchor(wanted), before, self.deadline_s)
            if done is not None:
                return None


def _readable(site: str, value: bytes) -> Anchor | None:
    """What cannot be read is no anchor and may be replaced."""
    try:
        return decode_anchor(site, value, STORE)
    except BadAnchor:
        return None
