"""Every template speaks of every event, and a wrong one is refused with line and word."""

from pathlib import Path

import pytest

from controller.notify.event import EventKind, Severity
from controller.notify.notice import Notice
from controller.notify.template import FACTS, PLAIN, BadTemplate, read_template

FOLDER = Path(__file__).parents[2] / "configs/templates"
SHIPPED = sorted(FOLDER.glob("*.txt"))


def notice(kind: EventKind) -> Notice:
    return Notice(
        id="x/1", event=kind, severity=Severity.WARNING, cluster="tricast", site="dc1",
        service="wallet", epoch=8, at="2026-11-21T10:00:00Z", title="wallet: something",
        what="it happened, for $5", next_step="look", facts={"to": "dc2", "own": "x"},
    )  # fmt: skip


def test_there_is_a_template_for_each_audience() -> None:
    assert [path.stem for path in SHIPPED] == ["operators", "partners", "regulator", "support"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", EventKind)
def test_every_template_has_words_for_every_event(path: Path, kind: EventKind) -> None:
    text = read_template(path.read_text()).render(notice(kind))
    assert len(text) > 20
    assert "==" not in text
    assert "$" not in text.replace("for $5", "")


@pytest.mark.parametrize("name", ["partners", "support"])
@pytest.mark.parametrize("kind", [EventKind.ROLE_CHANGE_FINISHED, EventKind.TAKEOVER_REFUSED])
def test_outsiders_are_told_no_reasons_from_inside(name: str, kind: EventKind) -> None:
    text = read_template((FOLDER / f"{name}.txt").read_text()).render(notice(kind))
    assert "it happened" not in text
    assert "wallet" in text


def test_a_section_is_for_its_events_and_any_is_for_the_rest() -> None:
    words = read_template("$severity: $what\n== test, voter_back\n$to$from|$$\n\nend\n")
    assert words.render(notice(EventKind.TEST)) == "dc2|$\n\nend"
    assert words.render(notice(EventKind.VOTER_BACK)) == "dc2|$\n\nend"
    assert words.render(notice(EventKind.LAG_HIGH)) == "warning: it happened, for $5"
    assert PLAIN.render(notice(EventKind.TEST)).startswith("[warning] tricast wallet: something")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("== any\n$waht", r"line 2: there is no \$waht; there are asked, "),
        ("== any\nx\n== role_chnge", "line 3: there is no event 'role_chnge'; there are any, "),
        ("== any\ncosts 5 $ each", r"line 2: a \$ that names nothing; write \$\$"),
        ("== test\nhello", "has no text for every other event: begin one with '== any'"),
        ("== any\nx\n== test\ny\n== any\nz", "line 5: any has a text already"),
        ("", "has no text for every other event"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadTemplate, match=said):
        read_template(text)


def test_every_fact_that_an_event_has_may_be_named() -> None:
    source = (Path(__file__).parents[2] / "controller/notify/derive.py").read_text()
    for name in FACTS - {"dropped"}:
        assert f'"{name}"' in source, name
