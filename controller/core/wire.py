"""Keys and values of everything we write to the store.

A record is one JSON object with `format: 1`. A reader of this format ignores fields it does not
know and gives fields it misses their defaults, so two neighboring versions read each other. What
is not such a record raises `BadRecord`, which names key and field; nothing else is ever raised.
Large records are deflated; the store refuses values above 1.5 MiB, so we refuse earlier.

    services/<service>/epoch      who owns the service; changed only by compare-and-swap
    sites/<site>                  what a site says of itself; under a lease
    history/<service>/<epoch>     a finished role change
    requests/<service>/<number>   what an operator asks (controller/core/requests.py)
    requests/sites/<site>         that a site be drained
    fences/<site>                 that a site be kept out
    weights/requests/...          in which order the sites of a service go, as requests
"""

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar, cast

from controller.core.codec import BadField, Codec, decode_integer, decode_text
from controller.core.model import (
    DatabaseName,
    Epoch,
    EpochRecord,
    Report,
    ServiceName,
    SiteName,
)
from controller.core.position import Position, compare
from controller.core.requests import Kind, Request

FORMAT: Final = 1
EPOCH_MAX: Final = 2**32 - 1  # an epoch is also a timeline of PostgreSQL
STORED_BYTES_MAX: Final = 1024 * 1024
UNPACKED_BYTES_MAX: Final = 8 * 1024 * 1024
DEFLATED_ABOVE_BYTES: Final = 64 * 1024
SENTENCE_LENGTH_MAX: Final = 1000

SERVICES: Final = "services/"
SITES: Final = "sites/"
HISTORY: Final = "history/"
REQUESTS: Final = "requests/"
DRAINS: Final = "requests/sites/"
FENCES: Final = "fences/"
WEIGHTS: Final = "weights/"  # requests stand below it as they do beside it

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
_EPOCH_KEY: Final = re.compile(r"services/([^/]+)/epoch")
_REQUEST_KEY: Final = re.compile(r"requests/([^/]+)/([1-9][0-9]{0,9})")
_CHANGE_KEY: Final = re.compile(r"history/([^/]+)/([1-9][0-9]{0,9})")

T = TypeVar("T")


class BadRecord(ValueError):
    """A value in the store that is not the record its key promises."""

    def __init__(self, key: str, name: str, problem: str) -> None:
        super().__init__(f"{key}: {name}: {problem}")
        self.key = key
        self.field = name
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStep:
    """One rung of a finished role change."""

    name: str
    database: str = ""
    began_s: float = 0.0  # since the change began
    took_s: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A finished role change: who, why, by which rule, on what evidence, and how long it took."""

    service: ServiceName
    epoch: Epoch
    previous_holder: str  # "" for none
    holder: SiteName
    kind: str  # as in EpochRecord
    reason: str
    rule: int
    asked_by: str
    began_at: str  # RFC 3339, for humans
    took_s: float
    outcome: str = "ok"
    evidence: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[ChangeStep, ...] = ()


def epoch_key(service: ServiceName) -> str:
    """Where the owner of `service` is recorded."""
    return f"{SERVICES}{service}/epoch"


def report_key(site: SiteName) -> str:
    """Where `site` reports."""
    return f"{SITES}{site}"


def change_key(service: ServiceName, epoch: Epoch) -> str:
    """Where the role change that made `epoch` is recorded."""
    return f"{HISTORY}{service}/{epoch}"


def request_key(service: ServiceName, number: int) -> str:
    """Where the request `number` for `service` stands."""
    return f"{REQUESTS}{service}/{number}"


def drain_key(site: SiteName) -> str:
    """Where the standing order to drain `site` stands."""
    return f"{DRAINS}{site}"


def fence_key(site: SiteName) -> str:
    """Where the standing order to keep `site` out stands."""
    return f"{FENCES}{site}"


def service_of_epoch_key(key: str) -> ServiceName | None:
    """The service whose owner `key` records; None for any other key."""
    found = _EPOCH_KEY.fullmatch(key)
    return ServiceName(found[1]) if found and _NAME.fullmatch(found[1]) else None


def change_of_key(key: str) -> tuple[ServiceName, Epoch] | None:
    """The service and epoch whose change `key` records; None for any other key."""
    found = _CHANGE_KEY.fullmatch(key)
    if not found or not _NAME.fullmatch(found[1]) or int(found[2]) > EPOCH_MAX:
        return None
    return ServiceName(found[1]), Epoch(int(found[2]))


def encode_epoch(record: EpochRecord) -> bytes:
    """`record` as stored; its revision belongs to the store and is left out."""
    values = _CODEC.encode(replace(record, reason=_clipped(record.reason)))
    del values["revision"]
    return _packed("epoch record", values)


def decode_epoch(key: str, value: bytes, revision: int) -> EpochRecord:
    """The owner recorded at `key`, which the store wrote at `revision`."""
    record = _decoded(EpochRecord, key, value)
    if not record.epoch:
        raise BadRecord(key, "epoch", "an owned epoch is at least 1")
    return replace(record, revision=revision)


def encode_report(report: Report) -> bytes:
    """`report` as stored."""
    return _packed("report", _CODEC.encode(report))


def decode_report(key: str, value: bytes) -> Report:
    """The report at `key`, seen to be of the site that the key names."""
    report = _decoded(Report, key, value)
    if report_key(report.site) != key:
        raise BadRecord(key, "site", f"{report.site!r} reports under another site's key")
    return report


def encode_change(change: Change) -> bytes:
    """`change` as stored."""
    return _packed("history record", _CODEC.encode(replace(change, reason=_clipped(change.reason))))


def decode_change(key: str, value: bytes) -> Change:
    """The role change at `key`, seen to be the one that the key names."""
    change = _decoded(Change, key, value)
    if change_key(change.service, change.epoch) != key:
        raise BadRecord(key, "epoch", f"records {change.service} epoch {change.epoch} instead")
    return change


def encode_request(request: Request) -> bytes:
    """`request` as stored."""
    clipped = replace(
        request,
        reason=_clipped(request.reason),
        statement=_clipped(request.statement),
        state_why=_clipped(request.state_why),
    )
    return _packed("request", _CODEC.encode(clipped))


def decode_request(key: str, value: bytes) -> Request:
    """The request at `key`, seen to be the one that the key names."""
    request = _decoded(Request, key, value)
    if key_of_request(request) != key:
        raise BadRecord(key, "number", f"{key_of_request(request)} stands under another key")
    return request


def key_of_request(request: Request) -> str:
    """Where `request` stands."""
    if request.service is None:
        key = fence_key if request.kind is Kind.FENCE else drain_key
        return key(SiteName(request.target))
    return request_key(request.service, request.number)


def is_request_key(key: str) -> bool:
    """Whether an operator's request, a drain or a fence stands there."""
    for orders in (DRAINS, FENCES):
        if key.startswith(orders):
            return _NAME.fullmatch(key.removeprefix(orders)) is not None
    found = _REQUEST_KEY.fullmatch(key)
    return found is not None and _NAME.fullmatch(found[1]) is not None


