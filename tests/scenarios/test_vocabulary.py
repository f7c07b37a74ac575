"""The vocabulary means one thing, is done by the worlds it names, and is documented as it is."""

from pathlib import Path

import pytest

from lab.netns.topology import read_topology
from lab.scenario.acts import ACTS as LAB_ACTS
from lab.scenario.arguments import ARGUMENTS, CLIENTS, PROGRAMS, RUNS_AT, SITES, UNITS, Argument
from lab.scenario.language import parse
from lab.scenario.matching import Phrase, Token, match
from lab.scenario.pages import page, plain
from lab.scenario.places import everywhere
from lab.scenario.sight import CONDITIONS as LAB_CONDITIONS
from lab.scenario.words import VOCABULARY, Form, Kind, World, forms_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "scenarios.md"


def example(argument: Argument) -> str:
    """Something that can stand for an argument."""
    given = {"DURATION": "3s", "COUNT": "2", "RULE": "321", "PERCENT": "30%", "TEXT": '"words"'}
    if argument.name == "OTHER":
        return "dc2"
    if argument.name == "SITE":
        return "witness"
    return given.get(argument.name) or argument.values[0]


def said(form: Form) -> str:
    """A sentence of this form."""
    words = [example(ARGUMENTS[word]) if word in ARGUMENTS else word for word in form.words]
    if {"PROGRAM", "UNIT"} & set(form.words) and "SITE" in form.words:
        words[form.words.index("SITE")] = "dc1"
    return " ".join(words)


@pytest.mark.parametrize("form", VOCABULARY, ids=lambda form: form.pattern)
def test_a_sentence_is_understood_as_its_own_form(form: Form) -> None:
    tokens = [Token(word, 1) for word in said(form).split()]
    found = match(form.kind, tokens)
    assert isinstance(found, Phrase), found
    assert found.form is form


def test_every_form_has_a_key_of_its_own() -> None:
    for kind in Kind:
        keys = [form.key for form in forms_of(kind)]
        assert len(keys) == len(set(keys))


def test_the_lab_does_what_it_is_said_to_do() -> None:
    for kind, table in ((Kind.ACT, LAB_ACTS), (Kind.CONDITION, LAB_CONDITIONS)):
        promised = {form.key for form in forms_of(kind) if World.LAB in form.worlds()}
        assert promised == set(table)


def test_whatever_one_world_cannot_do_the_other_can() -> None:
    assert all(form.worlds() for form in VOCABULARY)


def test_the_names_are_those_of_the_lab() -> None:
    topology = read_topology()
    assert topology.sites == SITES
    assert set(CLIENTS) <= set(topology.nodes)
    assert set(UNITS) <= set(PROGRAMS) == set(RUNS_AT)
    for name in PROGRAMS:
        for node, program in everywhere(name):
            assert program == "speaker" or program in topology.node(node).programs


def test_the_document_is_fresh() -> None:
    assert DOCUMENT.read_text() == page(), "run: make docs"


def test_every_form_is_in_the_document_and_on_the_terminal() -> None:
    for form in VOCABULARY:
        assert f"| `{form.pattern}` | {form.meaning}" in page()
        assert form.pattern in plain()


def test_the_document_s_example_is_a_scenario() -> None:
    lines = DOCUMENT.read_text().splitlines()
    example_lines = [line.removeprefix("    ") for line in lines if line.startswith("    ")]
    (scenario,) = parse("\n".join(example_lines))
    assert scenario.rows == (1,)
