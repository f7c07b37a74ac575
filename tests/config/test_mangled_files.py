"""Whatever stands in the file, the answer is a cluster or a list of problems, never a traceback."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.config import inspect_text

LINES = (Path(__file__).parents[2] / "configs/tricast.yml").read_text().splitlines()
PLAIN = [line for line in LINES if line.strip() and not line.lstrip().startswith("#")]

mangles = st.lists(
    st.tuples(
        st.integers(0, len(PLAIN) - 1),
        st.sampled_from(
            ["drop", "twice", "null", "number", "list", "text", "indent", "swap", "neg"]
        ),
    ),
    min_size=1,
    max_size=4,
)


def mangled(lines: list[str], number: int, how: str) -> list[str]:
    line = lines[number % len(lines)]
    key = line.partition(":")[0] + ":"
    changed = {
        "drop": [],
        "twice": [line, line],
        "null": [key],
        "number": [f"{key} 999999999999999999999999"],
        "list": [f"{key} [[], {{}}, ~]"],
        "text": [f"{key} '\u2028x\u0000'" if number % 2 else f"{key} \u00e9\u4e2d"],
        "indent": ["  " + line],
        "swap": [line.replace("1", "2")],
        "neg": [f"{key} -1"],
    }[how]
    at = number % len(lines)
    return [*lines[:at], *changed, *lines[at + 1 :]] or ["x: 1"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mangles)
def test_a_mangled_file_is_judged(changes: list[tuple[int, str]]) -> None:
    lines = PLAIN
    for number, how in changes:
        lines = mangled(lines, number, how)
    found = inspect_text("\n".join(lines), "tricast.yml")
    assert found.cluster is not None or found.problems
    for problem in (*found.problems, *found.warnings):
        assert problem.sentence
        assert problem.render().startswith("tricast.yml")


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_judged(text: str) -> None:
    assert inspect_text(text, "x").problems
