"""The lab with MySQL: what of the topology changes, and that the files it is given are right."""

import json
from pathlib import Path

import pytest

from lab.mysql import variant
from lab.netns.error import LabError
from lab.netns.topology import NodeSpec, read_topology

PLAIN = read_topology()
OURS = variant.on_mysql(PLAIN)


def sources(node: NodeSpec) -> dict[str, str]:
    return {bind.target: bind.source for bind in node.binds}


def test_every_server_of_the_journal_sees_the_programs() -> None:
    seen = {name for name, node in OURS.nodes.items() if str(variant.ROOT) in sources(node)}
    assert seen == {"dc1-db", "dc2-db", "witness"}


def test_every_daemon_is_told_and_nothing_else_is_bound_anew() -> None:
    changed = set()
    for name, node in OURS.nodes.items():
        before, after = sources(PLAIN.nodes[name]), sources(node)
        changed |= {after[target] for target in before if after[target] != before[target]}
    assert changed == {f"__clabDir__/mysql/{name}" for name in variant.CHANGED}


def test_the_rendered_files_say_mysql_and_only_that(tmp_path: Path) -> None:
    variant.render(OURS, tmp_path)
    assert variant.rendered(tmp_path)
    for role in ("db", "witness"):
        name = f"nodes/{role}/hostagent.json"
        found = json.loads((tmp_path / "mysql" / name).read_text())
        before = json.loads((OURS.directory / name).read_text())
        journal = found["databases"]["journal"]
        assert journal["kind"] == "mysql"
        assert {**journal, "kind": "mariadb"} == {
            **before["databases"]["journal"],
            **variant.programs(),
        }
    text = (tmp_path / "mysql/nodes/tricast.yml").read_text()
    assert (
        text.replace("kind: mysql", "kind: mariadb")
        == (OURS.directory / "nodes/tricast.yml").read_text()
    )


def test_the_plain_lab_renders_nothing(tmp_path: Path) -> None:
    variant.render(PLAIN, tmp_path)
    assert not variant.rendered(tmp_path)


def test_a_lab_of_the_other_kind_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabError, match="take it down first"):
        variant.require(running=True)
    monkeypatch.setenv("LAB_MYSQL", "postgres")
    with pytest.raises(LabError, match="mariadb or mysql"):
        variant.wanted()
