"""Frozen dataclasses as JSON values and back, driven by their annotations.

What was encoded decodes to an equal value. A field that the reader does not know is ignored (a
newer version wrote it); a field that is not there gets its default (an older version wrote it).
Everything else that does not fit raises `BadField`, which names the field by its path; no other
exception leaves `decode`. Endless durations are written as "forever": JSON has no infinity.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from math import inf, isnan
from typing import Final, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

FOREVER: Final = "forever"
INTEGER_MAX: Final = 2**63 - 1

T = TypeVar("T")
Encoder = Callable[[object], object]
Decoder = Callable[[object, str], object]
Pair = tuple[Encoder, Decoder]
Check = Callable[[object], None]


class BadField(ValueError):
    """A value that does not fit its field."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'record'}: {problem}")
        self.path = path or "record"
        self.problem = problem


class Codec:
    """Encodes and decodes dataclasses; each type is looked at once.

    `special` decodes chosen annotations (a NewType) more strictly than their base type; `checks`
    look at a decoded dataclass as a whole and object with a ValueError.
    """

    def __init__(self, special: Mapping[object, Decoder], checks: Mapping[type, Check]) -> None:
        self._special = special
        self._checks = checks
        self._known: dict[object, Pair] = {}

    def encode(self, value: object) -> dict[str, object]:
        """`value`, a dataclass, as a JSON object."""
        return cast("dict[str, object]", self._pair(type(value))[0](value))

    def decode(self, kind: type[T], data: object) -> T:
        """The `kind` that `data` describes."""
        return cast("T", self._pair(kind)[1](data, ""))

    def _pair(self, hint: object) -> Pair:
        found = self._known.get(hint)
        if found is None:
            found = self._known[hint] = self._compile(hint)
        return found

    def _compile(self, hint: object) -> Pair:
        if hint in self._special:
            return _same, self._special[hint]
        if isinstance(hint, NewType):
            return self._pair(hint.__supertype__)
        if hint in _SCALARS:
            return _SCALARS[hint]
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            return _choice(hint)
        if isinstance(hint, type) and is_dataclass(hint):
            return self._compile_dataclass(hint)
        return self._compile_generic(hint)

    def _compile_generic(self, hint: object) -> Pair:
        origin, args = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType) and len(args) == 2 and args[1] is type(None):
            return _optional(self._pair(args[0]))
        if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
            return _sequence(self._pair(args[0]))
        if origin is frozenset:
            return _collection(self._pair(args[0]))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return _mapping(self._pair(args[0])[1], self._pair(args[1]))
        raise TypeError(f"no JSON form for {hint!r}")

    def _compile_dataclass(self, kind: type) -> Pair:
        hints = get_type_hints(kind)
        parts = [(field, *self._pair(hints[field.name])) for field in fields(kind)]
        check = self._checks.get(kind)

        def encode(value: object) -> object:
            return {field.name: write(getattr(value, field.name)) for field, write, _ in parts}

        def decode(data: object, path: str) -> object:
            if not isinstance(data, dict):
                raise BadField(path, f"{_shown(data)} is not an object")
            found = {
                field.name: read(data[field.name], f"{path}.{field.name}" if path else field.name)
                for field, _, read in parts
                if field.name in data or _required(field, path)
            }
            value = kind(**found)
            if check is not None:
                try:
                    check(value)
                except ValueError as error:
                    raise BadField(path, str(error)) from None
            return cast("object", value)

        return encode, decode


def decode_integer(data: object, path: str) -> int:
    """`data`, seen to be a whole number from 0 to 2^63 - 1."""
    if type(data) is not int or not 0 <= data <= INTEGER_MAX:
        raise BadField(path, f"{_shown(data)} is not a whole number from 0 to 2^63 - 1")
    return data


def decode_text(data: object, path: str) -> str:
    """`data`, seen to be a string."""
    if not isinstance(data, str):
        raise BadField(path, f"{_shown(data)} is not a string")
    return data


def _decode_truth(data: object, path: str) -> bool:
    if not isinstance(data, bool):
        raise BadField(path, f"{_shown(data)} is neither true nor false")
    return data


def _encode_number(value: object) -> object:
    number = cast("float", value)
    if isnan(number) or number == -inf:
        raise ValueError(f"{number} has no JSON form")
    return FOREVER if number == inf else number


def _decode_number(data: object, path: str) -> float:
    if data == FOREVER:
        return inf
    if type(data) not in (int, float):
        raise BadField(path, f"{_shown(data)} is not a number")
    try:
        return float(cast("float", data))
    except OverflowError:
        raise BadField(path, "the number is too large") from None


def _same(value: object) -> object:
    return value


_SCALARS: Final[Mapping[object, Pair]] = {
    str: (_same, decode_text),
    int: (_same, decode_integer),
    bool: (_same, _decode_truth),
    float: (_encode_number, _decode_number),
}


def _choice(kind: type[StrEnum]) -> Pair:
    allowed = {str(member): member for member in kind}

    def decode(data: object, path: str) -> object:
        if not isinstance(data, str) or data not in allowed:
            raise BadField(path, f"{_shown(data)} is none of {', '.join(allowed)}")
        return allowed[data]

    return str, decode


def _optional(inner: Pair) -> Pair:
    write, read = inner
    return (
        lambda value: None if value is None else write(value),
        lambda data, path: None if data is None else read(data, path),
    )


def _sequence(inner: Pair) -> Pair:
    write, read = inner

    def encode(value: object) -> object:
        return [write(item) for item in cast("tuple[object, ...]", value)]

    def decode(data: object, path: str) -> object:
        if not isinstance(data, list):
            raise BadField(path, f"{_shown(data)} is not a list")
        return tuple(read(item, f"{path}[{index}]") for index, item in enumerate(data))

    return encode, decode


def _collection(inner: Pair) -> Pair:
    write, read = _sequence(inner)

    def encode(value: object) -> object:
        return write(sorted(cast("frozenset[str]", value)))

    def decode(data: object, path: str) -> object:
        return frozenset(cast("tuple[object, ...]", read(data, path)))

    return encode, decode


def _mapping(read_key: Decoder, inner: Pair) -> Pair:
    write, read = inner

    def encode(value: object) -> object:
        found = cast("Mapping[str, object]", value)
        return {key: write(found[key]) for key in sorted(found)}

    def decode(data: object, path: str) -> object:
        if not isinstance(data, dict):
            raise BadField(path, f"{_shown(data)} is not an object")
        return {read_key(k, f"{path}.{k}"): read(v, f"{path}.{k}") for k, v in data.items()}

    return encode, decode


def _required(field: "Field[object]", path: str) -> bool:
    if field.default is MISSING and field.default_factory is MISSING:
        raise BadField(f"{path}.{field.name}" if path else field.name, "is missing")
    return False


def _shown(data: object) -> str:
    if isinstance(data, dict | list):
        return "an object" if isinstance(data, dict) else "a list"
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "..."
