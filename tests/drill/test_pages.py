"""Every page of a report: what it says, that it is well-formed, and that it stands alone."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli.diagrams import timeline
from controller.cli.drill_pages import html_page, markdown_page, report_lines
from controller.web.drill_schema import (
    DrillCanary,
    DrillCheck,
    DrillEvent,
    DrillGap,
    DrillMove,
    DrillObjective,
    DrillReport,
    DrillSpan,
    DrillStep,
)

SVG = "{http://www.w3.org/2000/svg}"
BORDER = re.compile(r"(?<!\\)(?:\\\\)*\|")  # of a cell: no backslash takes its meaning
STEPS = (
    DrillStep(name="logs_sealed", reached_s=0.02),
    DrillStep(name="promoted", database="ledger", reached_s=0.21),
    DrillStep(name="intent PromoteDatabase", began_s=0.05, reached_s=0.2),
    DrillStep(name="serving", reached_s=0.31),
)
OUT = DrillMove(
    way="out", source="dc1", target="dc2", request=7, asked_by="ann", approved_by=("bob",),
    asked_s=1.0, ended_s=1.6, settled_s=2.1, state="done", epoch=3, took_s=0.4, gap_s=0.412,
    lost=0, steps=STEPS,
)  # fmt: skip
BACK = OUT.model_copy(
    update={"way": "back", "source": "dc2", "target": "dc1", "request": 8, "asked_s": 61.0,
            "ended_s": 61.5, "settled_s": 62.0, "epoch": 4}
)  # fmt: skip
REPORT = DrillReport(
    cluster="example", site="dc1", service="wallet", kind="switchover", verdict="passed",
    began_at="2026-11-22T01:10:00.000Z", took_s=64.0, asked_by="ann", reason="drill: spring",
    home="dc1", target="dc2", holder="dc1", noted=True,
    objectives=(
        DrillObjective(
            name="recovery time", wanted="at most 5 s", measured="0.412 s", passed=True
        ),
        DrillObjective(
            name="recovery point", wanted="at most 0 transactions", measured="0 transactions",
            passed=True,
        ),
    ),
    checks=(DrillCheck(name="store", ok=True, detail="etcd's majority answers"),),
    moves=(OUT, BACK),
    canary=DrillCanary(
        url="http://198.51.100.10/whoami", every_s=0.1, asked=640, good=638,
        longest=DrillGap(began_s=1.2, took_s=0.412),
        gaps=(DrillGap(began_s=1.2, took_s=0.412),),
        spans=(
            DrillSpan(site="dc1", began_s=0.1, ended_s=1.2, answers=11),
            DrillSpan(site="dc2", began_s=1.6, ended_s=61.3, answers=590),
            DrillSpan(site="dc1", began_s=61.6, ended_s=64.0, answers=24),
        ),
        failures={"status 503": 2},
    ),
    events=(DrillEvent(at_s=1.0, sentence="request 7: wallet to dc2"),),
)  # fmt: skip
MISSED = REPORT.model_copy(
    update={
        "verdict": "failed", "aborted": "no good answer for 6.0 s", "noted": False,
        "troubles": ("wallet stays at dc2",), "moves": (OUT,), "holder": "dc2",
        "objectives": (REPORT.objectives[0].model_copy(update={"passed": False}),),
    }
)  # fmt: skip
EMPTY = REPORT.model_copy(
    update={
        "took_s": 0.0, "moves": (), "events": (), "checks": (), "objectives": (),
        "canary": DrillCanary(url="http://x/", every_s=0.1, asked=0, good=0),
    }
)  # fmt: skip
ALL = (REPORT, MISSED, EMPTY)


class Reader(HTMLParser):
    """Tags that were opened and not closed, and what they would load."""

    ALONE = frozenset({"meta", "rect", "polyline", "path", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href", "srcset", "style")]
        self.loads += [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.ALONE:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.ALONE:
            assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize("report", ALL, ids=["passed", "failed", "empty"])
def test_the_page_is_whole_and_loads_nothing(report: DrillReport) -> None:
    page = html_page(report)
    reader = read(page)
    assert reader.loads == []
    assert not reader.tags & {"script", "link", "img", "iframe", "object"}
    assert "url(" not in page
    assert page.count("<svg ") == 1


def test_what_the_page_says() -> None:
    page = html_page(REPORT)
    for said in ("0.412 s", "approved by", "bob", "dc1 to dc2", "640 requests", "2 failed"):
        assert said in page
    assert 'class="verdict passed"' in page
    missed = html_page(MISSED)
    assert "wallet stays at dc2" in missed
    assert "it is not noted in the store" in missed
    assert 'class="verdict failed"' in missed


nasty = st.text(alphabet=st.sampled_from("<>&\"'|*_`[]()\n\\aé"), max_size=30)


@given(nasty)
def test_no_words_become_markup(words: str) -> None:
    turned = REPORT.model_copy(
        update={"reason": words, "service": words, "troubles": (words,), "aborted": words}
    )
    page = html_page(turned)
    assert read(page).tags == read(html_page(MISSED)).tags
    ElementTree.fromstring(timeline.draw(turned))
    for table in re.findall(r"(?:^\|.*\n)+", markdown_page(turned), re.MULTILINE):
        assert len({len(BORDER.findall(line)) for line in table.splitlines()}) == 1


def test_markdown_has_every_table_with_as_many_cells_as_heads() -> None:
    page = markdown_page(REPORT)
    assert page.startswith("# Drill of wallet, dc1 to dc2 and back: passed\n")
    titles = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert titles == [
        "Objectives", "Moves", "Steps: dc1 to dc2, epoch 3", "Steps: dc2 to dc1, epoch 4",
        "Times without an answer", "Checks before", "What happened",
    ]  # fmt: skip
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "intent" not in page


def boxes(svg: str) -> list[tuple[str, float, float]]:
    """Style, left and right of every box."""
    return [
        (
            box.get("class", ""),
            float(box.get("x", "0")),
            float(box.get("x", "0")) + float(box.get("width", "0")),
        )
        for box in ElementTree.fromstring(svg).iter(f"{SVG}rect")
    ]


@pytest.mark.parametrize("report", ALL, ids=["passed", "failed", "empty"])
def test_nothing_is_drawn_outside(report: DrillReport) -> None:
    svg = timeline.draw(report)
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    assert all(0 <= left <= right <= width for _, left, right in boxes(svg))
    assert all(0 < float(text.get("y", "0")) <= height for text in root.iter(f"{SVG}text"))


def test_each_answer_and_gap_has_its_place() -> None:
    found = boxes(timeline.draw(REPORT))
    home = [(left, right) for style, left, right in found if style == "own"]
    away = [right - left for style, left, right in found if style == "other"]
    (gap,) = [(left, right) for style, left, right in found if style == "hot"]
    assert len(home) == 2
    assert home[0][1] <= gap[0] + 0.1
    assert max(away) > 10 * (home[0][1] - home[0][0])
    assert gap[1] - gap[0] >= timeline.LEAST


@given(st.floats(0.001, 1e5))
def test_ticks_are_few_and_within(length_s: float) -> None:
    found = list(timeline.ticks(length_s))
    assert found[0] == 0
    assert 4 <= len(found) <= 12
    assert found[-1] <= length_s * 1.001
    steps = {round((b - a) / (found[1] - found[0]), 3) for a, b in pairwise(found)}
    assert steps == {1.0}


def test_the_terminal_is_told_the_short_of_it() -> None:
    said = [line.plain for line in report_lines(MISSED)]
    assert said[0] == "drill of wallet, dc1 to dc2 and back: failed"
    assert "  ended early: no good answer for 6.0 s" in said
    assert said[-1] == "  wallet stays at dc2"
