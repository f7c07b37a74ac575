"""Every verb's help, and that whatever a page tells people to type can be typed."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from controller.cli import manual
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main, tricast

ROOT = Path(__file__).parents[2]
PAGES = ("docs/runbook.md", "README.md", "CHANGELOG.md", "docs/architecture.md", "docs/testing.md")
LAB = str(ROOT / "lab/containerlab/nodes/tricast.yml")
VERBS = dict(manual.verbs(tricast))
SHOWN = sorted(words for words, verb in VERBS.items() if not verb.hidden)
# Lines of code blocks, and whole commands in running text.
_TYPED = re.compile(
    r"^ {4}(?:.*-- )?(?:tricast|\$T|\S*python -m controller\.cli\.main) (?P<line>.+)$"
    r"|`tricast (?P<inline>[^`]+)`|<\(tricast (?P<piped>[^)]+)\)",
    re.MULTILINE,
)
_STANDS_FOR = {"N": "1", "NUMBER": "1", "FILE": str(ROOT / "README.md")}


def typed(text: str) -> Iterator[list[str]]:
    """Every command line of a page, as a shell would split it."""
    for found in _TYPED.finditer(text):
        line = next(filter(None, found.groups()))
        before = re.split(r" [|>] ", line)[0]
        words = shlex.split(before, comments=True)
        if words and re.fullmatch(r"[a-z-]+", words[0]):
            yield [_STANDS_FOR.get(word, word) for word in words]


def parse(words: list[str]) -> None:
    """`words` as the command line reads them, without doing anything. Raises click's errors."""
    command: click.Command = tricast
    context: click.Context | None = None
    name = "tricast"
    while True:
        context = command.make_context(name, words, parent=context)
        if not isinstance(command, click.Group):
            return
        rest = [*context._protected_args, *context.args]
        if not rest:
            return  # a group that is only named
        found, resolved, words = command.resolve_command(context, rest)
        assert found is not None
        assert resolved is not None
        name, command = found, resolved


@pytest.mark.parametrize("words", [["status", "--bogus"], ["drain"], ["statuss"], ["failover"]])
def test_the_parser_of_this_test_refuses_what_is_typed_wrong(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(words)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_of_a_page_can_be_typed(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRICAST_CONFIG", LAB)  # as the units set it
    lines = list(typed((ROOT / page).read_text(encoding="utf-8")))
    for words in lines:
        if words == ["audit", "verify", "--file", "/mnt/worm/dc1-2026-11-21.audit"]:
            words[-1] = str(ROOT / "README.md")  # has to be there
        try:
            parse(words)
        except click.exceptions.NoArgsIsHelpError:
            continue  # named, not typed
        except click.MissingParameter:
            # In running text a verb may stand alone; its arguments follow in prose.
            assert " ".join(words) in VERBS, f"{page}: tricast {shlex.join(words)}"
        except click.ClickException as error:
            pytest.fail(f"{page}: tricast {shlex.join(words)}: {error.format_message()}")


def test_the_runbook_is_really_read() -> None:
    found = {words[0] for words in typed((ROOT / "docs/runbook.md").read_text(encoding="utf-8"))}
    assert {"watch", "topology", "completion", "failover", "force-single", "audit"} <= found
    heads = re.findall(r"^### (\d+)\. ", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    assert heads == [str(number) for number in range(1, 11)]


def test_every_situation_says_what_is_seen_typed_and_seen_then() -> None:
    text = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    situations = re.split(r"^#{2,3} ", text, flags=re.MULTILINE)
    ten = [part for part in situations if re.match(r"\d+\. ", part)]
    for part in ten:
        assert "*See:*" in part, part[:40]
        assert "*Then:*" in part, part[:40]
        assert list(typed(part)), part[:40]


@pytest.mark.parametrize("words", SHOWN)
def test_every_verb_has_a_manual(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words.split(), "--help"]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "Examples:" in shown
    assert "Exit codes:" in shown
    assert len((VERBS[words].help or "").split()) >= 5
    for option in VERBS[words].params:
        assert isinstance(option, click.Argument) or option.help, f"{words} {option.name}"


@pytest.mark.parametrize("words", sorted(manual.MANUAL))
def test_every_manual_is_of_a_verb_and_its_examples_can_be_typed(words: str) -> None:
    assert words in VERBS
    for example in manual.MANUAL[words].examples:
        (line,) = typed(f"    {example}")
        assert " ".join(line).startswith(words)
        parse(line)
    assert ExitCode.DONE in manual.MANUAL[words].codes
