"""The lab with its journal on MySQL: the same topology, three of its files written anew.

The choice is the environment's when a lab is made, and the lab's own from then on.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab.netns.error import LabError
from lab.netns.topology import Bind, NodeSpec, Topology

ROOT: Final = Path("/var/cache/tricast/mysql")  # what `prepare` makes
RENDERED: Final = "mysql"  # below the lab's own directory
PROGRAMS: Final = {"program": "mysqld", "client": "mysql", "log_reader": "mysqlbinlog"}
CHANGED: Final = ("nodes/tricast.yml", "nodes/db/hostagent.json", "nodes/witness/hostagent.json")
JOURNAL: Final = "kind: mariadb"


def wanted() -> bool:
    """Whether the environment asks for MySQL."""
    asked = os.environ.get("LAB_MYSQL", "mariadb")
    if asked not in ("mariadb", "mysql"):
        raise LabError(f"LAB_MYSQL={asked}: it is mariadb or mysql")
    return asked == "mysql"


def programs() -> dict[str, str]:
    """The host agent's settings for the programs of ROOT."""
    return {setting: str(ROOT / "bin" / name) for setting, name in PROGRAMS.items()}


def rendered(state_dir: Path) -> bool:
    """Whether the lab of this directory was made with MySQL."""
    return (state_dir / RENDERED).is_dir()


def require(*, running: bool) -> None:
    """The servers are on this machine, and a lab that runs is not of the other kind."""
    if running:
        raise LabError("LAB_MYSQL=mysql, but the lab that is up has MariaDB; take it down first")
    if not (ROOT / "version").is_file():
        raise LabError(f"no MySQL at {ROOT}; run lab/mysql/prepare")


def on_mysql(topology: Topology) -> Topology:
    """The topology whose journal runs on MySQL."""
    return replace(topology, nodes={name: _node(node) for name, node in topology.nodes.items()})


def _node(node: NodeSpec) -> NodeSpec:
    binds = tuple(
        replace(bind, source=f"__clabDir__/{RENDERED}/{bind.source}")
        if bind.source in CHANGED
        else bind
        for bind in node.binds
    )
    if any(name in ("mariadb", "keeper-mariadb") for name in node.programs):
        binds = (*binds, Bind(source=str(ROOT), target=str(ROOT), read_only=True))
    return replace(node, binds=binds, env={**node.env, "LAB_MYSQL": "mysql"})


def render(topology: Topology, state_dir: Path) -> None:
    """The files that such a topology binds are there; nothing is done for any other topology."""
    ours = f"__clabDir__/{RENDERED}/"
    binds = {bind.source for node in topology.nodes.values() for bind in node.binds}
    for name in sorted(source.removeprefix(ours) for source in binds if source.startswith(ours)):
        target = state_dir / RENDERED / name
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        text = (topology.directory / name).read_text(encoding="utf-8")
        target.write_text(_agent(text) if name.endswith(".json") else _cluster(text))


def _agent(text: str) -> str:
    settings = json.loads(text)
    settings["databases"]["journal"].update(kind="mysql", **programs())
    return json.dumps(settings, indent=2) + "\n"


def _cluster(text: str) -> str:
    if text.count(JOURNAL) != 1:
        raise LabError(
            f"nodes/tricast.yml: {JOURNAL!r} is there {text.count(JOURNAL)} times, not 1"
        )
    return text.replace(JOURNAL, "kind: mysql")
