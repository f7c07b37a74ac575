"""A configuration as YAML that tricast reads again, with a remark beside each key."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Final

from pydantic import JsonValue

from controller.config.problem import Path

Remark = Callable[[Path], str]

REMARKS_AT: Final = 40
_PLAIN: Final = re.compile(
    r"[A-Za-z_/][A-Za-z0-9_./@%+-]*"
    r"|\d+\.\d+\.\d+\.\d+(/\d+)?"
    r"|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+:\d+"
    r"|https?://[A-Za-z0-9_./:@+~-]*[A-Za-z0-9_/]"
)
_WORDS: Final = frozenset({"null", "true", "false"})


def yaml_lines(data: JsonValue, remark: Remark, width: int) -> Iterator[str]:
    """One line a key; a list of plain values on one line while it fits."""
    assert isinstance(data, dict)
    for line, said in _mapping(data, (), 0, width):
        yield f"{line:<{REMARKS_AT}}  # {text}" if (text := said and remark(said)) else line


Line = tuple[str, Path]  # and the key that it is about; () for none


def _mapping(data: dict[str, JsonValue], path: Path, indent: int, width: int) -> Iterator[Line]:
    for key, value in data.items():
        yield from _entry(f"{' ' * indent}{_plain(key)}:", value, (*path, key), indent, width)


def _entry(lead: str, value: JsonValue, path: Path, indent: int, width: int) -> Iterator[Line]:
    if isinstance(value, dict) and value:
        yield lead, ()
        yield from _mapping(value, path, indent + 2, width)
    elif isinstance(value, list) and value:
        yield from _list(lead, value, path, indent, width)
    else:
        yield f"{lead} {_scalar(value)}", path


def _list(lead: str, items: list[JsonValue], path: Path, indent: int, width: int) -> Iterator[Line]:
    flow = f"{lead} [{', '.join(map(_scalar, items))}]"
    plain = not any(isinstance(item, dict | list) for item in items)
    if plain and len(flow) <= width:
        yield flow, path
        return
    yield lead, path if plain else ()
    dash = f"{' ' * (indent + 2)}- "
    for number, item in enumerate(items):
        if not isinstance(item, dict) or not item:
            yield f"{dash}{_scalar(item)}", ()
            continue
        for place, (line, said) in enumerate(_mapping(item, (*path, number), indent + 4, width)):
            yield (line if place else f"{dash}{line.lstrip()}"), said


def _scalar(value: JsonValue) -> str:
    """As YAML: nothing that is text can be taken for anything else."""
    match value:
        case str():
            return _plain(value)
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return json.dumps(value)


def _plain(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
