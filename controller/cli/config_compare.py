"""What differs between two configurations, key by key, and what each key needs before it counts."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from controller.cli.config_known import Known
from controller.web.config_schema import ConfigDifference
from controller.web.config_shown import item_name

DAEMON: Final = "daemon"
EXABGP: Final = "daemon, exabgp"
NOTHING: Final = "nothing"
NEEDS: Final = (
    (re.compile(r"services\[[^\]]*\]\.holder"), NOTHING),
    (re.compile(r"bgp(\..*)?|sites\.[^.]*\.bgp(\..*)?|timings\.permit_s"), EXABGP),
    (re.compile(r"services\[[^\]]*\](\.prefixes)?"), EXABGP),
    (re.compile(r"sites\.[^.]*"), EXABGP),  # a site that comes or goes
)
MEANING: Final[Mapping[str, str]] = {
    DAEMON: "restart",
    EXABGP: "restart, exabgp too",
    NOTHING: "needs nothing",
}
HIDDEN_PART: Final = "(a part that is hidden)"
VALUE_WIDTH: Final = 60


def differences(running: Known, file: Known) -> tuple[ConfigDifference, ...]:
    """Every key that says something else in `file`, in its order; none when they say the same."""
    found = [_row(running, file, *each) for each in _walk(running.data, file.data, "")]
    if not found and running.hash != file.hash:
        return (ConfigDifference(key=HIDDEN_PART, needs=DAEMON),)
    return tuple(found)


Apart = tuple[str, JsonValue, JsonValue, str]  # key, running, file, where it only is


def _walk(running: JsonValue, file: JsonValue, key: str) -> Iterator[Apart]:
    if isinstance(running, dict) and isinstance(file, dict):
        yield from _sections(running, file, f"{key}." if key else "", "")
    elif (one := _by_name(running)) is not None and (two := _by_name(file)) is not None:
        yield from _sections(one, two, f"{key}[", "]")
        order = [name for name in one if name in two], [name for name in two if name in one]
        if order[0] != order[1]:
            yield f"{key} (order)", list(order[0]), list(order[1]), ""
    elif running != file:
        yield key, running, file, ""


def _sections(
    running: Mapping[str, JsonValue], file: Mapping[str, JsonValue], before: str, after: str
) -> Iterator[Apart]:
    for name in dict.fromkeys((*file, *running)):
        key = f"{before}{name}{after}"
        if name not in running:
            yield key, None, file[name], "file"
        elif name not in file:
            yield key, running[name], None, "running"
        else:
            yield from _walk(running[name], file[name], key)


def _by_name(value: JsonValue) -> dict[str, JsonValue] | None:
    """The items of a list of sections by name, an empty list too; None for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    return {item_name(value, number): item for number, item in enumerate(value)}


def _row(
    running: Known, file: Known, key: str, before: JsonValue, after: JsonValue, only: str
) -> ConfigDifference:
    return ConfigDifference(
        key=key,
        running=before,
        file=after,
        only=only,
        running_default=not only and running.is_default(key),
        file_default=not only and file.is_default(key),
        needs=needs(key),
    )


def needs(key: str) -> str:
    """What has to be restarted before `key` counts."""
    return next((word for pattern, word in NEEDS if pattern.fullmatch(key)), DAEMON)


def difference_lines(rows: Iterable[ConfigDifference], width: int) -> Iterator[str]:
    """A line a key, running -> file; broken before the arrow where it is too wide."""
    for row in rows:
        if row.key == HIDDEN_PART:
            yield f"  {HIDDEN_PART} of a value differs; {MEANING[row.needs]}"
            continue
        before = "not there" if row.only == "file" else _shown(row.running, row.running_default)
        after = "not there" if row.only == "running" else _shown(row.file, row.file_default)
        line = f"  {row.key}: {before} -> {after}"
        if len(line) + len(MEANING[row.needs]) + 2 <= width:
            yield f"{line}; {MEANING[row.needs]}"
            continue
        yield f"  {row.key}: {MEANING[row.needs]}"
        both = f"      {before} -> {after}"
        yield from [both] if len(both) <= width else [f"      {before}", f"      -> {after}"]


def _shown(value: JsonValue, default: bool) -> str:  # noqa: FBT001 - a word about the value
    mark = " (default)" if default else ""
    if isinstance(value, dict):
        return f"there, with {len(value)} keys{mark}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        return f"none{mark}"
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return f"{text if len(text) <= VALUE_WIDTH else f'{text[: VALUE_WIDTH - 3]}...'}{mark}"
