"""YAML to plain data, keeping the line of every key, and refusing what YAML would let pass.

Duplicate keys are problems (YAML parsers keep the last one in silence). Only `true` and `false` are
booleans: `no`, `on` and the like stay text, and `12:30` is not a number in base 60.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

import yaml

from controller.config.problem import ConfigError, Path, Problem, dotted

MAX_BYTES: Final = 1024 * 1024
MAX_NODES: Final = 200_000  # aliases may repeat a node; a file must not unfold without end
MAX_DEPTH: Final = 40
MAX_DIGITS: Final = 100
TAGS: Final = "tag:yaml.org,2002:"

_SCALARS: Final[Mapping[str, Callable[[str], object]]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": int,
    "float": float,
    "str": str,
}


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads plain scalars as YAML 1.2 does."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+0123456789.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"{TAGS}{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


@dataclass(slots=True)
class Document:
    """The data of one file and where each key stands."""

    file: str
    data: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of `path`, or of its nearest ancestor that stands in the file."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 0


def read_yaml(text: str, file: str) -> Document:
    """The document in `text`. Raises ConfigError when it is not YAML at all."""
    document = Document(file=file)
    try:
        if len(text.encode()) > MAX_BYTES:
            _stop(document, 0, f"is larger than {MAX_BYTES} bytes; a cluster file is not")
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        _stop(document, line, f"is not YAML: {error.problem or error.context}")
    except (yaml.YAMLError, RecursionError) as error:
        _stop(document, 0, f"is not YAML: {str(error) or 'nested too deeply'}")
    if not isinstance(root, yaml.Node):
        _stop(document, 0, "is empty; see configs/tricast.yml for every key")
    document.lines[()] = 1
    document.data = _Reader(document).read(root, (), ())
    return document


def _stop(document: Document, line: int, sentence: str) -> NoReturn:
    raise ConfigError(
        [Problem(file=document.file, line=line, key="", value=None, sentence=sentence)]
    )


class _Reader:
    """Walks the node tree once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._left = MAX_NODES

    def read(self, node: yaml.Node, path: Path, above: tuple[int, ...]) -> object:
        self._left -= 1
        line = node.start_mark.line + 1
        if self._left < 0 or len(above) > MAX_DEPTH or id(node) in above:
            _stop(self._document, line, "unfolds without end; look at its anchors and aliases")
        above = (*above, id(node))
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path, above)
            case yaml.SequenceNode():
                items = []
                for number, child in enumerate(node.value):
                    self._document.lines[(*path, number)] = child.start_mark.line + 1
                    items.append(self.read(child, (*path, number), above))
                return items
            case yaml.ScalarNode():
                return self._scalar(node, path)
        raise AssertionError(f"no such node: {node!r}")

    def _mapping(
        self, node: yaml.MappingNode, path: Path, above: tuple[int, ...]
    ) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in _merged(node):
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(line, path, "has a key that is a list or a mapping; keys are words")
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in result:
                first = self._document.lines[here]
                self._problem(line, here, f"stands twice; the first is on line {first}")
                continue
            self._document.lines[here] = line
            result[key] = self.read(value_node, here, above)
        return result

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        line, tag = node.start_mark.line + 1, node.tag.removeprefix(TAGS)
        if tag not in _SCALARS:
            self._problem(line, path, f"has the tag {node.tag}; plain values only")
        elif tag == "int" and len(node.value) > MAX_DIGITS:
            self._problem(line, path, "is a number without end")
        else:
            return _SCALARS[tag](node.value)
        return None

    def _problem(self, line: int, path: Path, sentence: str) -> None:
        self._document.problems.append(
            Problem(
                file=self._document.file,
                line=line,
                key=dotted(path),
                value=None,
                sentence=sentence,
            )
        )


def _merged(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """The pairs of a mapping; `<<: *anchor` gives those that it does not name itself."""
    own = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
    for key, value in node.value:
        if key.tag != "tag:yaml.org,2002:merge":
            yield key, value
            continue
        parents = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for parent in parents:
            if not isinstance(parent, yaml.MappingNode):
                continue
            for inner, inner_value in parent.value:
                if isinstance(inner, yaml.ScalarNode) and inner.value not in own:
                    own.add(inner.value)
                    yield inner, inner_value
