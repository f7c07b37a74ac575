"""Good text is understood; bad text is refused with place, what was found, and what is allowed."""

import pytest

from lab.scenario.language import Head, Scenario, parse
from lab.scenario.problem import ScenarioError
from lab.scenario.words import World

GOOD = """\
# What happens when dc1 is gone.
scenario "dc1 is cut off"   # silently
rows: 1, 63
given a healthy cluster, dc1 holds wallet
at 1s cut dc1 silently
after 500ms kill the keeper of the ledger
then power off the witness
expect within 3s dc2 serves wallet
and no dc1 acknowledges a write
expect for 2m dc2 warns "the # of voters, and more"
expect somebody announces wallet
never two sites acknowledge
finally no acknowledged write is missing
"""
BEGINNING = 'scenario "x"\nrows: 1\ngiven a healthy cluster\nexpect dc1 holds wallet\n'
BAD = (
    ("at 1s cutt dc1 silently", 7, "found 'cutt' where an act begins", "cut"),
    ("at 1s cut dc4 silently", 11, "found 'dc4' after 'cut'", "dc1"),
    ("at 1s cut dc1", 14, "the line ends after 'cut dc1'", ""),
    ("at 1s cut dc1 silently now", 24, "found 'now' after 'cut dc1 silently'", ""),
    ("at 1s cut dc1 from dc1", 20, "dc1 and itself", ""),
    ("at 1s drop replication from dc1 to dc1", 36, "dc1 and itself", ""),
    ("at 1s kill daemon at dc1", 22, "there is no daemon at dc1", ""),
    ("at 1s stop ledger at dc1", 12, "found 'ledger' after 'stop'", ""),
    ("at 1 cut dc1 silently", 4, "found '1' after 'at', where a duration stands", ""),
    ("at", 1, "found the end of the line after 'at'", ""),
    ("expect within dc1 serves wallet", 15, "found 'dc1' after 'within'", ""),
    ("expect within 3s dc2 serve wallet", 22, "found 'serve' after 'dc2'", "serves"),
    ("expect dc2 is primry for wallet", 15, "found 'primry' after 'dc2 is'", "primary"),
    ('expect dc2 warns "unclosed', 18, "these quotes are not closed", ""),
    ("expect acknowledged write is missing", 8, "cannot stand after 'expect'", ""),
    ("never 5 writes are acknowledged", 7, "cannot stand after 'never'", ""),
    ("never two sites acknowledge, request fails", 28, "one sentence a line", ""),
    ("expct dc1 serves wallet", 1, "a line cannot begin with 'expct'", "expect"),
    ("given a heathy cluster", 9, "found 'heathy' where a beginning begins", "healthy"),
    ("given a healthy cluster, dc1 holds walet", 36, "found 'walet'", "wallet"),
    ("rows: 75", 7, "no row '75'", ""),
    ("rows:", 1, "which rows", ""),
    ("worlds: simm", 9, "no world 'simm'", "sim"),
    ("worlds: sim", 9, "one world alone needs its reason", ""),
    ("worlds: because", 1, "which worlds?", ""),
    ('scenario "x"', 10, "there is a scenario", ""),
    ("scenario x", 10, "a scenario has one title", ""),
)


def only(text: str) -> Scenario:
    """The one scenario of a text."""
    (found,) = parse(text, "good.scn")
    return found


def refused(text: str) -> ScenarioError:
    """What is said against a text."""
    with pytest.raises(ScenarioError) as caught:
        parse(text, "bad.scn")
    return caught.value


def test_a_scenario_is_what_its_text_says() -> None:
    scenario = only(GOOD)
    assert (scenario.title, scenario.rows, scenario.number) == ("dc1 is cut off", (1, 63), 2)
    assert scenario.worlds == frozenset(World)
    assert [str(phrase) for phrase in scenario.givens] == ["healthy cluster", "dc1 holds wallet"]
    assert [(line.head, line.seconds, str(line.phrase)) for line in scenario.lines] == [
        (Head.AT, 1.0, "cut dc1 silently"),
        (Head.AFTER, 0.5, "kill keeper of ledger"),
        (Head.THEN, 0.0, "power off witness"),
        (Head.WITHIN, 3.0, "dc2 serves wallet"),
        (Head.WITHIN, 3.0, "no dc1 acknowledges write"),
        (Head.FOR, 120.0, "dc2 warns the # of voters, and more"),
        (Head.NOW, 0.0, "somebody announces wallet"),
    ]
    assert [str(phrase) for phrase in scenario.nevers] == ["two sites acknowledge"]
    assert [phrase.negated for phrase in scenario.finals] == [True]


def test_a_file_may_hold_many() -> None:
    text = GOOD + GOOD.replace("dc1 is cut off", "dc1 is cut off again")
    assert [found.number for found in parse(text)] == [2, 15]


@pytest.mark.parametrize(("line", "column", "message", "near"), BAD)
def test_a_bad_line_is_refused(line: str, column: int, message: str, near: str) -> None:
    error = refused(BEGINNING + line + "\n")
    assert (error.file, error.line, error.column) == ("bad.scn", 5, column)
    assert message in error.message
    shown = error.render()
    assert shown.startswith(f"bad.scn:5:{column}: ")
    assert f"  {line}\n  {' ' * (column - 1)}^" in shown
    if near:
        assert near in error.near
        assert "did you mean" in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no scenario in this file"),
        ("at 1s cut dc1 silently\n", "'at' before any scenario"),
        ('scenario "x"\ngiven a healthy cluster\nexpect dc1 serves wallet\n', "no `rows:`"),
        ('scenario "x"\nrows: 1\nexpect dc1 serves wallet\n', "no `given`"),
        ('scenario "x"\nrows: 1\ngiven a new cluster\n', "nothing is expected"),
        ('scenario "x"\nrows: 1\nand dc1 holds wallet\n', "`and` needs a line before it"),
    ],
)
def test_an_unfinished_scenario_is_refused(text: str, message: str) -> None:
    assert message in refused(text).message


def test_a_world_that_cannot_do_something_is_not_promised() -> None:
    line = "at 1s drift clock of dc1 by 50%\nexpect dc1 serves wallet\n"
    error = refused(BEGINNING + line)
    assert "is for lab, but lab cannot 'drift clock of SITE by PERCENT'" in error.message
    sim = BEGINNING.replace("rows: 1", "rows: 1\nworlds: sim because there is one clock")
    scenario = only(sim + line)
    assert scenario.worlds == {World.SIM}
    assert scenario.why_not == "there is one clock"
