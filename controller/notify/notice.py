"""What is sent: format 1. Fields are only ever added; a reader ignores those it does not know."""

import json
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from controller.notify.event import Event, EventKind, Severity

FORMAT: Final = 1


class Notice(BaseModel):
    """The JSON that a webhook is posted and that a command reads from its standard input."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = FORMAT
    id: str = Field(description="the same at each attempt: fold repeats by it")
    event: EventKind
    severity: Severity
    cluster: str
    site: str = Field(description="who tells")
    service: str = Field(default="", description="empty for what is of no service")
    epoch: int = 0
    at: str = Field(description="when it was noticed, RFC 3339, UTC")
    title: str
    what: str = Field(description="one sentence")
    next_step: str
    facts: dict[str, str] = Field(default_factory=dict)
    text: str = Field(default="", description="the target's template, filled in")


def notice_of(event: Event, cluster: str, site: str) -> Notice:
    """`event` as `site` tells it, without a text."""
    return Notice(
        id=event.id,
        event=event.kind,
        severity=event.severity,
        cluster=cluster,
        site=site,
        service=event.service,
        epoch=event.epoch,
        at=event.at,
        title=event.title,
        what=event.what,
        next_step=event.next_step,
        facts=dict(event.facts),
    )


def notice_schema() -> str:
    """Its JSON schema, as kept in docs/api/notification.v1.json."""
    schema = Notice.model_json_schema(mode="serialization")
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
