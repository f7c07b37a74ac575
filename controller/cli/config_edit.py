"""`tricast config edit`: the cluster file, changed by way of an editor and of every check."""

import difflib
import os
import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from controller.cli.config_check import about_node, print_problems
from controller.cli.config_compare import difference_lines, differences
from controller.cli.config_known import Known, of_text
from controller.cli.config_replace import ChangedMeanwhile, Original, copied, opened, replaced
from controller.cli.config_restart import holders, next_lines
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SITE
from controller.cli.output import console
from controller.config import ConfigError, inspect_text
from controller.web.config_schema import ConfigDifference

EDITOR: Final = "vi"
WRITE, AGAIN, AWAY = "w", "e", "t"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edit:
    """What is edited, and how it was asked for."""

    file: Path
    original: Original
    before: Known | None  # None: the original cannot be used as it is
    secrets: bool
    site: str | None
    yes: bool


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--secrets", is_flag=True, help="Also look at the secret files on this node.")
@click.option("--site", type=SITE, help="With --secrets: only those that this site needs.")
@click.option("--yes", is_flag=True, help="Do not ask back: write what passes the checks.")
def edit(*, file: Path, secrets: bool, site: str | None, yes: bool) -> int:
    """Edit FILE with your editor; what cannot be used is never written.

    $VISUAL, else $EDITOR, else vi is given a copy in the same directory. What it leaves goes
    through all the checks of tricast config check; then you see what differs and are asked. An edit
    that fails a check can be edited again or thrown away. FILE is replaced in one piece, with its
    mode and owner; the text before stands beside it, as FILE.previous. If somebody else has written
    FILE meanwhile it is left alone, and your text is kept beside it. At the end you are told which
    sites to restart, in which order.
    """
    if not yes and not sys.stdin.isatty():
        raise CliError(ExitCode.USAGE, "nobody can be asked back here: add --yes")
    original = opened(file)
    asked = _Edit(
        file=file,
        original=original,
        before=_before(file, original.raw),
        secrets=secrets,
        site=site,
        yes=yes,
    )
    with copied(original) as copy:
        return _rounds(asked, copy)


def _before(file: Path, raw: bytes) -> Known | None:
    try:
        text = raw.decode()
        return of_text(text, str(file), inspect_text(text, str(file)))
    except (UnicodeDecodeError, ConfigError):
        return None


def _rounds(asked: _Edit, copy: Path) -> int:
    """Edited again and again until it is written or thrown away."""
    while True:
        _run_editor(copy)
        raw = copy.read_bytes()
        if raw == asked.original.raw:
            print(f"{asked.file}: nothing was changed")
            return ExitCode.DONE
        after = _checked(asked, raw)
        if after is None:
            if asked.yes:
                raise CliError(ExitCode.CONFIG, f"{asked.file} is as it was: {THROWN}")
            choice = _choice("Edit it again (e), or throw the change away (t)?", AGAIN + AWAY)
        else:
            rows = _compared(asked, after, raw)
            choice = (
                WRITE if asked.yes else _choice(QUESTION.format(asked.file), WRITE + AGAIN + AWAY)
            )
            if choice == WRITE:
                return _write(asked, copy, raw, after, rows)
        if choice == AWAY:
            raise CliError(ExitCode.REFUSED, f"{asked.file} is as it was: {THROWN}")


THROWN: Final = "the change was thrown away"
QUESTION: Final = "Write {} (w), edit it again (e), or throw the change away (t)?"


def _choice(question: str, letters: str) -> str:
    """What is typed; "e" when only Enter is."""
    return str(
        click.prompt(question, type=click.Choice(list(letters)), default=AGAIN, err=True,
                     show_choices=False)
    )  # fmt: skip


def _run_editor(copy: Path) -> None:
    """The editor has ended well. Raises CliError."""
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR") or EDITOR
    try:
        words = shlex.split(named)
        with _interrupts_are_the_editors():
            ended = subprocess.run([*words, str(copy)], check=False)
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CliError(
            ExitCode.FAILED, f"the editor {named!r} cannot be started ({why}): set VISUAL or EDITOR"
        ) from None
    if ended.returncode:
        raise CliError(
            ExitCode.FAILED, f"the editor {named!r} ended with {ended.returncode}: {THROWN}"
        )


@contextmanager
def _interrupts_are_the_editors() -> Iterator[None]:
    """Ctrl-C reaches the whole terminal; an editor uses it for itself, and starts as usual."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _checked(asked: _Edit, raw: bytes) -> Known | None:
    """What was edited, if it passes every check; else the problems have been printed."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        print(f"tricast: the edited text is not UTF-8 at byte {error.start}", file=sys.stderr)
        return None
    found = inspect_text(text, str(asked.file))
    node = about_node(found, asked.file, asked.site, secrets=asked.secrets)
    problems = [*found.problems, *node]
    print_problems(asked.file, found, problems)
    return None if problems else of_text(text, str(asked.file), found)


def _compared(asked: _Edit, after: Known, raw: bytes) -> tuple[ConfigDifference, ...]:
    """What differs, shown; in what it says, or line by line where that says nothing."""
    width = console().width
    rows = () if asked.before is None else differences(asked.before, after)
    if rows:
        print(f"{asked.file}: what it says -> what it would say")
        print(*difference_lines(rows, width), sep="\n", flush=True)
        return rows
    if asked.before is None:
        print(f"{asked.file} could not be used as it was. Line by line:")
    else:
        print(f"{asked.file} says the same as before; only comments or layout differ:")
    print(*_line_by_line(asked, raw), sep="\n", flush=True)
    return rows


def _line_by_line(asked: _Edit, raw: bytes) -> Iterator[str]:
    old = asked.original.raw.decode(errors="replace").splitlines()
    return difflib.unified_diff(
        old, raw.decode().splitlines(), str(asked.file), f"{asked.file} (edited)", lineterm="", n=2
    )


def _write(
    asked: _Edit, copy: Path, raw: bytes, after: Known, rows: tuple[ConfigDifference, ...]
) -> int:
    try:
        replaced(asked.original, raw)
    except ChangedMeanwhile:
        kept = asked.original.path.with_name(f"{asked.original.path.name}.edited-{os.getpid()}")
        copy.rename(kept)
        raise CliError(
            ExitCode.REFUSED,
            f"{asked.file} was changed by somebody else meanwhile and is left as that made it; "
            f"your text is kept: diff {asked.file} {kept}",
        ) from None
    print(f"wrote {asked.file}; the text before is {asked.original.previous}")
    assert after.cluster is not None
    known = asked.before.cluster if asked.before else None
    unknown = asked.before is None
    held = holders(known or after.cluster) if rows or unknown else {}
    changed = rows or ((ConfigDifference(key="", needs="daemon"),) if unknown else ())
    for line in next_lines(asked.file, after.cluster, changed, held):
        lead = line[: len(line) - len(line.lstrip())]
        print(textwrap.fill(line.strip(), max(console().width, 40), initial_indent=lead,
                            subsequent_indent=lead, break_on_hyphens=False,
                            break_long_words=False))  # fmt: skip
    return ExitCode.DONE
