"""What is mutated, what is left alone, and that what is excused is still there."""

import ast
from pathlib import Path

import pytest

from tests.mutation.operators import mutants, mutated
from tests.mutation.run import KINDS, equivalent
from tests.mutation.tree import PACKAGE, ROOT
from tests.mutation.warm import Change, differences


def changes(source: str) -> list[str]:
    return [mutant.what for mutant in mutants("module", source)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = a < b", ["a < b -> a <= b", "a < b -> a >= b"]),
        ("x = a is b", ["a is b -> a is not b"]),
        ("x = a and b", ["a and b -> a or b", "a and b -> b", "a and b -> a"]),
        ("x = not a", ["not a -> a"]),
        ("x = a + b", ["a + b -> a - b"]),
        ("x = 7", ["7 -> 8"]),
        ("x = True", ["True -> False"]),
        ("x = 'a'", ["'a' -> 'aXX'"]),
        ("x = all(a)", ["all(a) -> any(a)"]),
        ("x = f(key=a)", ["f(key=a) -> f()"]),
        ("x = (a, b)", ["(a, b) -> (b,)", "(a, b) -> (a,)"]),
        ("x = a if b else c", ["a if b else c -> a", "a if b else c -> c", "b -> not b"]),
        ("def f():\n    return a", ["return a -> return None"]),
        ("def f():\n    g()", ["g() -> pass"]),
        ("for a in b:\n    continue", ["continue -> break"]),
        ("x = Kind.A\ny = Kind.B", ["Kind.A -> Kind.B", "Kind.B -> Kind.A"]),
    ],
)
def test_each_operator_makes_these(source: str, found: list[str]) -> None:
    assert changes(source) == found


@pytest.mark.parametrize(
    "source",
    [
        "'what it is'",
        "import a",
        "__all__ = ['a']",
        "Name = NewType('Name', str)",
        "x: tuple[int, ...] = a",
        "def f(a: 'int') -> 'str':\n    pass",
        "@a(1)\ndef f():\n    pass",
        "assert a is not None",
        "assert isinstance(a, b)",
    ],
)
def test_what_decides_nothing_is_left_alone(source: str) -> None:
    assert changes(source) == []


def test_a_mutant_is_the_source_with_one_change() -> None:
    source = "x = a < b\ny = 7"
    names = [mutant.name for mutant in mutants("module", source)]
    assert len(set(names)) == len(names) == 3
    assert [ast.unparse(mutated(source, number)) for number in range(3)] == [
        "x = a <= b\ny = 7",
        "x = a >= b\ny = 7",
        "x = a < b\ny = 8",
    ]
    with pytest.raises(ValueError, match="no mutant 3"):
        mutated(source, 3)


def test_what_was_found_stands_while_its_function_does() -> None:
    before = mutants("module", "def f():\n    return 1\n\ndef g():\n    return 2\n")
    after = mutants("module", "def f():\n    return 3\n\n\ndef g():\n    return 2\n")
    elsewhere = mutants("another", "def g():\n    return 2\n")
    assert before[0].key != after[0].key
    assert before[1].key == after[1].key
    assert before[1].line != after[1].line
    assert elsewhere[0].key != after[1].key


def test_rows_of_a_table_stand_each_for_itself() -> None:
    before = mutants("module", "X = (\n    f(1),\n    f(2),\n)\n")
    after = mutants("module", "X = (\n    f(5),\n    f(2),\n)\n")
    same = {mutant.key for mutant in before} & {mutant.key for mutant in after}
    assert [mutant.what for mutant in before if mutant.key in same] == ["2 -> 3"]


def differing(old: str, new: str) -> list[str]:
    found: list[Change] = differences(
        compile(old, "module", "exec"), compile(new, "module", "exec")
    )
    return [before.co_qualname for before, _ in found]


def test_only_the_function_that_differs_is_exchanged() -> None:
    source = "def f():\n    return 1\ndef g():\n    return 2\n"
    assert differing(source, source) == []
    assert differing(source, source.replace("2", "3")) == ["<module>", "g"]
    nested = "def f():\n    def g():\n        return 1\n    return g\n"
    assert differing(nested, nested.replace("1", "2")) == ["<module>", "f", "f.<locals>.g"]
    assert differing("x = 1", "x = 2") == ["<module>"]


def test_each_mutant_that_is_excused_is_there_and_has_its_reason() -> None:
    folder = ROOT / PACKAGE.replace(".", "/")
    names = {
        mutant.name
        for path in sorted(Path(folder).glob("*.py"))
        for mutant in mutants(path.stem, path.read_text())
    }
    for name, (kind, reason) in equivalent().items():
        assert name in names, "tests/mutation/equivalent.txt: not there any more"
        assert kind in KINDS, name
        assert reason, name
