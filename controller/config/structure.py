"""From plain data to the typed model, with every structural problem as a sentence."""

import json
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from controller.config.cluster import Cluster
from controller.config.problem import Path, Problem, did_you_mean, dotted, shown_value
from controller.config.sites import Stances
from controller.config.timings import PROFILES, Profile
from controller.config.yaml_lines import Document

REPAIRS = 20  # rounds of leaving out a wrong key that has a default, to see further problems

_SENTENCES: Mapping[str, str] = {
    "missing": "is required and not given",
    "string_type": "must be text; put a number that is meant as text into quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number, without quotes or a unit",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "model_attributes_type": "must be a mapping (key: value)",
    "too_short": "must have at least {min_length} item(s)",
    "too_long": "must have at most {max_length} item(s)",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}


def build(document: Document) -> tuple[Cluster | None, list[Problem]]:
    """The cluster, as far as one can be made of the document, and what is wrong with it.

    A wrong key that has a default is left out to see whether the rest stands: then the cross checks
    can run on it too, and an operator reads every problem at once.
    """
    data = document.data
    if not isinstance(data, dict):
        return None, [_problem(document, (), "must be a mapping (key: value)", data)]
    data = _completed(data)
    problems: list[Problem] = []
    left_out: set[Path] = set()
    for _ in range(REPAIRS):
        try:
            return Cluster.model_validate_json(json.dumps(data)), problems
        except ValidationError as failure:
            errors = [e for e in failure.errors(include_url=False) if _path(e) not in left_out]
        problems += [_translate(document, data, error) for error in errors]
        paths = [_path(error) for error in errors]
        if not paths or not _left_out(data, paths):
            break
        left_out.update(paths)
    return None, problems


def _completed(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with the profile's timings, and with bare prepends spelled out. A deep copy."""
    # A section of which every key is commented out has its defaults.
    empty = {key for key, value in data.items() if value is None and key in Cluster.model_fields}
    data = json.loads(json.dumps({key: data[key] for key in data if key not in empty}))
    profile = data.get("profile", Profile.FAST.value)
    given = data.get("timings", {})
    if isinstance(given, dict) and isinstance(profile, str) and profile in set(Profile):
        data["timings"] = PROFILES[Profile(profile)].model_dump() | given
    routes = data.get("bgp")
    stances = routes.get("stances") if isinstance(routes, dict) else None
    if isinstance(stances, dict):
        for name, value in stances.items():
            if (
                isinstance(value, int)
                and not isinstance(value, bool)
                and name in Stances.model_fields
            ):
                default = getattr(Stances(), name).model_dump(mode="json")
                stances[name] = default | {"prepends": value}
    return data


def _path(error: ErrorDetails) -> Path:
    """Where an error is; a bad key of a mapping is at that key."""
    return tuple(part for part in error["loc"] if part != "[key]")


def _at(data: object, path: Path) -> object:
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def _left_out(data: object, paths: list[Path]) -> bool:
    """Whether every wrong value was a key of a mapping and could be left out of `data`."""
    for path in paths:
        parent = _at(data, path[:-1]) if path else None
        if not isinstance(parent, dict) or path[-1] not in parent:
            return False
    for path in paths:
        parent = _at(data, path[:-1])
        if isinstance(parent, dict):
            parent.pop(path[-1], None)
    return True


def _problem(document: Document, path: Path, sentence: str, value: object) -> Problem:
    return Problem(
        file=document.file,
        line=document.line(path),
        key=dotted(path),
        value=shown_value(path, value),
        sentence=sentence,
    )


def _translate(document: Document, data: object, error: ErrorDetails) -> Problem:
    path, kind, context = _path(error), error["type"], error.get("ctx", {})
    value = path[-1] if error["loc"] and error["loc"][-1] == "[key]" else _at(data, path)
    if kind == "extra_forbidden":
        sentence = _unknown_key(path)
    elif kind == "enum":
        sentence = _not_allowed(value, str(context["expected"]))
    elif kind == "value_error":
        sentence = str(context["error"])
    elif kind in _SENTENCES:
        sentence = _SENTENCES[kind].format(**context)
    else:
        sentence = error["msg"]
    problem = _problem(document, path, sentence, value)
    if kind == "missing":
        return Problem(
            file=problem.file,
            line=problem.line,
            key=problem.key,
            value=None,
            sentence=sentence,
        )
    return problem


def _not_allowed(value: object, expected: str) -> str:
    allowed = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
    return f"must be one of {', '.join(allowed)}{hint}"


def _unknown_key(path: Path) -> str:
    known = known_keys(path[:-1])
    word = str(path[-1])
    if f"{word}_file" in known:
        return f"is no key: secrets do not stand in this file; use {word}_file or {word}_env"
    hint = did_you_mean(word, known)
    return f"is no key here{hint or '; known here: ' + ', '.join(sorted(known))}"


def known_keys(path: Path) -> list[str]:
    """The keys that may stand in the mapping at `path`."""
    kind: object = Cluster
    for part in path:
        kind = _inside(kind, part)
    model = _bare(kind)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return list(model.model_fields)
    return []


def _bare(kind: object) -> object:
    """A type without Annotated and without `| None`."""
    while True:
        origin = get_origin(kind)
        if origin is Annotated:
            kind = get_args(kind)[0]
        elif origin in (Union, UnionType):
            kind = next(arg for arg in get_args(kind) if arg is not NoneType)
        else:
            return kind


def _inside(kind: object, part: str | int) -> object:
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return field.annotation if field else None
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return arguments[1]
    return arguments[0] if arguments else None
