"""Heartbeats between sites: which datagrams are made, and which are believed.

Believed is only a datagram that (1) carries our cluster's seal (HMAC-SHA256 under a shared key),
(2) was made for us by a site we know, (3) *proves that its sender heard us lately*, by echoing our
own boot and one of the last numbers we sent it, and (4) has a higher number than all before it of
its boot. A captured datagram therefore never counts twice, nor after we or its sender restarted,
nor once the echo in it is old. No clock is needed for this, and a link that works in one direction
only counts as silence once the echoes are old.

A sender that restarted proves itself within two exchanges: each datagram echoes every boot of its
destination heard of late, so the first answer lets the restarted site believe us, and its next
datagram lets us believe it. A boot that was replaced by a later one is never believed again.

    magic 4 | seal 16 | JSON: c cluster, s sender, r receiver, b boot, n number, e echoes, p payload
"""

import hmac
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, cast

from controller.core.model import SiteName

MAGIC: Final = b"trc1"
SEAL_BYTES: Final = 16
DATAGRAM_BYTES_MAX: Final = 1200
PAYLOAD_BYTES_MAX: Final = 768  # leaves room for the longest names and three echoes
NAME_LENGTH_MAX: Final = 63
BOOT_LENGTH_MAX: Final = 16
ECHO_WINDOW: Final = 64  # numbers, 6.4 s at ten a second
ECHOES_MAX: Final = 3
RETIRED_BOOTS_MAX: Final = 64
KEY_LENGTH_MIN: Final = 32
_HEADER_BYTES: Final = len(MAGIC) + SEAL_BYTES
_JSON: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class DropReason(StrEnum):
    """Why a datagram was not believed."""

    OVERSIZED = "oversized"
    TRUNCATED = "truncated"
    FOREIGN = "foreign"  # not in our format at all
    FORGED = "forged"  # no key of ours sealed it
    MALFORMED = "malformed"  # sealed, but not a heartbeat of this version
    WRONG_CLUSTER = "wrong cluster"
    UNKNOWN_SENDER = "unknown sender"
    WRONG_RECEIVER = "wrong receiver"
    OLD_BOOT = "old boot"
    UNPROVEN = "unproven"  # its sender has not shown that it heard us lately
    REPLAYED = "replayed"  # its number did not rise


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A datagram that counts as a sign of life."""

    sender: SiteName
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A datagram that was not believed. `sender` is set when it was at least sealed by us."""

    reason: DropReason
    sender: SiteName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """The sealed content of a datagram."""

    cluster: str
    sender: str
    receiver: str
    boot: str
    number: int
    echoes: Mapping[str, int]  # boot of the receiver -> highest number heard of it
    payload: Mapping[str, object]


class PayloadTooLargeError(ValueError):
    """A payload that does not fit a datagram."""


def seal(content: bytes, key: bytes) -> bytes:
    """What proves that a holder of `key` wrote `content`."""
    return hmac.digest(key, MAGIC + content, "sha256")[:SEAL_BYTES]


def encode(datagram: Datagram, key: bytes) -> bytes:
    """`datagram` as sent, sealed under `key`."""
    content = _JSON.encode(
        {
            "c": datagram.cluster,
            "s": datagram.sender,
            "r": datagram.receiver,
            "b": datagram.boot,
            "n": datagram.number,
            "e": dict(datagram.echoes),
            "p": dict(datagram.payload),
        }
    ).encode()
    if len(content) > DATAGRAM_BYTES_MAX - _HEADER_BYTES:
        raise PayloadTooLargeError(f"a heartbeat of {len(content)} bytes does not fit a datagram")
    return MAGIC + seal(content, key) + content


def decode(data: bytes, keys: Sequence[bytes]) -> Datagram | DropReason:
    """The datagram in `data` if one of `keys` sealed it, else why not. Never raises."""
    if len(data) > DATAGRAM_BYTES_MAX:
        return DropReason.OVERSIZED
    if len(data) <= _HEADER_BYTES:
        return DropReason.TRUNCATED
    if not data.startswith(MAGIC):
        return DropReason.FOREIGN
    found, content = data[len(MAGIC) : _HEADER_BYTES], data[_HEADER_BYTES:]
    if not any(hmac.compare_digest(found, seal(content, key)) for key in keys):
        return DropReason.FORGED
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return DropReason.MALFORMED
    return _datagram(fields) or DropReason.MALFORMED


def _datagram(fields: object) -> Datagram | None:
    if not isinstance(fields, dict):
        return None
    texts = [fields.get(name) for name in ("c", "s", "r", "b")]
    number, echoes, payload = fields.get("n"), fields.get("e"), fields.get("p")
    if not all(isinstance(text, str) and text for text in texts) or not _counts(number):
        return None
    if not isinstance(echoes, dict) or not isinstance(payload, dict):
        return None
    if len(echoes) > ECHOES_MAX or not all(_counts(heard) for heard in echoes.values()):
        return None
    cluster, sender, receiver, boot = cast("list[str]", texts)
    if len(boot) > BOOT_LENGTH_MAX:
        return None
    return Datagram(
        cluster=cluster,
        sender=sender,
        receiver=receiver,
        boot=boot,
        number=cast("int", number),
        echoes=echoes,
        payload=payload,
    )


