"""A database that comes back, as a person sees it: in the status, as events, as JSON."""

import json
from pathlib import Path

import pytest

from controller.cli.changes import events
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.cli.status_view import rejoin_line, status_lines
from controller.web.schema import DatabaseView, RejoinView, Status
from tests.web.sample import DC1, DC2, PRIMARY, STEADY, WALLET, WITNESS, Told, daemon, standby

MB = 1 << 20
COPYING = RejoinView(
    phase="base backup", since_s=14.2, phase_s=12.4, done_bytes=1200 * MB, total_bytes=4096 * MB,
    bytes_s=97 * MB, left_s=29.8,
)  # fmt: skip


def returning(rejoin: RejoinView | None) -> Status:
    """STEADY, but dc2's ledger comes back."""
    ledger: DatabaseView = standby(PRIMARY, liveness="down", streaming=False, rejoin=rejoin)
    dc2 = DC2.model_copy(update={"role": "rejoining", "databases": (ledger,)})
    wallet = WALLET.model_copy(update={"sites": (DC1, dc2, WITNESS)})
    return STEADY.model_copy(update={"services": (wallet,)})


@pytest.mark.parametrize(
    ("rejoin", "line"),
    [
        (COPYING, "base backup for 12s, 1.2GB/4.0GB (29%), 97MB/s, 30s left"),
        (RejoinView(phase="prepare", phase_s=3.21), "prepare for 3.2s"),
        (
            RejoinView(phase="copy", phase_s=1.0, done_bytes=0, total_bytes=0),
            "copy for 1.0s, 0/0",
        ),
        (
            RejoinView(phase="rewind", phase_s=1.0, done_bytes=5, total_bytes=10),
            "rewind for 1.0s, 5B/10B (50%)",
        ),
        (RejoinView(phase="copy", phase_s=1.0, done_bytes=4096), "copy for 1.0s, 4kB"),
    ],
)
def test_what_is_known_is_said(rejoin: RejoinView, line: str) -> None:
    assert rejoin_line(rejoin) == line


@pytest.mark.parametrize("width", [80, 140])
def test_the_status_tells_it_from_any_site(width: int) -> None:
    lines = [line.plain for line in status_lines(returning(COPYING), width)]
    told = " Rejoin: dc2 ledger: base backup for 12s, 1.2GB/4.0GB (29%), 97MB/s, 30s left"
    assert told in lines
    assert len(told) <= 80
    assert not any("Rejoin:" in line.plain for line in status_lines(returning(None), width))


def test_each_phase_is_an_event_and_how_far_it_is_none() -> None:
    further = COPYING.model_copy(update={"done_bytes": 1300 * MB, "phase_s": 13.4})
    start = RejoinView(phase="start", since_s=60.0, phase_s=0.5)

    def told(before: RejoinView | None, after: RejoinView | None) -> list[tuple[str, str, str]]:
        seen = events(returning(before), returning(after))
        return [(event.kind, event.site, event.sentence) for event in seen]

    begun = "ledger: base backup for 12s, 1.2GB/4.0GB (29%), 97MB/s, 30s left"
    assert told(None, COPYING) == [("rejoin", "dc2", begun)]
    assert told(COPYING, further) == []
    assert told(further, start) == [("rejoin", "dc2", "ledger: start for 0.5s")]
    over = "ledger: start is over, 60 s after it began"
    assert told(start, None) == [("rejoin", "dc2", over)]


def test_json_has_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(Told(returning(COPYING)), tmp_path / "s"):
        code = main(["status", "--json", "--socket", str(tmp_path / "s")])
    assert code == ExitCode.DONE
    site = json.loads(capsys.readouterr().out)["services"][0]["sites"][1]
    assert site["databases"][0]["rejoin"] == COPYING.model_dump()
