"""The documents say what the code does: generated pages are current, and what is named exists."""

import re
from pathlib import Path

import pytest

from controller.cli import docs
from controller.cli.main import main, tricast
from controller.core.ladder import Rung, climb
from controller.core.model import Role
from controller.core.reason import Reason
from controller.core.rules import RULES, Rule
from controller.core.sequences import TAKE_OVER
from controller.core.view import View
from lab.verbs import verb_names
from tests.core.views import dc2_view

ROOT = Path(__file__).resolve().parents[2]
HAND_WRITTEN = (
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/runbook.md",
    "lab/containerlab/README.md",
)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def heads_of(name: str) -> set[str]:
    """What the headings of a page are linked by."""
    found = re.findall(r"^#+ (.*)$", text_of(name), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in found}


@pytest.mark.parametrize("name", sorted(docs.generated()))
def test_generated_page_is_current(name: str) -> None:
    current = text_of(f"docs/{name}") == docs.generated()[name]
    assert current, (
        f"docs/{name} is stale; run: .venv/bin/python -m controller.cli.main docs --out docs"
    )


def test_the_verb_writes_every_generated_page(tmp_path: Path) -> None:
    assert main(["docs", "--out", str(tmp_path)]) == 0
    for name, content in docs.generated().items():
        assert (tmp_path / name).read_text(encoding="utf-8") == content


def test_the_verb_says_where_it_could_not_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "api").write_text("in the way")
    assert main(["docs", "--out", str(tmp_path)]) == 1
    assert "cannot write" in capsys.readouterr().err


def always(view: View) -> bool:
    """Holds whatever is seen."""
    return True


def test_a_rule_is_shown_with_all_that_it_says() -> None:
    def role(view: View) -> Role:
        return Role.PRIMARY

    page = docs.render_rules(
        (
            Rule(
                number=455,
                when=(always,),
                role=role,
                reason=Reason.PRIMARY,
                ladder=TAKE_OVER,
                ladder_name="TAKE_OVER",
                may_yield=True,
            ),
        )
    )
    row = next(line for line in page.splitlines() if "**455**" in line)
    assert all(part in row for part in ("`always`", Reason.PRIMARY.value, "TAKE_OVER", "may yield"))
    assert "| `always` | Holds whatever is seen. |" in page
    assert "Climbed under rule 455." in page
    assert "## 4xx Convergence" in page
    assert "## 1xx" not in page


def test_every_rule_and_every_step_is_shown() -> None:
    page = docs.render_rules(RULES)
    shown = [int(found) for found in re.findall(r"^\| \*\*(\d+)\*\*", page, re.MULTILINE)]
    assert shown == [rule.number for rule in RULES]
    rungs: tuple[Rung, ...] = climb(TAKE_OVER, dc2_view())
    assert all(f"| **{rung.step}** |" in page for rung in rungs)


def test_the_runbook_has_a_row_for_every_rule() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \|", text_of("docs/runbook.md"), re.MULTILINE)
    listed = [int(number) for row in rows for number in row.split(", ")]
    assert listed == sorted(listed)
    assert listed == [rule.number for rule in RULES]


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_every_link_leads_somewhere(name: str) -> None:
    here = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(name)):
        if "://" in target:
            continue
        path, _, head = target.partition("#")
        page = (here / path).resolve() if path else ROOT / name
        assert page.exists(), f"{name} links to {target}"
        assert not head or head in heads_of(str(page.relative_to(ROOT))), f"{name}: {target}"


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_every_command_that_is_named_exists(name: str) -> None:
    text = text_of(name)
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    for target in re.findall(r"`make ([a-z-]+)", text):
        assert target in targets, f"{name}: make {target}"
    for verb in re.findall(r"-m lab ([a-z-]+)", text):
        assert verb in verb_names(), f"{name}: lab {verb}"
    names = r"(?:`tricast|controller\.cli\.main|^ {4}tricast) ([a-z-]+)"
    for verb in re.findall(names, text, re.MULTILINE):
        assert verb in tricast.commands, f"{name}: tricast {verb}"


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_every_file_that_is_named_exists(name: str) -> None:
    kinds = "py|md|yml|json|cfg|toml|conf|service"
    found = re.findall(rf"`([a-z_]+(?:/[A-Za-z0-9_.-]+)+\.(?:{kinds}))`", text_of(name))
    missing = [path for path in found if not (ROOT / path).exists() and "build/" not in path]
    assert not missing, f"{name} names {missing}"
