"""The lines spoken between a controller and the speaker: one JSON object each.

    > {"id": 7, "do": "announce", "sent_at": 812.25, "permit_s": 2.0,
       "wanted": {"wallet": {"stance": "preferred", "epoch": 3}}}
    < {"id": 7, "ok": true}
    > {"id": 8, "do": "observe"}
    < {"id": 8, "ok": true, "state": {"sessions": ..., "services": ..., ...}}
    < {"id": 7, "ok": false, "error": "wallet: epoch 3 is below 4"}

`sent_at` is an instant of the host's boot-time clock, which both ends share. The shape above is
folded for reading; on the socket it is one line.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bgp.permit import Wish
from bgp.policy import Stance

MAX_LINE: Final = 1024 * 1024
MAX_PERMIT_S: Final = 3600.0
MAX_EPOCH: Final = 2**53  # what every reader of JSON holds exactly


class BadMessage(ValueError):
    """A line that is not part of this conversation; the message says what is wrong with it."""

    def __init__(self, why: str, number: int = 0) -> None:
        super().__init__(why)
        self.number = number  # of the message, where it could be read


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceRequest:
    """The whole wanted set."""

    number: int
    wanted: Mapping[str, Wish]
    permit_s: float
    sent_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveRequest:
    """Asks what is announced."""

    number: int


Request = AnnounceRequest | ObserveRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the speaker says for one service."""

    stance: Stance
    epoch: int
    confirmed: bool  # seen leaving to every session that is up, and one is
    more_specifics: tuple[str, ...] = ()  # seen leaving to a session that is up, and not taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The speaker as it describes itself."""

    sessions: Mapping[str, bool]
    services: Mapping[str, Said]
    permit_left_s: float
    problems: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to one request; `error` is empty when it was done."""

    number: int
    error: str = ""
    state: Observation | None = None


def encode_request(request: Request) -> bytes:
    """One line."""
    if isinstance(request, ObserveRequest):
        return _line({"id": request.number, "do": "observe"})
    wanted = {
        name: {"stance": str(wish.stance), "epoch": wish.epoch}
        for name, wish in request.wanted.items()
    }
    return _line(
        {
            "id": request.number,
            "do": "announce",
            "sent_at": request.sent_at,
            "permit_s": request.permit_s,
            "wanted": wanted,
        }
    )


def parse_request(line: bytes) -> Request:
    """The inverse of `encode_request`, believing nothing."""
    top = _object(_load(line), "the message", 0)
    number = top.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < MAX_EPOCH:
        raise BadMessage(f"id is not a number: {str(number)[:40]}")
    keys = {"announce": {"id", "do", "sent_at", "permit_s", "wanted"}, "observe": {"id", "do"}}
    verb = top.get("do")
    if not isinstance(verb, str) or verb not in keys:
        raise BadMessage(f"do is neither announce nor observe: {str(verb)[:40]!r}", number)
    strange = sorted(set(top) ^ keys[verb])
    if strange:
        raise BadMessage(f"{verb}: {strange[0][:40]!r} is missing or not known", number)
    if verb == "observe":
        return ObserveRequest(number=number)
    permit_s = _real(top["permit_s"], "permit_s", number)
    if not 0 < permit_s <= MAX_PERMIT_S:
        raise BadMessage(f"permit_s {permit_s} is not above 0 and at most {MAX_PERMIT_S}", number)
    return AnnounceRequest(
        number=number,
        sent_at=_real(top["sent_at"], "sent_at", number),
        permit_s=permit_s,
        wanted={
            name: _wish(name, value, number)
            for name, value in _object(top["wanted"], "wanted", number).items()
        },
    )


def encode_reply(reply: Reply) -> bytes:
    """One line."""
    plain: dict[str, object] = {"id": reply.number, "ok": not reply.error}
    if reply.error:
        plain["error"] = reply.error
    state = reply.state
    if state is not None:
        plain["state"] = {
            "sessions": dict(state.sessions),
            "services": {
                name: {
                    "stance": str(said.stance),
                    "epoch": said.epoch,
                    "confirmed": said.confirmed,
                    "more_specifics": list(said.more_specifics),
                }
                for name, said in state.services.items()
            },
            "permit_left_s": round(state.permit_left_s, 3),
            "problems": list(state.problems),
            "counters": dict(state.counters),
        }
    return _line(plain)


def parse_reply(line: bytes) -> Reply:
    """The inverse of `encode_reply`."""
    top = _object(_load(line), "the reply", 0)
    try:
        state = top.get("state")
        return Reply(
            number=int(str(top["id"])),
            error="" if top["ok"] else str(top["error"]),
            state=None if state is None else _observation(_object(state, "state", 0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadMessage(f"the reply cannot be read: {type(error).__name__} {error}") from None


def _observation(state: dict[str, object]) -> Observation:
    problems = state["problems"]
    if not isinstance(problems, list):
        raise TypeError("problems is not a list")
    services = {}
    for name, value in _object(state["services"], "services", 0).items():
        said = _object(value, name, 0)
        wish = _wish(name, {k: said[k] for k in ("stance", "epoch")}, 0)
        halves = said.get("more_specifics", ())  # an older speaker has none
        if not isinstance(halves, list | tuple):
            raise TypeError("more_specifics is not a list")
        services[name] = Said(
            stance=wish.stance,
            epoch=wish.epoch,
            confirmed=said["confirmed"] is True,
            more_specifics=tuple(str(prefix) for prefix in halves),
        )
    return Observation(
        sessions={
            address: up is True for address, up in _object(state["sessions"], "sessions", 0).items()
        },
        services=services,
        permit_left_s=_real(state["permit_left_s"], "permit_left_s", 0),
        problems=tuple(str(problem) for problem in problems),
        counters={
            name: int(str(count))
            for name, count in _object(state["counters"], "counters", 0).items()
        },
    )


def _wish(name: str, value: object, number: int) -> Wish:
    item = _object(value, name[:40], number)
    if set(item) != {"stance", "epoch"}:
        raise BadMessage(f"{name[:40]}: wants stance and epoch, nothing else", number)
    stance, epoch = item["stance"], item["epoch"]
    if not isinstance(stance, str) or stance not in set(Stance):
        raise BadMessage(f"{name[:40]}: no such stance: {str(stance)[:40]!r}", number)
    if not isinstance(epoch, int) or isinstance(epoch, bool) or not 0 <= epoch < MAX_EPOCH:
        raise BadMessage(f"{name[:40]}: not an epoch: {str(epoch)[:40]}", number)
    return Wish(Stance(stance), epoch)


def _load(line: bytes) -> object:
    if len(line) > MAX_LINE:
        raise BadMessage(f"a line of {len(line)} bytes is longer than {MAX_LINE}")
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"not JSON: {error}") from None


def _object(value: object, what: str, number: int) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadMessage(f"{what} is not an object", number)
    return value


def _real(value: object, what: str, number: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadMessage(f"{what} is not a number: {str(value)[:40]}", number)
    try:
        real = float(value)
    except OverflowError:
        real = math.inf
    if not math.isfinite(real):
        raise BadMessage(f"{what} is not finite", number)
    return real


def _line(plain: dict[str, object]) -> bytes:
    return json.dumps(plain, separators=(",", ":")).encode("ascii") + b"\n"