def _counts(value: object) -> bool:
    return type(value) is int and 0 < value < 2**63


@dataclass(slots=True, kw_only=True)
class _Neighbor:
    """What is remembered of one other site."""

    sent: int = 0  # number of the last datagram made for it
    boot: str | None = None  # the boot believed; None for none yet
    heard: dict[str, int] = field(default_factory=dict)  # highest number of boots heard of late,
    # newest last; the one believed is always among them
    retired: deque[str] = field(default_factory=lambda: deque(maxlen=RETIRED_BOOTS_MAX))


class Exchange:
    """One site's end of the exchange with all others. Not thread-safe, no clock, no socket."""

    def __init__(  # what makes two ends agree, given once
        self,
        *,
        cluster: str,
        site: SiteName,
        others: frozenset[SiteName],
        boot: str,
        keys: Sequence[bytes],
        echo_window: int = ECHO_WINDOW,
    ) -> None:
        names = (cluster, site, *others)
        if not all(name.isascii() and 0 < len(name) <= NAME_LENGTH_MAX for name in names):
            raise ValueError(f"names are 1 to {NAME_LENGTH_MAX} ASCII characters: {names}")
        if site in others or not 0 < len(boot) <= BOOT_LENGTH_MAX or not keys:
            raise ValueError("a site has a boot and a key, and is not its own neighbor")
        self._cluster = cluster
        self._site = site
        self._boot = boot
        self._keys = tuple(keys)
        self._echo_window = echo_window
        self._neighbors = {other: _Neighbor() for other in others}

    def make(self, receiver: SiteName, payload: Mapping[str, object]) -> bytes:
        """The next datagram for `receiver`, good for it only and once only."""
        neighbor = self._neighbors[receiver]
        neighbor.sent += 1
        datagram = Datagram(
            cluster=self._cluster,
            sender=self._site,
            receiver=receiver,
            boot=self._boot,
            number=neighbor.sent,
            echoes=neighbor.heard,
            payload=payload,
        )
        return encode(datagram, self._keys[0])

    def receive(self, data: bytes) -> Accepted | Dropped:
        """Whether `data` is a sign of life. Never raises."""
        datagram = decode(data, self._keys)
        if isinstance(datagram, DropReason):
            return Dropped(reason=datagram)
        if datagram.cluster != self._cluster:
            return Dropped(reason=DropReason.WRONG_CLUSTER)
        sender = SiteName(datagram.sender)
        neighbor = self._neighbors.get(sender)
        if neighbor is None:
            return Dropped(reason=DropReason.UNKNOWN_SENDER)
        if datagram.receiver != self._site:
            return Dropped(reason=DropReason.WRONG_RECEIVER, sender=sender)
        reason = self._judge(neighbor, datagram)
        if reason is not None:
            return Dropped(reason=reason, sender=sender)
        return Accepted(sender=sender, payload=datagram.payload)

    def _judge(self, neighbor: _Neighbor, datagram: Datagram) -> DropReason | None:
        if datagram.boot in neighbor.retired:
            return DropReason.OLD_BOOT
        # An unproven datagram raises this too: the same one is never looked at twice.
        if datagram.number <= neighbor.heard.get(datagram.boot, 0):
            return DropReason.REPLAYED
        _remember(neighbor, datagram)
        echoed = datagram.echoes.get(self._boot, 0)
        if not max(0, neighbor.sent - self._echo_window) < echoed <= neighbor.sent:
            return DropReason.UNPROVEN
        if datagram.boot != neighbor.boot:
            if neighbor.boot is not None:
                neighbor.retired.append(neighbor.boot)
                neighbor.heard.pop(neighbor.boot, None)
            neighbor.boot = datagram.boot
        return None


def _remember(neighbor: _Neighbor, datagram: Datagram) -> None:
    """The boot is echoed from now on; of boots not believed only the newest are kept."""
    neighbor.heard.pop(datagram.boot, None)
    neighbor.heard[datagram.boot] = datagram.number
    for boot in list(neighbor.heard):
        if len(neighbor.heard) > ECHOES_MAX and boot != neighbor.boot:
            del neighbor.heard[boot]


def parse_keys(text: str) -> tuple[bytes, ...]:
    """The keys in a key file: one per line, the first one seals, all are accepted.

    To change the key without a gap: add the new one below everywhere, then move it to the top
    everywhere, then remove the old one.
    """
    lines = [line.strip() for line in text.splitlines()]
    keys = tuple(line.encode() for line in lines if line and not line.startswith("#"))
    if not keys or any(len(key) < KEY_LENGTH_MIN for key in keys):
        raise ValueError(f"a heartbeat key has at least {KEY_LENGTH_MIN} characters on one line")
    return keys


def validate_payload(payload: Mapping[str, object]) -> None:
    """Raises if `payload` does not fit every datagram we may have to make."""
    size = len(_JSON.encode(dict(payload)))
    if size > PAYLOAD_BYTES_MAX:
        raise PayloadTooLargeError(
            f"a heartbeat payload of {size} bytes is above the limit of {PAYLOAD_BYTES_MAX}"
        )