def _clipped(sentence: str) -> str:
    """A takeover never fails because somebody had much to say."""
    if len(sentence) <= SENTENCE_LENGTH_MAX:
        return sentence
    return sentence[: SENTENCE_LENGTH_MAX - 3] + "..."


def _packed(what: str, values: dict[str, object]) -> bytes:
    text = json.dumps({"format": FORMAT, **values}, separators=(",", ":"), allow_nan=False)
    unpacked = text.encode()
    value = unpacked if len(unpacked) <= DEFLATED_ABOVE_BYTES else zlib.compress(unpacked, 1)
    if len(unpacked) > UNPACKED_BYTES_MAX or len(value) > STORED_BYTES_MAX:
        raise BadRecord(what, "record", f"{len(unpacked)} bytes are more than a record may have")
    return value


def _decoded(kind: type[T], key: str, value: bytes) -> T:
    try:
        data = _unpacked(key, value)
        version = data.get("format")
        if version != FORMAT or isinstance(version, bool):
            raise BadField("format", f"{version!r} is not understood; this version reads {FORMAT}")
        return _CODEC.decode(kind, data)
    except BadField as error:
        raise BadRecord(key, error.path, error.problem) from None


def _unpacked(key: str, value: bytes) -> dict[str, object]:
    if len(value) > STORED_BYTES_MAX:
        raise BadRecord(key, "record", f"{len(value)} bytes are more than a record may have")
    if value[:1] == b"x":  # the first byte of a zlib stream; JSON objects start with a brace
        value = _inflated(key, value)
    try:
        data = json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRecord(key, "record", f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise BadRecord(key, "record", "not a JSON object")
    return cast("dict[str, object]", data)


def _inflated(key: str, value: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(value, UNPACKED_BYTES_MAX)
    except zlib.error as error:
        raise BadRecord(key, "record", f"cannot be inflated: {error}") from None
    if not stream.eof:
        raise BadRecord(key, "record", "is cut short, or inflates to more than a record may have")
    return unpacked


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _decode_name(data: object, path: str) -> str:
    text = decode_text(data, path)
    if not _NAME.fullmatch(text):
        raise BadField(path, f"{text[:60]!r} is not a name")
    return text


def _decode_epoch(data: object, path: str) -> int:
    number = decode_integer(data, path)
    if number > EPOCH_MAX:
        raise BadField(path, f"{number} is above the highest epoch, {EPOCH_MAX}")
    return number


def _check_position(value: object) -> None:
    """A position that was read can be compared; else the deciding code would stumble over it."""
    position = cast("Position", value)
    if not position.text.isascii() or position.epoch > EPOCH_MAX:
        raise ValueError(f"not a position: {str(position)[:60]!r}")
    compare(position, position)


_CODEC: Final = Codec(
    special={
        SiteName: _decode_name,
        ServiceName: _decode_name,
        DatabaseName: _decode_name,
        Epoch: _decode_epoch,
    },
    checks={Position: _check_position},
)
