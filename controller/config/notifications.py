"""Whom to tell what, and how."""

from enum import StrEnum
from pathlib import Path as FilePath
from typing import Annotated, Final

from pydantic import Field

from controller.config.problem import Path
from controller.config.record import Record
from controller.config.scalars import AbsolutePath, HttpUrl, Name, Seconds, http_url
from controller.config.secret import SecretError, read_secret
from controller.notify.event import EventKind, Severity
from controller.notify.template import BadTemplate, read_template

LAG_BYTES: Final = 16 * 1024 * 1024
TEMPLATE_BYTES_MAX: Final = 64 * 1024

Positive = Annotated[int, Field(ge=1, le=2**50)]


class Body(StrEnum):
    """What a target is sent."""

    JSON = "json"
    TEXT = "text"


class TargetConf(Record):
    """Somebody who is told: a web server, or a program on this node."""

    name: Name
    events: tuple[EventKind, ...] = ()
    services: tuple[str, ...] = ()
    min_severity: Severity = Severity.INFO
    template: AbsolutePath | None = None
    body: Body = Body.JSON
    url: HttpUrl | None = None
    url_file: AbsolutePath | None = None
    headers_file: AbsolutePath | None = None
    command: tuple[str, ...] = ()
    deadline_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 5.0


class NotificationsConf(Record):
    """What people are told without asking."""

    targets: tuple[TargetConf, ...] = ()
    lag_bytes: Positive = LAG_BYTES
    give_up_s: Seconds = 3600.0


def headers_problem(path: str) -> str | None:
    """What is wrong with the lines of a headers file; nothing of it is shown."""
    try:
        read_headers(path)
    except (SecretError, ValueError) as error:
        return str(error)
    return None


def read_headers(path: str) -> dict[str, str]:
    """Header by name, from lines `Name: value`. Raises SecretError, or ValueError with a line."""
    headers: dict[str, str] = {}
    for number, line in enumerate(read_secret(path, None).reveal().splitlines(), 1):
        name, colon, value = line.partition(":")
        token = name.replace("-", "").replace("_", "")
        if not line.strip():
            continue
        if not colon or not token.isalnum() or not token.isascii() or not value.strip():
            raise ValueError(f"line {number} is no header; write it like Authorization: Bearer ...")
        headers[name] = value.strip()
    return headers


def url_problem(path: str) -> str | None:
    """What is wrong with the URL in a file; nothing of it is shown."""
    try:
        http_url(read_secret(path, None).reveal())
    except (SecretError, ValueError) as error:
        return str(error)
    return None


def template_problem(path: str) -> str | None:
    """Why the template at `path` cannot be used."""
    try:
        raw = FilePath(path).read_bytes()
        if len(raw) > TEMPLATE_BYTES_MAX:
            return f"this template has more than {TEMPLATE_BYTES_MAX} bytes"
        read_template(raw.decode())
    except OSError as error:
        return f"this template cannot be used: {error.strerror}"
    except UnicodeDecodeError:
        return "this template is not UTF-8"
    except BadTemplate as error:
        return f"this template cannot be used: {error}"
    return None


def ways_given(target: TargetConf) -> list[str]:
    """Which of url, url_file and command are given."""
    ways = {"url": target.url, "url_file": target.url_file, "command": target.command}
    return [name for name, value in ways.items() if value]


def at_target(number: int, key: str) -> Path:
    """Where a key of a target stands."""
    return ("notifications", "targets", number, key)
