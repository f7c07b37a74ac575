"""What every verb of the host agent is given, may raise, and may lean on.

A verb module holds `VERBS`, a dictionary from verb to function. A verb answers with a flat
dictionary of strings. It raises `Refused` when it will not (nothing was changed), `Failed` when it
tried and could not.
"""

import fcntl
import json
import os
import pwd
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

SECONDS_MAX = 3600.0
_WHOLE = re.compile(r"[0-9]{1,18}")
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{0,6})?")
DEFAULT_SETTINGS = "/etc/tricast/hostagent.json"


class AgentError(Exception):
    """The verb was not carried out; the message is a sentence for an operator."""


class Refused(AgentError):
    """The agent will not do it; nothing was changed."""


class Failed(AgentError):
    """The agent tried and could not."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call: the verb, its arguments, and the settings of this host."""

    verb: str
    args: Mapping[str, str]
    settings: Mapping[str, object] = field(default_factory=dict)

    def need(self, name: str) -> str:
        """The argument called `name`, which must be there."""
        value = self.args.get(name, "")
        if not value:
            raise Refused(f"{self.verb} needs {name}=...")
        return value

    def number(self, name: str) -> int:
        """The argument called `name`, which must be a whole number."""
        value = self.need(name)
        if not _WHOLE.fullmatch(value):
            raise Refused(f"{self.verb} needs {name}= with a whole number, not {value[:60]!r}")
        return int(value)

    def seconds(self, name: str, default: float) -> float:
        """The argument called `name`, or else `default`: not more than an hour."""
        value = self.args.get(name, "")
        if value and not _SECONDS.fullmatch(value):
            raise Refused(f"{self.verb} needs {name}= in seconds, not {value[:60]!r}")
        return min(float(value), SECONDS_MAX) if value else default

    def section(self, group: str, name: str) -> dict[str, object]:
        """The settings under `group` for the database called `name`."""
        known = self.settings.get(group)
        if not isinstance(known, dict) or name not in known:
            names = ", ".join(sorted(known)) if isinstance(known, dict) else ""
            raise Refused(f"no {name!r} under {group!r} here; known: {names or 'none'}")
        found = known[name]
        if not isinstance(found, dict):
            raise Refused(f"{group}.{name} in the settings is not an object")
        return found

    def refuse_outdated(self, name: str, newest: int) -> None:
        """`epoch`, in whose name this is asked, is not older than `newest`, which is known here.

        Refused otherwise: who held the service before closes nothing of who holds it now.
        """
        if self.number("epoch") < newest:
            raise Refused(
                f"{name} knows epoch {newest}: who asks for {self.verb} in the name of epoch"
                f" {self.number('epoch')} does not hold the service any more"
            )

    def database(self) -> dict[str, object]:
        """The settings of the database this call is about."""
        return self.section("databases", self.need("database"))


Verb: TypeAlias = Callable[[Request], dict[str, str]]


def load_settings() -> dict[str, object]:
    """The settings of this host; TRICAST_HOSTAGENT names another file."""
    path = Path(os.environ.get("TRICAST_HOSTAGENT", DEFAULT_SETTINGS))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise Refused(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Refused(f"{path} does not hold an object")
    return found


@dataclass(frozen=True, slots=True)
class Account:
    """The user a server runs as."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """`path` belongs to this account (when we may say so)."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)


def account(name: str) -> Account:
    """The account called `name`; our own when it is empty."""
    try:
        entry = pwd.getpwnam(name) if name else pwd.getpwuid(os.geteuid())
    except KeyError:
        raise Refused(f"no user {name!r} on this host") from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def run(
    argv: Sequence[str],
    who: Account,
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """The finished program, run as `who` with both outputs read; never raises on its exit code."""
    switch = os.geteuid() == 0 and who.uid != 0
    try:
        return subprocess.run(
            list(argv),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            cwd="/",
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
            user=who.uid if switch else None,
            group=who.gid if switch else None,
            extra_groups=[] if switch else None,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{argv[0]} did not end within {timeout_s:g} s") from None
    except OSError as error:
        raise Failed(f"cannot run {argv[0]}: {error.strerror}") from None


def write_file(path: Path, text: str, who: Account, mode: int = 0o600) -> None:
    """`path` holds `text`, durably, and belongs to `who`; a crash leaves the old or the new."""
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.chmod(mode)
    who.own(fresh)
    fresh.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """The names in `path` are durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def only_one(path: Path, what: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Inside, no other call of the agent works on the same thing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + wait_s
    with path.open("a", encoding="utf-8") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= end:
                    raise Refused(f"another call of the agent is working on {what}") from None
                time.sleep(0.01)
        yield
