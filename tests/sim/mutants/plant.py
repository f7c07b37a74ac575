"""A bug as a change of one fragment of source, put into the running code and taken out again.

The function object stays the same, only its code is exchanged: whoever has imported it, tables
included, has the bug at once. A fragment that is not there exactly once is an error, so that no
mutant goes stale unseen.
"""

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType


class Stale(Exception):
    """The source does not have the fragment any more: the mutant has to be written anew."""


@dataclass(frozen=True, slots=True)
class Edit:
    """In the function at `where` ("module:qualified.name"), `old` is `new`."""

    where: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug, by name; `story` says what went through the author's head."""

    name: str
    story: str
    edits: tuple[Edit, ...]
    shape: str = ""  # the only one whose histories can show it; "": any


def mutant(name: str, story: str, *edits: tuple[str, str, str], shape: str = "") -> Mutant:
    """A mutant from plain rows."""
    return Mutant(name, story, tuple(Edit(*edit) for edit in edits), shape)


@contextmanager
def planted(found: Mutant) -> Iterator[None]:
    """The bug is there inside."""
    with ExitStack() as stack:
        for where in dict.fromkeys(edit.where for edit in found.edits):
            edits = tuple(edit for edit in found.edits if edit.where == where)
            stack.enter_context(_edited(where, edits))
        yield


@contextmanager
def _edited(where: str, edits: tuple[Edit, ...]) -> Iterator[None]:
    function = _function(where)
    before = function.__code__
    function.__code__ = _mutated(function, edits)
    try:
        yield
    finally:
        function.__code__ = before


def _function(where: str) -> FunctionType:
    module_name, _, path = where.partition(":")
    found: object = importlib.import_module(module_name)
    for part in path.split("."):
        found = inspect.getattr_static(found, part)
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    found = inspect.unwrap(found) if callable(found) else found
    if not isinstance(found, FunctionType):
        raise Stale(f"{where} is no function of ours: {found!r}")
    return found


def _mutated(function: FunctionType, edits: tuple[Edit, ...]) -> CodeType:
    source = textwrap.dedent(inspect.getsource(function))
    for edit in edits:
        times = source.count(edit.old)
        if times != 1:
            raise Stale(f"{edit.where} has {edit.old!r} {times} times, not once")
        source = source.replace(edit.old, edit.new)
    lines = source.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("def "))
    body = "\n".join(lines[start:])
    if "__class__" in function.__code__.co_freevars:  # it calls super()
        body = "class Place:\n" + textwrap.indent(body, "    ")
    module = compile(body, inspect.getsourcefile(function) or "?", "exec", dont_inherit=True)
    code = _nested(module, function.__name__)
    if code.co_freevars != function.__code__.co_freevars:
        raise Stale(
            f"{edit.where} closes over {function.__code__.co_freevars}: not a plain function"
        )
    return code.replace(co_firstlineno=function.__code__.co_firstlineno)


def _nested(code: CodeType, name: str) -> CodeType:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            if const.co_name == name:
                return const
            if const.co_name == "Place":
                return _nested(const, name)
    raise Stale(f"no function {name} in its own source")
