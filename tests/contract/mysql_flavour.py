"""Which server the contract tests of this family run: MariaDB, or MySQL where LAB_MYSQL=mysql."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from controller.adapters.mysql_dialect import DIALECTS, Dialect
from controller.core.model import DatabaseKind
from lab.mysql import variant

NODES: Final = Path(__file__).resolve().parents[2] / "lab/containerlab/nodes/db"


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """One kind of server, and what a test needs to know of it."""

    kind: DatabaseKind
    provision: Path
    client: str
    program: str
    programs: dict[str, str]  # settings of the host agent
    room: Path | None = None  # where the servers' files are; None: where any test's are
    missing: str = ""  # why it cannot be run here

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.kind]

    @property
    def mysql(self) -> bool:
        return self.kind is DatabaseKind.MYSQL


def _mariadb() -> Flavour:
    return Flavour(
        kind=DatabaseKind.MARIADB,
        provision=NODES / "mariadb/provision.sh",
        client="mariadb",
        program="mariadbd",
        programs={},
    )


def _mysql() -> Flavour:
    programs = variant.programs()
    prepared = (variant.ROOT / "version").is_file()
    return Flavour(
        kind=DatabaseKind.MYSQL,
        provision=NODES / "mysql/provision.sh",
        client=programs["client"],
        program=programs["program"],
        programs=programs,
        room=Path("/dev/shm"),  # its files are large, and synced often
        missing="" if prepared else f"no MySQL at {variant.ROOT}; run lab/mysql/prepare",
    )


FLAVOUR: Final = _mysql() if variant.wanted() else _mariadb()
mariadb_only: Final = pytest.mark.skipif(FLAVOUR.mysql, reason="of MariaDB, not of MySQL")
mysql_only: Final = pytest.mark.skipif(not FLAVOUR.mysql, reason="of MySQL: LAB_MYSQL=mysql")
