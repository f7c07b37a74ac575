"""The vocabulary for people: on the terminal, and as docs/scenarios.md."""

from collections.abc import Iterator, Sequence
from typing import Final

from lab.scenario.arguments import ARGUMENTS, Argument
from lab.scenario.words import (
    AUDIT,
    CONDITIONS,
    GIVENS,
    NETWORK,
    OTHERS,
    PEOPLE,
    PROCESSES,
    STORAGE,
    Form,
    World,
)

PARTS: Final = (
    ("How it begins", "given", GIVENS),
    ("Links", "at, after, then", NETWORK),
    ("Processes and power", "at, after, then", PROCESSES),
    ("Disks", "at, after, then", STORAGE),
    ("Audit logs", "at, after, then", AUDIT),
    ("Operators", "at, after, then", PEOPLE),
    ("Routes, clocks, the store, a database by hand", "at, after, then", OTHERS),
    ("What is looked at", "expect, never, finally", CONDITIONS),
)
TOP: Final = """\
# Scenarios

Generated from `lab/scenario/words.py` by `python -m lab scenario words --markdown`. Do not edit.

A scenario says what goes wrong and what must then hold. It is played in two worlds: in the
simulator around the real deciding code (`python -m tests.sim.scenario FILE...`, seconds, part of
`make test`), and in the lab with real processes (`python -m lab run FILE...`, `make lab-test`).
There it is played in one lab for each two cores, side by side (`--jobs N`); no two labs share an
address or a file.
The scenarios of this project are in `tests/scenarios/`.

    scenario "dc1 is cut off silently"
    rows: 1
    worlds: sim, lab
    given a healthy cluster, dc1 holds wallet
    at 1s cut dc1 silently
    expect within 5s dc2 serves wallet
    and dc1 is isolated for wallet
    at 15s heal dc1
    expect within 60s dc1 votes for wallet
    never two sites acknowledge
    finally no acknowledged write is missing

| a line begins with | and says |
|---|---|
| `scenario "TITLE"` | a new scenario; a file may hold many |
| `rows: 1, 2` | which rows of the table of faults it covers |
| `worlds: sim, lab` | where it can be played; both, when the line is missing |
| `worlds: sim because REASON` | one world alone needs its reason |
| `given` A, B | how it begins |
| `at DURATION` ACT | done at this time since the beginning, or at once when it is later already |
| `after DURATION` ACT | done so long after the line before |
| `then` ACT | done at once |
| `expect within DURATION` CONDITION | comes true, at the latest so long after the last act |
| `expect for DURATION` CONDITION | is true all the time, so long |
| `expect` CONDITION | is true now |
| `never` CONDITION | is not true at any time, from the beginning to the end |
| `finally` CONDITION | is true at the end: all is mended and redundant, the clients have stopped |
| `and` | the same beginning as the line before |

Lines are carried out in their order. A duration is `500ms`, `3s` or `2m`. `no` before a condition
is its opposite. Articles may stand anywhere; `#` begins a comment. Two clients write to the wallet
all the time, `client1` behind provider 1 and `client2` behind the exchange; a write that was not
acknowledged is sent again under its key. The end comes by itself: whatever is still broken then is
mended, and everything must become redundant again within a bound.

"""


def page() -> str:
    """docs/scenarios.md."""
    return TOP + "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    for title, heads, forms in PARTS:
        yield f"## {title}\n\nAfter `{heads.replace(', ', '`, `')}`.\n"
        yield from _table(("sentence", "meaning", "worlds"), [_row(form) for form in forms])
        yield ""
    yield "## Arguments\n"
    rows = [(f"`{a.name}`", a.says, _values(a)) for a in ARGUMENTS.values()]
    yield from _table(("word", "is", "one of"), rows)


def _row(form: Form) -> tuple[str, str, str]:
    after = f" (only after `{'`, `'.join(form.heads)}`)" if form.heads else ""
    return f"`{form.pattern}`", form.meaning + after, _worlds(form)


def _worlds(form: Form) -> str:
    without = [world for world in World if world not in form.worlds()]
    if not without:
        return ", ".join(World)
    reasons = "; ".join(f"not {world}: {form.why_not(world)}" for world in without)
    return ", ".join([*sorted(form.worlds()), reasons])


def _values(argument: Argument) -> str:
    return ", ".join(f"`{value}`" for value in argument.values)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |" if row[0] != "---" else "|---" * len(head) + "|"


def plain() -> str:
    """The vocabulary for a terminal."""
    width = max(len(form.pattern) for _, _, forms in PARTS for form in forms)
    lines: list[str] = []
    for title, heads, forms in PARTS:
        lines += [f"{title} (after {heads}):", ""]
        for form in forms:
            only = "" if len(form.worlds()) > 1 else f" [{', '.join(form.worlds())} only]"
            lines.append(f"  {form.pattern:<{width}}  {form.meaning}{only}")
        lines.append("")
    lines += ["Arguments:", ""]
    for argument in ARGUMENTS.values():
        lines.append(
            f"  {argument.name:<9} {argument.says}: {', '.join(argument.values)}".rstrip(": ")
        )
    return "\n".join(lines) + "\n"
