"""How a PostgreSQL becomes a prefix of the primary's, by what pg_rewind says of it."""

import subprocess
from pathlib import Path

import pytest

from controller.hostagent import pg_closed, pg_rejoin
from controller.hostagent.progress import FILE, Course
from controller.hostagent.wal import Fork
from controller.hostagent.wal_end import LogEnd

END = LogEnd(timeline=20, position=0x641C728, file_timeline=20, last_record=0x641C6C0)
FORK = Fork(19, 0x641C6C0)


class Server:
    """As much of one as pg_rewind's command line needs."""

    data_dir = Path("/data")
    gate_dir = Path("/gate")
    who = None

    @staticmethod
    def program(name: str) -> str:
        return name


@pytest.mark.parametrize(
    ("timelines", "method"),
    [
        ((19, 19), "cut"),
        ((19, 0), "cut"),
        # Promoted to 20, and stopped before a page was written under it: it goes on to ask for 20.
        ((19, 20), "a copy (its control file asks for timeline 20)"),
    ],
)
def test_a_log_is_cut_only_where_its_control_file_asks_for_nothing_beyond(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, timelines: tuple[int, int], method: str
) -> None:
    said = subprocess.CompletedProcess([], 0, "", "pg_rewind: no rewind required")
    monkeypatch.setattr(pg_rejoin, "run_telling", lambda *_, **__: said)
    monkeypatch.setattr(pg_rejoin, "copy_afresh", lambda _: "a copy")
    monkeypatch.setattr(pg_rejoin, "cut_log", lambda *_: None)
    monkeypatch.setattr(pg_closed, "control_timelines", lambda _: timelines)
    told = Course(tmp_path / FILE)
    source = pg_rejoin.Source(Server(), "10.2.0.20", "5432", "rejoin_dc1", told)  # type: ignore[arg-type]
    assert pg_rejoin.rewind(source, END, FORK) == method
