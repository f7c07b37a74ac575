"""A soak's phases follow from its seed; each act of the lab is drawn, mends, or has a reason."""

import os
import re
import subprocess
import sys

import pytest

from lab.scenario.matching import Phrase, Token, match
from lab.scenario.words import ACTS, Kind, World
from lab.soak.catalogue import DRAWN, LEFT_OUT, Reach
from lab.soak.draw import FORMS, TAKES_LONG, Phase, go_together, phase, phases, sites_of

MENDINGS = {drawn.mended_by for drawn in DRAWN.values() if drawn.mended_by}
MANY = [phase(seed, number) for seed in (1, 2, 3) for number in range(1, 301)]


def said(text: str) -> Phrase:
    found = match(Kind.ACT, [Token(word, 1) for word in text.split()])
    assert isinstance(found, Phrase), found
    return found


def acts(found: Phase) -> list[tuple[float, str]]:
    """When it does what."""
    lines = re.findall(r"^at ([0-9.]+)s (.*)$", found.text, re.MULTILINE)
    return [(float(at), text) for at, text in lines]


def test_every_act_that_the_lab_can_do_is_drawn_or_mends_or_has_a_reason() -> None:
    able = {form.key for form in ACTS if World.LAB in form.worlds()}
    assert set(DRAWN) | MENDINGS | set(LEFT_OUT) == able
    assert not set(DRAWN) & set(LEFT_OUT)
    assert not MENDINGS & set(LEFT_OUT)
    assert all(len(reason.split()) > 2 for reason in LEFT_OUT.values())


def test_what_mends_asks_for_nothing_that_the_fault_does_not_name() -> None:
    for key, drawn in DRAWN.items():
        if drawn.mended_by:
            capitals = {word for word in FORMS[drawn.mended_by].words if word.isupper()} - {"WAN"}
            assert capitals <= set(FORMS[key].words)


def test_the_same_seed_gives_the_same_phases_today_and_tomorrow() -> None:
    code = "from lab.soak.draw import phase; [print(phase(7, n).text) for n in range(1, 50)]"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "".join(f"{phase(7, number).text}\n" for number in range(1, 50))
    assert len({found.text.partition("given")[2] for found in MANY}) > 800


def test_a_phase_is_the_same_alone_and_in_its_place() -> None:
    series = phases(4)
    first = [next(series) for _ in range(5)]
    assert [found.number for found in first] == [1, 2, 3, 4, 5]
    assert first[4] == phase(4, 5)


def test_a_holder_that_is_named_changes_nothing_else() -> None:
    named = phase(4, 5, "dc2")
    assert "given a healthy cluster, dc2 holds wallet\n" in named.text
    assert acts(named) == acts(phase(4, 5))


def test_every_phase_is_a_scenario_for_the_lab_that_looks_for_lost_writes() -> None:
    for found in MANY:
        scenario = found.scenario()
        assert scenario.worlds == {World.LAB}
        assert [str(never) for never in scenario.nevers] == ["two sites acknowledge"]
        assert [str(last) for last in scenario.finals] == ["no acknowledged write is missing"]


def test_every_fault_that_lasts_is_mended_after_it() -> None:
    for found in MANY:
        course = acts(found)
        assert [at for at, _ in course] == sorted(at for at, _ in course)
        texts = [text for _, text in course]
        for fault in found.faults:
            if fault.mended:
                begins = next(n for n, text in enumerate(texts) if said(text) == fault.phrase)
                assert fault.mended in texts[begins + 1 :], found.text


def test_everything_is_drawn_alone_and_in_pairs() -> None:
    drawn = {fault.phrase.key for found in MANY for fault in found.faults}
    assert drawn == set(DRAWN)
    assert {len(found.faults) for found in MANY} == {1, 2, 3, 4}


def test_links_are_healed_before_anything_is_started() -> None:
    for found in MANY:
        mended = [said(fault.mended).key for fault in found.faults[:2] if fault.mended]
        texts = [said(text).key for _, text in acts(found)]
        if sorted(mended) == ["heal", "start"] and texts.index("start") > 1:
            assert texts.index("heal") < texts.index("start")


def test_what_goes_with_nothing_is_a_phase_of_its_own() -> None:
    for found in MANY:
        if any(fault.drawn.reach is Reach.ALONE for fault in found.faults):
            assert len(found.faults) == 1


def test_what_takes_long_comes_second() -> None:
    for found in MANY:
        if len(found.faults) == 2 and found.faults[0].phrase.key in TAKES_LONG:
            first, second = (at for at, _ in acts(found)[:2])
            assert second > first + 1


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("cut dc1 silently", "kill ledger at dc1", True),
        ("power off dc1", "kill ledger at dc1", False),
        ("kill ledger at dc1", "power off dc1", False),
        ("power off dc1", "kill ledger at dc2", True),
        ("power off dc1", "power off dc2", True),
        ("power off witness", "freeze keeper of journal", False),
        ("freeze dc1", "kill controller everywhere", False),
        ("freeze dc1", "cut dc1 from dc2", False),
        ("pause wallet", "cut dc1 silently", True),
        ("pause wallet", "stop etcd everywhere", False),
        ("cut dc1 silently", "pause wallet", False),
        ("kill ledger at dc1", "compact store", False),
        ("kill ledger at dc1", "kill ledger at dc1", False),
    ],
)
def test_what_goes_together(first: str, second: str, *, together: bool) -> None:
    assert go_together(said(first), said(second)) is together


@pytest.mark.parametrize(
    ("text", "sites"),
    [
        ("cut dc1 from witness", {"dc1", "witness"}),
        ("drop replication from dc2 to witness", {"dc2", "witness"}),
        ("kill keeper of ledger", {"witness"}),
        ("stop etcd everywhere", {"dc1", "dc2", "witness"}),
        ("kill app1 everywhere", {"dc1", "dc2"}),
        ("pause wallet", set()),
    ],
)
def test_the_sites_that_a_fault_concerns(text: str, sites: set[str]) -> None:
    assert sites_of(said(text)) == sites
