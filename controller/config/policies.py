"""Four eyes: who may ask for what, who else has to agree, and who may go ahead without."""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from controller.config.record import Record
from controller.config.scalars import Name, Seconds
from controller.core.requests import EXPIRES_S, Kind

UNIX: Final = "%"  # before the name of a Unix group, as in sudoers
_MEMBER: Final = re.compile(r"%?[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")


class Verb(StrEnum):
    """What a policy can be about: every verb that changes something."""

    SWITCHOVER = "switchover"
    FAILOVER = "failover"
    FORCE_SINGLE = "force-single"
    PAUSE = "pause"
    RESUME = "resume"
    ACK = "ack"
    DRAIN = "drain"
    UNDRAIN = "undrain"
    FENCE = "fence"
    UNFENCE = "unfence"
    WEIGHTS = "weights"
    REJOIN = "rejoin"
    REINIT = "reinit"
    DEMOTE = "demote-voter"
    PROMOTE = "promote-voter"


OF_A_SITE: Final = frozenset({Verb.DRAIN, Verb.UNDRAIN, Verb.FENCE, Verb.UNFENCE})


def _member(text: str) -> str:
    if not _MEMBER.fullmatch(text):
        raise ValueError(
            "must be a person (the account on the nodes, which is also the common name of the "
            "certificate), or %NAME for a Unix group of the nodes"
        )
    return text


Member = Annotated[str, AfterValidator(_member)]


class PolicyConf(Record):
    """What has to be true before a verb is carried out."""

    approvals: int = Field(default=0, ge=0, le=9)
    groups: tuple[Name, ...] = ()
    proposers: tuple[Name, ...] = ()
    expires_s: Seconds | None = None
    break_glass: bool = False
    break_glass_groups: tuple[Name, ...] = ()


class RequestsConf(Record):
    """What operators may ask for, and who else has to agree."""

    approvals: dict[Kind, int] = Field(default_factory=dict)
    expires_s: Seconds = EXPIRES_S
    groups: dict[Name, tuple[Member, ...]] = Field(default_factory=dict)
    policies: dict[Verb, PolicyConf] = Field(default_factory=dict)
