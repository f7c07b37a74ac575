"""A configuration as it may be told: plain data without secrets, and a name for each key in it.

The cluster file holds no secrets, only where they are. What people may have put into a URL or an
argument all the same is hidden.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, cast
from urllib.parse import urlsplit

from pydantic import JsonValue

from controller.audit.entry import canonical
from controller.config import Cluster
from controller.config.problem import Path, may_be_secret
from controller.config.yaml_lines import Document

HIDDEN: Final = "(hidden)"
NAMES: Final = ("name", "address")  # what an item of a list is called by
ARGUMENTS: Final = frozenset({"argv", "command"})
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")

Data: TypeAlias = dict[str, JsonValue]
Leaf: TypeAlias = tuple[Path, JsonValue]


def fingerprint(cluster: Cluster) -> str:
    """The same for two files that say the same; no secret is in it, only where secrets are."""
    return hashlib.sha256(canonical(json.loads(cluster.model_dump_json()))).hexdigest()


def tellable(cluster: Cluster) -> tuple[Data, tuple[str, ...]]:
    """The configuration without what has to be hidden, and the keys of which something is."""
    data = cast("Data", cluster.model_dump(mode="json"))
    hidden: list[str] = []

    def clean(value: JsonValue, path: Path) -> JsonValue:
        if isinstance(value, dict):
            return {key: clean(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list) and not _flat(value):
            return [clean(inner, (*path, number)) for number, inner in enumerate(value)]
        told = _told(value, path)
        if told != value:
            hidden.append(key_of(data, path))
        return told

    return cast("Data", clean(data, ())), tuple(hidden)


def _told(value: JsonValue, path: Path) -> JsonValue:
    """A leaf as it may be told."""
    if value is not None and may_be_secret(path):
        return HIDDEN
    if isinstance(value, list) and path[-1] in ARGUMENTS:
        return cast("JsonValue", _arguments([str(word) for word in value]))
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return _url(value, whole=path[0] != "notifications")
    return value


def _url(text: str, *, whole: bool) -> str:
    """`text` without its query; without its path too where that may be a token."""
    parts = urlsplit(text)
    path = parts.path if whole or parts.path in ("", "/") else f"/{HIDDEN}"
    query = f"?{HIDDEN}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{path}{query}"


def _arguments(words: Sequence[str]) -> list[str]:
    told: list[str] = []
    secret_follows = False
    for word in words:
        shown = _CREDENTIALS.sub(HIDDEN, word)
        name, equals, _ = word.partition("=")
        secret = not word.startswith("/") and may_be_secret((name,))
        if secret_follows:
            shown = HIDDEN
        elif secret:
            shown = f"{name}={HIDDEN}" if equals else word if word.startswith("-") else HIDDEN
        secret_follows = secret and word.startswith("-") and not equals
        told.append(shown)
    return told


def leaves(value: JsonValue, path: Path = ()) -> Iterator[Leaf]:
    """Every value that is no section, with its path. A list of plain values is one value."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and not _flat(value):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path, value


def key_of(data: JsonValue, path: Path) -> str:
    """`path` in `data` as people write it: services[wallet].databases[ledger].user."""
    text = ""
    for part in path:
        if isinstance(data, list) and isinstance(part, int):
            text += f"[{item_name(data, part)}]"
            data = data[part]
        elif isinstance(data, dict):
            text += f".{part}" if text else str(part)
            data = data[str(part)]
    return text


def item_name(items: Sequence[JsonValue], number: int) -> str:
    """The name of an item, its address, or its place where it has neither of its own."""
    for word in NAMES:
        names = [item.get(word) if isinstance(item, dict) else None for item in items]
        if names[number] is not None and names.count(names[number]) == 1:
            return str(names[number])
    return str(number)


def given_keys(data: Data, document: Document) -> tuple[str, ...]:
    """The keys of `data` that stand in `document`; what is only there by default is not."""
    return tuple(key_of(data, path) for path, _ in leaves(data) if _stands(path, document))


def _stands(path: Path, document: Document) -> bool:
    if path in document.lines:
        return True
    # `backup: 3` of the stances is short for its prepends.
    return path[-1] == "prepends" and isinstance(_at(document.data, path[:-1]), int)


def _at(data: object, path: Path) -> object:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _flat(items: Sequence[JsonValue]) -> bool:
    return not any(isinstance(item, dict | list) for item in items)
