"""The files we ship load, and the reference names every key with its default."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from controller.config import PROFILES, Cluster, Profile, inspect, inspect_text, load
from controller.config.structure import _bare
from controller.config.yaml_lines import read_yaml
from controller.core.model import SiteName

ROOT = Path(__file__).parents[2]
LAB = ROOT / "lab/containerlab/nodes/tricast.yml"
REFERENCE = ROOT / "configs/tricast.yml"
UNCOMMENTED = re.sub(r"^(\s*)# ([a-z_]+: \S+)$", r"\1\2", REFERENCE.read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("path", [LAB, REFERENCE], ids=lambda path: path.parent.name)
def test_it_loads_without_a_problem(path: Path) -> None:
    found = inspect(path)
    assert [problem.render() for problem in found.problems] == []
    assert found.cluster == load(path)


def test_the_reference_gives_no_warning_but_those_it_means() -> None:
    assert [problem.render() for problem in inspect(REFERENCE).warnings] == []


def models_under(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for kind in _kinds(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from models_under(kind)


def _kinds(annotation: object) -> Iterator[object]:
    bare = _bare(annotation)
    yield bare
    for argument in get_args(bare):
        yield from _kinds(argument)


def keys_seen(data: object, model: object, seen: dict[type[BaseModel], set[str]]) -> None:
    """Notes which keys of each model the data gives, walking both side by side."""
    kind = _bare(model)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(data, dict):
        seen.setdefault(kind, set()).update(data)
        for key, value in data.items():
            keys_seen(value, kind.model_fields[key].annotation, seen)
    elif isinstance(data, dict) and len(get_args(kind)) == 2:
        for value in data.values():
            keys_seen(value, get_args(kind)[1], seen)
    elif isinstance(data, list):
        for value in data:
            keys_seen(value, get_args(kind)[0], seen)


def test_every_key_of_every_model_stands_in_the_reference() -> None:
    seen: dict[type[BaseModel], set[str]] = {}
    keys_seen(read_yaml(UNCOMMENTED, "x").data, Cluster, seen)
    missing = {
        model.__name__: sorted(set(model.model_fields) - seen.get(model, set()))
        for model in models_under(Cluster)
    }
    assert {name: keys for name, keys in missing.items() if keys} == {}


def comments_above(key: str) -> Iterator[str]:
    """The comment block above each commented occurrence of a key."""
    block: list[str] = []
    for line in UNCOMMENTED.splitlines():
        if line.lstrip().startswith("#"):
            block.append(line.lstrip(" #"))
            continue
        if re.match(rf"\s*(- )?{key}:", line) and block:
            yield " ".join(block)
        block = []


def test_every_key_says_its_default_or_that_it_is_required() -> None:
    lacking = []
    for model in models_under(Cluster):
        for name, field in model.model_fields.items():
            if model.__name__ in {"Stances", "Timings"}:
                continue
            wanted = "Required." if field.is_required() else "Default:"
            if not any(wanted in block for block in comments_above(name)):
                lacking.append((model.__name__, name, wanted))
    assert lacking == []


def _plain_default(field: Any) -> str | None:
    default = field.default
    if default is PydanticUndefined or isinstance(default, BaseModel | tuple):
        return None
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default is None else str(default)


def test_the_defaults_it_names_are_the_true_ones() -> None:
    wrong = []
    for model in models_under(Cluster):
        for name, field in model.model_fields.items():
            default = _plain_default(field)
            if default in (None, "none", "") or model.__name__ == "Timings":
                continue
            said = [
                b.split("Default: ")[1].split()[0] for b in comments_above(name) if "Default: " in b
            ]
            if not any(_same(text, default) for text in said):
                wrong.append((model.__name__, name, said, default))
    assert wrong == []


def _same(text: str, default: str) -> bool:
    text = text.rstrip(".,")
    if re.fullmatch(r"[0-9.]+", text) and re.fullmatch(r"[0-9.]+", default):
        return float(text) == float(default)
    return text == default


@pytest.mark.parametrize("name", list(PROFILES[Profile.FAST].model_dump()))
def test_the_reference_names_the_timings_of_all_profiles(name: str) -> None:
    [block] = comments_above(name)
    said = block.split("Default: ")[1].split(" Danger:")[0]
    values = [float(text) for text in said.split(" / ")]
    assert values == [getattr(PROFILES[profile], name) for profile in Profile]


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("durability", ["quorum", "lease"])
def test_each_profile_holds_its_own_inequalities(profile: Profile, durability: str) -> None:
    text = LAB.read_text().replace("profile: fast", f"profile: {profile}")
    text = text.replace("  controller_grace_s: 20\n", "")
    text = text.replace("durability: quorum", f"durability: {durability}")
    found = inspect_text(text, "x")
    assert [problem.render() for problem in found.problems] == []
    assert found.cluster is not None
    assert found.cluster.timings == PROFILES[profile]


def test_single_timings_override_the_profile() -> None:
    cluster = load(LAB)
    assert cluster.timings.controller_grace_s == 20
    assert cluster.timings.suspect_after_s == PROFILES[Profile.FAST].suspect_after_s


def test_the_lab_has_the_addresses_of_the_lab() -> None:
    cluster = load(LAB)
    assert cluster.data_sites == ("dc1", "dc2")
    assert cluster.witnesses == ("witness",)
    assert cluster.etcd_endpoints(SiteName("dc2"))[0] == "http://10.2.0.1:2379"
    assert len(cluster.etcd_endpoints(SiteName("dc2"))) == 3
    assert cluster.api_address(SiteName("witness")) == "10.3.0.1"
    wallet = cluster.service("wallet")
    assert wallet.database("ledger").voter_user(SiteName("witness")) == "voter_witness"
    assert wallet.database("journal").rejoin_user(SiteName("dc2")) == "rejoin_dc2"
    assert [app.name for app in wallet.apps_of(SiteName("dc2"))] == ["app1", "app2"]
    assert cluster.service("lobby").holder == "dc2"


def test_a_cluster_cannot_be_changed() -> None:
    cluster = load(LAB)
    with pytest.raises(ValueError, match="frozen"):
        cluster.state_dir = "/tmp"


def test_yaml_words_that_others_take_for_booleans_stay_text() -> None:
    document = read_yaml(
        "a: no\nb: on\nc: 12:30\nd: 010\ne: true\nf: 1e-1\ng: ~\nh: 2026-01-01", "x"
    )
    assert document.data == {
        "a": "no", "b": "on", "c": "12:30", "d": 10, "e": True, "f": 0.1, "g": None,
        "h": "2026-01-01",
    }  # fmt: skip


def test_a_bare_stance_number_is_its_prepends() -> None:
    text = LAB.read_text().replace("bgp:\n  allowed", "bgp:\n  stances: {backup: 4}\n  allowed")
    cluster = inspect_text(text, "x").cluster
    assert cluster is not None
    assert cluster.bgp.stances.backup.prepends == 4
    assert cluster.bgp.stances.preferred.prepends == 1
