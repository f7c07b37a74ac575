"""`tricast docs`: the pages that are generated from the code, so that they cannot grow stale.

Rendering only reads names: a guard, a goal or an intent is called in the page what it is called in
the table, and its docstring is its meaning.
"""

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Final

import click

from controller.cli.diagrams import ladder, roles
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.table_words import (
    Named,
    climbed_under,
    ladders,
    maker,
    phrase,
    raises_epoch,
    roles_of,
    spoken,
)
from controller.core.ladder import AnyStep, Step
from controller.core.rules import RULES, Rule
from controller.notify.notice import notice_schema
from controller.web.schema import json_schema

ROLES: Final = "diagrams/roles.svg"
BLOCKS: Final = {
    0: "A store that was set back",
    1: "Self-preservation",
    2: "Operators",
    3: "Epochs and takeovers",
    4: "Convergence",
    9: "Nothing to do",
}
HEAD: Final = """\
# Rules and ladders

Generated from `controller/core/rules.py` and `controller/core/sequences.py` by
`python -m controller.cli.main docs --out docs`. Do not edit.

At every turn, for every service, the first rule whose guards all hold is the answer. Its number
stands in logs, metrics, `tricast status`, `tricast explain` and the history; `docs/runbook.md` says
what an operator does about each one.

*Routes* and *traffic* are what the rule wants of this site's announcements and of this site's
haproxy. *Asks* is what it asks for beside its ladder. A rule that *may yield* asks the other site
for relief when this site has trouble that has outlasted its patience.
"""
LADDERS: Final = """\
## Ladders

A step is skipped when its goal holds; else it is asked for until the goal holds. No current step
is stored. A database's step is climbed by each database of the service by itself, side by side; a
step of the service that needs it waits for all of them. A step that asks for *wait* is brought
about elsewhere: by another site, by the rule's own routes and traffic, or by the world.
"""
NAMES: Final = """\
## Names

What the guards, goals and wishes above say. `not_` before a name is its opposite.
"""
RULE_COLUMNS: Final = (
    "rule",
    "when all of these hold",
    "reason",
    "role",
    "ladder",
    "routes",
    "traffic",
    "asks",
)
STEP_COLUMNS: Final = ("step", "of", "goal", "asks for", "needs")
NAME_COLUMNS: Final = ("name", "what it says")


@click.command(hidden=True)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the documents: rules.md, diagrams and api/*.json go into it.",
)
def docs(*, out: Path) -> None:
    """Write the pages that are generated from the code."""
    try:
        for name, text in generated().items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        where = error.filename or out
        raise CliError(ExitCode.FAILED, f"cannot write {where}: {error.strerror}") from None
    print(f"wrote {', '.join(generated())} to {out}")


def generated() -> dict[str, str]:
    """Every generated file under the folder of the documents, and what it has to hold."""
    return {
        "rules.md": render_rules(RULES),
        "api/status.v1.json": json_schema(),
        "api/notification.v1.json": notice_schema(),
        **render_diagrams(RULES),
    }


def render_diagrams(rules: tuple[Rule, ...]) -> dict[str, str]:
    """The drawings of `rules` and of the ladders they climb, by file."""
    drawn = {ROLES: roles.draw(rules, roles_of, raises_epoch)}
    for name, steps in ladders(rules).items():
        asks = {step.name: phrase(step.apply) for step in steps}
        drawn[_drawing(name)] = ladder.draw(name, steps, climbed_under(name, rules), asks)
    return drawn


def _drawing(name: str) -> str:
    return f"diagrams/{name.lower()}.svg"


def render_rules(rules: tuple[Rule, ...]) -> str:
    """The page about `rules`: tables by block, their ladders, and what every name means."""
    parts = [HEAD, f"![The roles of a site and the rules that lead to them]({ROLES})\n"]
    for block, title in BLOCKS.items():
        found = [rule for rule in rules if rule.number // 100 == block]
        if found:
            parts.append(f"## {block}xx {title}\n")
            parts.append(_table(RULE_COLUMNS, (_rule_row(rule) for rule in found)))
    parts.append(LADDERS)
    for name, steps in ladders(rules).items():
        parts.append(f"### {name}\n\nClimbed under {climbed_under(name, rules)}.\n")
        parts.append(f"![The steps of {name} and what they need]({_drawing(name)})\n")
        parts.append(_table(STEP_COLUMNS, (_step_row(step) for step in steps)))
    parts.append(NAMES)
    meanings = sorted(_meanings(rules).items())
    parts.append(_table(NAME_COLUMNS, ((f"`{name}`", text) for name, text in meanings)))
    return "\n".join(parts)


def _rule_row(rule: Rule) -> tuple[str, ...]:
    asks = [] if rule.intent is None else [phrase(rule.intent)]
    if rule.may_yield:
        asks.append("may yield")
    if rule.refusals is not _default("refusals"):
        asks.append("says why not")
    return (
        f"**{rule.number}**",
        "<br>".join(f"`{guard.__name__}`" for guard in rule.when) or "always",
        rule.reason.value,
        phrase(rule.role),
        rule.ladder_name,
        phrase(rule.stance),
        phrase(rule.traffic),
        ", ".join(asks),
    )


def _step_row(step: AnyStep) -> tuple[str, ...]:
    return (
        f"**{step.name}**",
        "service" if isinstance(step, Step) else "database",
        phrase(step.goal),
        phrase(step.apply),
        ", ".join(step.needs),
    )


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "".join(f"| {' | '.join(cell or ' ' for cell in line)} |\n" for line in lines)


# --- names ---------------------------------------------------------------------------------------


def _default(name: str) -> object:
    return next(field.default for field in fields(Rule) if field.name == name)


def _meanings(rules: tuple[Rule, ...]) -> dict[str, str]:
    """Guards by their own name; the rest by the words the tables use, where they explain them."""
    found: dict[str, str] = {}
    for function in _guards(rules):
        found[function.__name__] = _meaning(function)
    for function in _others(rules):
        if function.__doc__:
            found[spoken(maker(function))] = _meaning(function)
    return found


def _guards(rules: tuple[Rule, ...]) -> Iterator[Named]:
    for rule in rules:
        for guard in rule.when:
            yield inspect.getclosurevars(guard).nonlocals.get("guard", guard)


def _others(rules: tuple[Rule, ...]) -> Iterator[Named]:
    for rule in rules:
        yield from (rule.stance, rule.traffic)
        if rule.intent is not None:
            yield rule.intent
    for steps in ladders(rules).values():
        for step in steps:
            yield from (step.goal, step.apply)


def _meaning(function: Named) -> str:
    """The first paragraph of its docstring, on one line."""
    text = inspect.getdoc(function) or ""
    return " ".join(text.split("\n\n")[0].split())
