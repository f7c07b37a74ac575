"""The small wrong changes that a test must notice, one at a time, on the syntax tree.

Left alone are docstrings, annotations, decorators and `__all__`, and what only the type checker
reads (type arguments, `NewType`, `TypeVar`, the type in a `cast`, `assert x is not None`,
`assert isinstance(...)`): they decide nothing at run time.
"""

import ast
import copy
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

Swap = Callable[[], ast.AST | None]  # the node to stand there instead; None: nothing stands there

SHOWN: Final = 120
AROUND: Final = 30

_COMPARE: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.Pow: ast.Mult,
}
_CALLED: Final = {"all": "any", "any": "all", "min": "max", "max": "min", "sorted": "list"}
_GENERIC: Final = frozenset({"Callable", "Mapping", "dict", "frozenset", "list", "tuple", "type"})
_SKIPPED_FIELDS: Final = frozenset({"annotation", "returns", "decorator_list", "type_comment"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One wrong version of one module."""

    module: str
    number: int  # in the order of the source
    line: int
    what: str  # before -> after, as code
    source_line: str
    copy: int = 1  # the how-manieth of those that read the same
    definition: str = ""  # digest of the function, class or table it stands in
    key: str = ""  # stays while that definition does

    @property
    def name(self) -> str:
        """How a list of mutants refers to it, whatever line it has moved to."""
        which = f" #{self.copy}" if self.copy > 1 else ""
        return f"{self.module}: {self.source_line} | {self.what}{which}"


@dataclass(slots=True)
class _Place:
    """Where a node stands: a field of its parent, or one of a list there."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST | None) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        elif node is None:
            del getattr(self.parent, self.field)[self.index]
        else:
            getattr(self.parent, self.field)[self.index] = node


def mutants(module: str, source: str) -> list[Mutant]:
    """Every mutant of `source`."""
    tree = ast.parse(source)
    lines = source.splitlines()
    definitions = _definitions(module, tree, lines)
    found = []
    seen: Counter[tuple[str, str]] = Counter()
    within: Counter[str] = Counter()
    for number, (place, node, swap) in enumerate(_changes(tree)):
        made = swap()
        before, after = _shortened(_code(node), "nothing" if made is None else _code(made))
        line = getattr(node, "lineno", getattr(place.parent, "lineno", 0))
        what, source_line = f"{before} -> {after}", lines[line - 1].strip()
        seen[(source_line, what)] += 1
        definition = definitions[line]
        within[definition] += 1
        found.append(
            Mutant(
                module=module,
                number=number,
                line=line,
                what=what,
                source_line=source_line,
                copy=seen[(source_line, what)],
                definition=definition,
                key=_digest(f"{definition} {within[definition]} {what}"),
            )
        )
    return found


def mutated(source: str, number: int) -> ast.Module:
    """The tree of `source` with mutant `number` in it."""
    tree = ast.parse(source)
    for found, (place, _, swap) in enumerate(_changes(tree)):
        if found == number:
            place.put(swap())
            return ast.fix_missing_locations(tree)
    raise ValueError(f"there is no mutant {number}")


def _definitions(module: str, tree: ast.Module, lines: list[str]) -> dict[int, str]:
    """Of each line of a function, a class, a row of a table: a digest of all its lines."""
    found: dict[int, str] = {}
    nodes: list[ast.stmt | ast.expr] = [*tree.body, *_rows(tree)]
    for node in nodes:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        last = node.end_lineno or first
        digest = _digest("\n".join([module, *lines[first - 1 : last]]))
        found |= dict.fromkeys(range(first, last + 1), digest)
    return found


def _rows(tree: ast.Module) -> Iterator[ast.expr]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Tuple):
            yield from node.value.elts


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _code(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _shortened(before: str, after: str) -> tuple[str, str]:
    """Both, but of long ones only where they differ, and what stands around that."""
    if max(len(before), len(after)) <= SHOWN:
        return before, after
    head = _shared(before, after)
    tail = _shared(before[head:][::-1], after[head:][::-1])
    start, end = max(0, head - AROUND), max(0, tail - AROUND)
    return before[start : len(before) - end], after[start : len(after) - end]


def _shared(one: str, two: str) -> int:
    """How many characters both begin with."""
    different = (at for at, (x, y) in enumerate(zip(one, two, strict=False)) if x != y)
    return next(different, min(len(one), len(two)))


def _changes(tree: ast.Module) -> Iterator[tuple[_Place, ast.AST, Swap]]:
    siblings = _siblings(tree)
    for place, node in _walk(tree):
        for swap in _swaps(node, place, siblings):
            yield place, node, swap


def _walk(node: ast.AST) -> Iterator[tuple[_Place, ast.AST]]:
    for name, value in ast.iter_fields(node):
        if name in _SKIPPED_FIELDS:
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if not isinstance(child, ast.AST) or _decides_nothing(child):
                continue
            place = _Place(node, name, index if isinstance(value, list) else None)
            if _for_types_only(child, place):
                continue
            yield place, child
            yield from _walk(child)


def _decides_nothing(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)  # a docstring
    if isinstance(node, ast.Assign):
        return any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    return isinstance(node, ast.Import | ast.ImportFrom)


def _for_types_only(node: ast.AST, place: _Place) -> bool:
    match node:
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.Assert(test=ast.Compare(ops=[ast.IsNot()])):
            return True
        case ast.Assert(test=ast.Call(func=ast.Name(id="isinstance"))):
            return True
        case ast.Call(func=ast.Name(id="NewType" | "TypeVar")):
            return True
        case ast.Subscript(value=ast.Name(id=name)) if name in _GENERIC:
            return True
    in_cast = isinstance(place.parent, ast.Call) and ast.unparse(place.parent.func) == "cast"
    return in_cast and place.field == "args" and place.index == 0


def _siblings(tree: ast.Module) -> dict[str, list[str]]:
    """Members of enumerations and modules that this source names: one may stand for another."""
    found: dict[str, set[str]] = {}
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.islower()
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            base = node.value.id
            if base in modules or base[:1].isupper():
                found.setdefault(base, set()).add(node.attr)
    return {base: sorted(names) for base, names in found.items() if len(names) > 1}


def _swaps(node: ast.AST, place: _Place, siblings: dict[str, list[str]]) -> Iterator[Swap]:
    for kind, make in _OPERATORS:
        if isinstance(node, kind):
            yield from make(node, place)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        names = siblings.get(node.value.id, [])
        if node.attr in names:
            other = names[(names.index(node.attr) + 1) % len(names)]
            yield lambda: _with(node, attr=other)


def _with(node: ast.AST, **changes: object) -> ast.AST:
    made = copy.deepcopy(node)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def _compare(node: ast.Compare, _: _Place) -> Iterator[Swap]:
    for index, operator in enumerate(node.ops):
        for other in _COMPARE[type(operator)]:
            ops = [other() if n == index else op for n, op in enumerate(node.ops)]
            yield lambda ops=ops: _with(node, ops=ops)  # type: ignore[misc]


def _boolean(node: ast.BoolOp, _: _Place) -> Iterator[Swap]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield lambda: _with(node, op=other)
    for index in range(len(node.values)):
        rest = [value for n, value in enumerate(node.values) if n != index]
        yield lambda rest=rest: rest[0] if len(rest) == 1 else _with(node, values=rest)  # type: ignore[misc]


def _negation(node: ast.UnaryOp, _: _Place) -> Iterator[Swap]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield lambda: node.operand


def _condition(node: ast.expr, place: _Place) -> Iterator[Swap]:
    """What is neither a comparison nor made of others, where a condition is wanted."""
    simple = isinstance(node, ast.Name | ast.Call | ast.Attribute | ast.NamedExpr)
    wanted = place.field == "test" or (
        isinstance(place.parent, ast.comprehension) and place.field == "ifs"
    )
    if simple and wanted:
        yield lambda: ast.UnaryOp(op=ast.Not(), operand=node)


def _constant(node: ast.Constant, place: _Place) -> Iterator[Swap]:
    value = node.value
    if isinstance(value, bool):
        yield lambda: ast.Constant(not value)
    elif isinstance(value, int | float):
        yield lambda: ast.Constant(value + 1)
    elif isinstance(value, str) and not isinstance(place.parent, ast.FormattedValue):
        yield lambda: ast.Constant(f"{value}XX")
    elif isinstance(value, bytes):
        yield lambda: ast.Constant(value + b"X")


def _arithmetic(node: ast.BinOp, _: _Place) -> Iterator[Swap]:
    other = _ARITHMETIC.get(type(node.op))
    if other is not None:
        yield lambda: _with(node, op=other())


def _called(node: ast.Call, _: _Place) -> Iterator[Swap]:
    if isinstance(node.func, ast.Name) and node.func.id in _CALLED:
        other = ast.Name(_CALLED[node.func.id], ast.Load())
        yield lambda: _with(node, func=other)
    for index in range(len(node.keywords)):
        rest = [keyword for n, keyword in enumerate(node.keywords) if n != index]
        yield lambda rest=rest: _with(node, keywords=rest)  # type: ignore[misc]


def _members(node: ast.Tuple | ast.List | ast.Set, place: _Place) -> Iterator[Swap]:
    if isinstance(place.parent, ast.Subscript) or isinstance(getattr(node, "ctx", None), ast.Store):
        return
    for index in range(len(node.elts)):
        rest = [element for n, element in enumerate(node.elts) if n != index]
        if rest or not isinstance(node, ast.Set):
            yield lambda rest=rest: _with(node, elts=rest)  # type: ignore[misc]


def _choice(node: ast.IfExp, _: _Place) -> Iterator[Swap]:
    yield lambda: node.body
    yield lambda: node.orelse


def _answer(node: ast.Return, _: _Place) -> Iterator[Swap]:
    if node.value is not None and not isinstance(node.value, ast.Constant):
        yield lambda: ast.Return(ast.Constant(None))


def _effect(node: ast.stmt, _: _Place) -> Iterator[Swap]:
    """A statement that only has an effect is left out."""
    yield ast.Pass


def _jump(node: ast.stmt, _: _Place) -> Iterator[Swap]:
    yield ast.Break if isinstance(node, ast.Continue) else ast.Continue


_OPERATORS: Final[tuple[tuple[type | tuple[type, ...], Callable[..., Iterator[Swap]]], ...]] = (
    (ast.Compare, _compare),
    (ast.BoolOp, _boolean),
    (ast.UnaryOp, _negation),
    (ast.expr, _condition),
    (ast.Constant, _constant),
    (ast.BinOp, _arithmetic),
    (ast.Call, _called),
    ((ast.Tuple, ast.List, ast.Set), _members),
    (ast.IfExp, _choice),
    (ast.Return, _answer),
    ((ast.Raise, ast.AugAssign, ast.Delete, ast.Assert, ast.Expr), _effect),
    ((ast.Continue, ast.Break), _jump),
)
