"""Annotations decide how a value is written; a path names what does not fit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from enum import StrEnum
from math import inf, nan
from typing import Any, Literal, NewType

import pytest

from controller.core.codec import BadField, Codec, decode_text

Label = NewType("Label", str)
Strict = NewType("Strict", str)


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    count: int = 3


@dataclass(frozen=True)
class Whole:
    label: Label
    strict: Strict = Strict("ok")
    truth: bool = False
    seconds: float = 0.0
    color: Color = Color.RED
    inner: Inner = Inner()
    maybe: int | None = None
    many: tuple[Inner, ...] = ()
    names: frozenset[Label] = frozenset()
    ages: Mapping[Label, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    needed: int


@dataclass(frozen=True)
class Holder:
    part: Part


def strictly(data: object, path: str) -> str:
    text = decode_text(data, path)
    if text != "ok":
        raise BadField(path, "is not ok")
    return text


def even(value: object) -> None:
    assert isinstance(value, Inner)
    if value.count % 2 == 0:
        raise ValueError("even")


CODEC = Codec(special={Strict: strictly}, checks={Inner: even})
FULL = Whole(
    label=Label("a"),
    truth=True,
    seconds=inf,
    color=Color.BLUE,
    inner=Inner(5),
    maybe=7,
    many=(Inner(1), Inner(9)),
    names=frozenset({Label("z"), Label("y")}),
    ages={Label("q"): 1.5, Label("p"): inf},
)
PLAIN = {
    "label": "a",
    "strict": "ok",
    "truth": True,
    "seconds": "forever",
    "color": "blue",
    "inner": {"count": 5},
    "maybe": 7,
    "many": [{"count": 1}, {"count": 9}],
    "names": ["y", "z"],
    "ages": {"p": "forever", "q": 1.5},
}


def test_every_annotation_has_its_json_form_and_comes_back() -> None:
    assert CODEC.encode(FULL) == PLAIN
    assert list(CODEC.encode(FULL)["ages"]) == ["p", "q"]  # type: ignore[call-overload]
    assert CODEC.decode(Whole, PLAIN) == FULL
    assert CODEC.decode(Whole, {"label": "a", "more": 1}) == Whole(label=Label("a"))
    assert CODEC.decode(Whole, {"label": "a", "maybe": None}).maybe is None
    assert CODEC.encode(Whole(label=Label("a")))["maybe"] is None


def test_a_set_is_written_in_order_however_it_was_made() -> None:
    """Two daemons that mean the same write the same: only a change is news."""
    names = [chr(letter) for letter in range(ord("a"), ord("z") + 1)]
    for made in (names, names[::-1]):
        plain = CODEC.encode(Whole(label=Label("a"), names=frozenset(map(Label, made))))
        assert plain["names"] == names


@pytest.mark.parametrize(
    ("changes", "path", "problem"),
    [
        ({"label": 7}, "label", "7 is not a string"),
        ({"strict": "no"}, "strict", "is not ok"),
        ({"truth": 1}, "truth", "1 is neither true nor false"),
        ({"seconds": "soon"}, "seconds", "'soon' is not a number"),
        ({"seconds": True}, "seconds", "True is not a number"),
        ({"seconds": 10**400}, "seconds", "the number is too large"),
        ({"color": "green"}, "color", "'green' is none of red, blue"),
        ({"color": ["red"]}, "color", "a list is none of red, blue"),
        ({"inner": []}, "inner", "a list is not an object"),
        ({"inner": {"count": 2}}, "inner", "even"),
        ({"inner": {"count": -1}}, "inner.count", "-1 is not a whole number from 0 to 2^63 - 1"),
        (
            {"inner": {"count": 2**63}},
            "inner.count",
            "9223372036854775808 is not a whole number from 0 to 2^63 - 1",
        ),
        (
            {"inner": {"count": True}},
            "inner.count",
            "True is not a whole number from 0 to 2^63 - 1",
        ),
        ({"inner": {"count": 1.0}}, "inner.count", "1.0 is not a whole number from 0 to 2^63 - 1"),
        ({"many": {}}, "many", "an object is not a list"),
        ({"many": [{"count": 1}, 7]}, "many[1]", "7 is not an object"),
        ({"names": ["a", 7]}, "names[1]", "7 is not a string"),
        ({"ages": 7}, "ages", "7 is not an object"),
        ({"ages": {"a": "x"}}, "ages.a", "'x' is not a number"),
        ({"maybe": "x"}, "maybe", "'x' is not a whole number from 0 to 2^63 - 1"),
        ({"label": ["x" * 99]}, "label", "a list is not a string"),
        ({"color": "x" * 99}, "color", f"'{'x' * 56}... is none of red, blue"),
        ({"color": "x" * 58}, "color", f"'{'x' * 58}' is none of red, blue"),
        ({"color": "x" * 59}, "color", f"'{'x' * 56}... is none of red, blue"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(
    changes: dict[str, Any], path: str, problem: str
) -> None:
    with pytest.raises(BadField) as caught:
        CODEC.decode(Whole, {**PLAIN, **changes})
    assert (caught.value.path, caught.value.problem) == (path, problem)
    assert str(caught.value) == f"{path}: {problem}"


def test_a_record_as_a_whole_may_be_wrong() -> None:
    with pytest.raises(BadField, match=r"^record: 7 is not an object$"):
        CODEC.decode(Whole, 7)
    with pytest.raises(BadField, match=r"^label: is missing$"):
        CODEC.decode(Whole, {})
    with pytest.raises(BadField, match=r"^record: even$") as caught:
        CODEC.decode(Inner, {"count": 2})
    assert caught.value.path == "record"


def test_a_missing_field_of_a_part_is_named_in_full() -> None:
    with pytest.raises(BadField, match=r"^part\.needed: is missing$"):
        CODEC.decode(Holder, {"part": {}})


@pytest.mark.parametrize("number", [nan, -inf])
def test_a_number_without_json_form_is_never_written(number: float) -> None:
    with pytest.raises(ValueError, match=f"^{number} has no JSON form$"):
        CODEC.encode(Whole(label=Label("a"), seconds=number))


def test_the_largest_whole_number_is_read() -> None:
    assert CODEC.decode(Inner, {"count": 2**63 - 1}).count == 2**63 - 1
    assert CODEC.decode(Whole, {"label": "a", "maybe": 0}).maybe == 0


@pytest.mark.parametrize(
    "hint",
    [
        tuple[int, str],
        tuple[int, None],
        tuple[int, type(None)],  # type: ignore[misc]
        tuple[()],
        list[int],
        list[int, ...],  # type: ignore[misc]
        int | str,
        int | str | None,
        int | None | str,
        bytes,
        Inner(),
        Literal["x"],
    ],
    ids=str,
)
def test_an_annotation_without_a_json_form_is_a_mistake_of_ours(hint: Any) -> None:
    odd = make_dataclass("Odd", [("field", hint)])
    with pytest.raises(TypeError, match=f"^no JSON form for {re.escape(repr(hint))}$"):
        CODEC.decode(odd, {"field": 1})
