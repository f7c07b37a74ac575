"""`tricast fence` and `unfence`, as a person sees them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.changes import events
from controller.cli.exit_codes import ExitCode
from controller.cli.explain import explain_lines
from controller.cli.main import main
from controller.cli.status_view import status_lines
from controller.core.requests import in_force
from controller.web.fence_schema import ClosingView, FenceView
from controller.web.schema import Status, explain
from tests.core.turned import report, serving
from tests.core.views import DC1
from tests.web.office import Office
from tests.web.sample import STEADY, daemon

Captured = pytest.CaptureFixture[str]
HELD = STEADY.services[0].holder
CLOSED = ClosingView(service=STEADY.services[0].name, by=HELD, at="now")
ROW = FenceView(site="dc2", number=1, by="ada", at="then", reason="flooded", told_by=("dc1",))
ONE = STEADY.model_copy(update={"services": STEADY.services[:1]})


def shown(*rows: FenceView) -> Status:
    return ONE.model_copy(update={"fences": rows})


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(report(serving(), DC1, eligible=True), tmp_path)


@pytest.fixture
def sock(tmp_path: Path, office: Office) -> Iterator[str]:
    with daemon(office, tmp_path / "s.sock", office.desk):
        yield str(tmp_path / "s.sock")


def fence(sock: str, *more: str) -> int:
    return main(["fence", "dc2", "--yes", "--reason", "flooded", *more, "--socket", sock])


def test_a_fence_is_followed_until_it_is_closed_from_outside(
    sock: str, office: Office, capsys: Captured
) -> None:
    office.now = shown(ROW)
    assert fence(sock, "--timeout", "0.3") == ExitCode.UNKNOWN  # nobody has tried to close it
    capsys.readouterr()
    failed = CLOSED.model_copy(update={"failed": ("ledger at dc2: no route",)})
    office.now = shown(ROW.model_copy(update={"closings": (failed,)}))
    assert main(["unfence", "dc2", "--no-wait", "--socket", sock]) == ExitCode.DONE
    capsys.readouterr()
    assert fence(sock) == ExitCode.DONE
    said = capsys.readouterr()
    assert said.out == "request 2 (fence of dc2) is open\n"
    assert "dc2: dc1 could not close all of wallet: ledger at dc2: no route" in said.err
    assert in_force(office.records.requests.fences()[office.view.me])


def test_a_holder_is_not_kept_out_while_it_holds(sock: str, office: Office) -> None:
    held = ONE.services[0].model_copy(update={"holder": "dc2"})
    by = CLOSED.model_copy(update={"by": "dc2"})
    office.now = shown(ROW.model_copy(update={"closings": (by,)})).model_copy(
        update={"services": (held,)}
    )
    assert fence(sock, "--timeout", "0.3") == ExitCode.UNKNOWN


def test_an_end_is_over_when_no_daemon_keeps_it_out(
    sock: str, office: Office, capsys: Captured
) -> None:
    assert fence(sock, "--no-wait") == ExitCode.DONE
    office.now = shown(ROW.model_copy(update={"in_force": False}))
    asked = ["unfence", "dc2", "--reason", "dry", "--timeout", "0.3", "--socket", sock]
    assert main(asked) == ExitCode.UNKNOWN
    assert "dc2 is unfenced; dc1 still keeps it out" in capsys.readouterr().err
    assert main(asked) == ExitCode.REFUSED
    assert fence(sock, "--no-wait") == ExitCode.DONE
    office.now = shown()
    capsys.readouterr()
    assert main(asked) == ExitCode.DONE
    assert capsys.readouterr().out == "request 2 (fence of dc2) is withdrawn: dry\n"


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["fence", "moon", "--reason", "x"], ExitCode.USAGE, "'moon' is no data site"),
        (["fence", "witness", "--reason", "x"], ExitCode.USAGE, "witness is a witness"),
        (["fence", "dc2"], ExitCode.USAGE, "a fence needs a --reason"),
        (["unfence", "dc2"], ExitCode.REFUSED, "dc2 is not fenced"),
    ],
)
def test_what_is_refused(
    sock: str, capsys: Captured, words: list[str], code: ExitCode, why: str
) -> None:
    assert main([*words, "--yes", "--socket", sock]) == code
    assert why in capsys.readouterr().err


def test_without_a_terminal_nobody_is_asked_back(sock: str, capsys: Captured) -> None:
    assert main(["fence", "dc2", "--reason", "x", "--socket", sock]) == ExitCode.USAGE
    assert "Fence dc2? What it holds is taken from it now" in capsys.readouterr().err


def test_status_and_explain_say_it_loudly() -> None:
    status = shown(ROW.model_copy(update={"closings": (CLOSED,)}))
    for lines in (status_lines(status, 100), explain_lines(explain(status))):
        text = "\n".join(line.plain for line in lines)
        assert "FENCED: dc2 is kept out, by ada since then: flooded; tricast unfence dc2" in text
        assert "FENCED: dc2: dc1 closed its databases of wallet" in text
    text = "\n".join(line.plain for line in status_lines(shown(ROW), 100))
    assert "no other site has tried to close its databases yet" in text


def test_watch_tells_of_its_begin_its_closing_and_its_end() -> None:
    closed = shown(ROW.model_copy(update={"closings": (CLOSED,)}))
    assert [e.sentence for e in events(shown(), closed)] == [
        "dc2 is kept out, by ada since then: flooded; tricast unfence dc2 ends it",
        "dc2: dc1 closed its databases of wallet",
    ]
    assert [e.sentence for e in events(shown(ROW), closed)] == [
        "dc2: dc1 closed its databases of wallet"
    ]
    over = shown(ROW.model_copy(update={"in_force": False}))
    assert [e.sentence for e in events(closed, over)] == ["dc2 is fenced no more"]
