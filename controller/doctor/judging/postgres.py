"""PostgreSQL: what the guarantee leans on, beyond what its adapter already calls a problem."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.doctor.judging.row import Row, bad, ok, unknown, warn

CHECK: Final = "databases"
RETRY_MS_MAX: Final = 200
_RESTART: Final = "set it in the server's own file, restart through the host agent"
_RELOAD: Final = "set it in the server's own file, then: select pg_reload_conf()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, what it must be, and what hurts otherwise."""

    name: str
    good: Callable[[str], bool]
    wanted: str
    hurts: str
    mend: str
    severe: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What the controller's own account may."""

    superuser: bool
    writes_canary: bool | None  # None: there is no table tricast.canary


def _at_least(least: int) -> Callable[[str], bool]:
    return lambda value: value.isdigit() and int(value) >= least


SETTINGS: Final = (
    Setting(
        name="wal_level",
        good=lambda value: value in {"replica", "logical"},
        wanted="replica",
        hurts="nobody can follow",
        mend=_RESTART,
    ),
    Setting(
        name="hot_standby",
        good=lambda value: value == "on",
        wanted="on",
        hurts="a standby cannot be looked at, so cannot be promoted",
        mend=_RESTART,
    ),
    Setting(
        name="max_wal_senders",
        good=_at_least(5),
        wanted="at least 5",
        hurts="two voters, a quarantined copy and a rewind do not all get in",
        mend=_RESTART,
    ),
    Setting(
        name="max_replication_slots",
        good=_at_least(3),
        wanted="at least 3",
        hurts="a voter that was away does not find what it missed",
        mend=_RESTART,
    ),
    Setting(
        name="wal_retrieve_retry_interval",  # pg_settings tells it in ms
        good=lambda value: value.isdigit() and int(value) <= RETRY_MS_MAX,
        wanted="100 ms",
        hurts="a promotion right after a crash may stand still that long",
        mend=_RELOAD,
        severe=False,
    ),
)
NAMES: Final = tuple(setting.name for setting in SETTINGS)


def settings(where: str, found: Mapping[str, str]) -> list[Row]:
    """Each setting that is not as it must be."""
    rows = []
    for setting in SETTINGS:
        value = found.get(setting.name)
        if value is None:
            seen = f"{setting.name} is not told by this server"
            rows.append(unknown(CHECK, where, seen, "may the account read pg_settings?"))
        elif not setting.good(value):
            seen = f"{setting.name} is {value}, must be {setting.wanted}: {setting.hurts}"
            rows.append((bad if setting.severe else warn)(CHECK, where, seen, setting.mend))
    return rows


def standby_names(where: str, found: str, wanted: str) -> list[Row]:
    """Commits wait for one of exactly the other voters."""
    if _plain(found) == _plain(wanted):
        return []
    seen = f"synchronous_standby_names is {found!r}, must be {wanted!r}"
    return [bad(CHECK, where, seen, "put it right in the server's own file; never ALTER SYSTEM")]


def login(where: str, user: str, seen: Login) -> list[Row]:
    """The controller's account may do what a role change needs."""
    rows = []
    if not seen.superuser:
        said = f"{user} is no superuser: promoting, the gate's files and pg_wal need one"
        rows.append(bad(CHECK, where, said, f"alter role {user} superuser"))
    if seen.writes_canary is not True:
        said = "tricast.canary " + ("is missing" if seen.writes_canary is None else "is read-only")
        mend = f"{said} for {user}: make the table as docs/runbook.md says, on the primary"
        rows.append(bad(CHECK, where, f"{said} for {user}: no commit can be proved", mend))
    return rows


def problems(where: str, said: Sequence[str]) -> list[Row]:
    """What the adapter itself calls a problem."""
    mend = "docs/runbook.md, warnings and alarms"
    return [bad(CHECK, where, problem, mend) for problem in said]


def whole(where: str, kind: str, rows: Sequence[Row]) -> list[Row]:
    """`rows`, or that all is well."""
    return [*rows] or [ok(CHECK, where, f"{kind}: settings and grants are as the guarantee needs")]


def refused(where: str, why: str) -> Row:
    """It answers, and does not let us in."""
    mend = "the account and password of the controllers, and who may log in from here (pg_hba.conf)"
    return bad(CHECK, where, why, mend)


def unreadable(where: str, why: str) -> Row:
    """We have no password to ask with."""
    return unknown(CHECK, where, why, "run as the daemon's account; see the rows of files")


def silent(where: str, why: str) -> Row:
    """It does not answer."""
    return bad(
        CHECK, where, why, "is the server up, and its port reached from here? tricast status"
    )


def _plain(names: str) -> str:
    return names.replace('"', "").replace(" ", "").lower()
