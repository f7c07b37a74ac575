"""Right clusters, drawn: each loads without a problem, and what is made of it can be used."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgp.exabgp_conf import render
from bgp.spec import BgpSpec
from controller.config import Cluster, inspect_text
from controller.config.speaker_spec import speaker_spec
from controller.config.yaml_lines import read_yaml

REFERENCE = (Path(__file__).parents[2] / "configs/tricast.yml").read_text()
RIGHT: Any = read_yaml(REFERENCE, "tricast.yml").data


@st.composite
def clusters(draw: st.DrawFn) -> dict[str, Any]:
    """The reference with what is free to choose chosen otherwise."""
    data: dict[str, Any] = read_yaml(REFERENCE, "tricast.yml").data  # type: ignore[assignment]
    data["cluster"] = draw(st.from_regex(r"[a-z][a-z0-9]{0,20}", fullmatch=True))
    for number, site in enumerate(("dc1", "dc2")):
        data["sites"][site]["weight"] = draw(st.integers(1, 1000))
        data["sites"][site]["bgp"]["local_as"] = draw(st.integers(64512, 65534))
        for neighbor in data["sites"][site]["bgp"]["neighbors"]:
            neighbor["remote_as"] = draw(st.integers(64496, 64511)) + number
            neighbor["hold_s"] = draw(st.integers(3, 60))
            neighbor.pop("password_file", None)
    stances = sorted(draw(st.lists(st.integers(0, 5), min_size=4, max_size=4, unique=True)))
    named = zip(("override", "preferred", "backup", "isolated"), stances, strict=True)
    data["bgp"]["stances"] = dict(named)
    taken = (data["api"]["port"], data["api"]["tls"]["port"])
    port = st.integers(1024, 65535).filter(lambda port: port not in taken)
    data["heartbeat"]["port"] = draw(port)
    if draw(st.booleans()):
        data["timings"] = {"flap_window_s": draw(st.integers(60, 86400))}
        data["profile"] = draw(st.sampled_from(["fast", "metro", "wan"]))
    return data


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), st.booleans())
def test_a_right_cluster_loads_and_its_speakers_can_be_configured(
    data: dict[str, Any], folded: bool
) -> None:
    found = inspect_text(yaml.safe_dump(data, default_flow_style=folded), "x.yml")
    assert [problem.render() for problem in found.problems] == []
    assert isinstance(found.cluster, Cluster)
    for site in found.cluster.data_sites:
        spec = speaker_spec(found.cluster, site)
        assert BgpSpec.from_json(spec.to_json()) == spec
        text = render(spec, ["/usr/bin/tricast", "speaker"])
        assert all(f"neighbor {each.address} " in text for each in spec.neighbors)


LINES = [
    number
    for number, line in enumerate(REFERENCE.splitlines())
    if re.match(r"\s*[a-z_]+: [^#\s&*\[{]", line)
]


def _no_such_key(line: str) -> str:
    return re.sub(r"^(\s*)([a-z_]+):", r"\1\2_zz:", line)


def _wrong_kind(line: str) -> str:
    return re.sub(r":.*$", ": [[1]]", line)


def _not_yaml(line: str) -> str:
    return re.sub(r":.*$", ": {", line)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(LINES), st.sampled_from([_no_such_key, _wrong_kind]))
def test_a_wrong_line_is_named_with_its_key(number: int, harm: Callable[[str], str]) -> None:
    lines = REFERENCE.splitlines()
    lines[number] = harm(lines[number])
    key = lines[number].strip().partition(":")[0].removeprefix("- ")
    problems = inspect_text("\n".join(lines), "x.yml").problems
    named = [problem for problem in problems if problem.line == number + 1]
    assert named, [problem.render() for problem in problems]
    assert any(key in problem.key or key in problem.sentence for problem in named)
    assert all(problem.render().startswith(f"x.yml:{number + 1}: ") for problem in named)


@given(st.sampled_from(LINES))
def test_a_line_that_is_no_yaml_is_named(number: int) -> None:
    lines = REFERENCE.splitlines()
    lines[number] = _not_yaml(lines[number])
    (problem,) = inspect_text("\n".join(lines), "x.yml").problems
    assert "is not YAML" in problem.sentence
    assert problem.line >= number + 1
