"""`tricast rejoin` and `reinit`: what is asked back, what is shown, and the exit code."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.core.requests import Kind, State
from controller.web.schema import RejoinView, Status
from tests.core.turned import follower, serving, state
from tests.core.views import DC1, WALLET
from tests.web.office import Office
from tests.web.sample import STEADY, daemon

Captured = pytest.CaptureFixture[str]
REINIT = ("reinit", "dc1", "--database", "ledger", "--reason", "bad sectors")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(serving(), tmp_path)


@pytest.fixture
def sock(tmp_path: Path, office: Office) -> Iterator[str]:
    with daemon(office, tmp_path / "s.sock", office.desk):
        yield str(tmp_path / "s.sock")


def copying(phase: str) -> Status:
    """dc1's copy of the sample comes back."""
    service = STEADY.services[0]
    sites = tuple(
        site.model_copy(
            update={
                "databases": tuple(
                    copy.model_copy(
                        update={"rejoin": RejoinView(phase=phase, done_bytes=250, total_bytes=1000)}
                    )
                    for copy in site.databases
                )
            }
        )
        if site.site == "dc1"
        else site
        for site in service.sites
    )
    return STEADY.model_copy(update={"services": (service.model_copy(update={"sites": sites}),)})


def test_a_rejoin_is_followed_until_every_copy_votes(
    sock: str, office: Office, capsys: Captured
) -> None:
    office.now = copying("rewind")
    office.ends = [(State.RUNNING, "dc1 tries again"), (State.DONE, "ledger votes at dc1")]
    assert main(["rejoin", "dc1", "--socket", sock]) == ExitCode.DONE
    out, err = capsys.readouterr()
    assert out == ("request 1 (rejoin of every database at dc1) is done: ledger votes at dc1\n")
    assert "is running: dc1 tries again [" in err
    assert "ledger rewind 25%" in err


def test_a_rejoin_says_why_it_does_not_vote(sock: str, office: Office, capsys: Captured) -> None:
    office.ends = [(State.RUNNING, "dc1 tries again"), (State.FAILED, "ledger: no space")]
    asked = ["rejoin", "dc1", "--database", "ledger", "--socket", sock]
    assert main(asked) == ExitCode.FAILED
    out = capsys.readouterr().out
    assert out == "request 1 (rejoin of ledger at dc1) is failed: ledger: no space\n"


def test_when_the_time_is_up_it_says_how_far_it_is(
    sock: str, office: Office, capsys: Captured
) -> None:
    office.now = copying("base backup")
    asked = [*REINIT, "--yes", "--timeout", "0.1", "--socket", sock]
    assert main(asked) == ExitCode.UNKNOWN
    err = capsys.readouterr().err
    assert "The copy of ledger at dc1 is thrown away, and made anew from dc2's;" in err
    assert "after 0.1 s request 1 (reinit of ledger at dc1) is open [ledger base backup 25%" in err
    seen = office.records.requests.newest(WALLET)
    assert seen is not None
    assert (seen.request.kind, seen.request.reason) == (Kind.REINIT, "bad sectors")


def test_without_a_terminal_nothing_is_asked_back(
    sock: str, office: Office, capsys: Captured
) -> None:
    assert main([*REINIT, "--socket", sock]) == ExitCode.USAGE
    assert "add --yes" in capsys.readouterr().err
    assert office.records.requests.newest(WALLET) is None


@pytest.mark.parametrize(("typed", "code"), [("dc1", ExitCode.DONE), ("dc2", ExitCode.REFUSED)])
def test_on_a_terminal_the_site_is_typed_once_more(
    sock: str, office: Office, monkeypatch: pytest.MonkeyPatch, typed: str, code: ExitCode
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *_args, **_kept: typed)
    office.ends = [(State.DONE, "ledger votes at dc1")]
    assert main([*REINIT, "--socket", sock]) == code
    assert (office.records.requests.newest(WALLET) is None) == (code is ExitCode.REFUSED)


def test_what_is_refused_is_refused_before_anything_is_typed(
    sock: str, office: Office, capsys: Captured
) -> None:
    office.turn(state(serving(), followers=(follower(DC1),)))
    assert main([*REINIT, "--socket", sock]) == ExitCode.REFUSED
    assert "nobody is left to acknowledge but dc2: 2 voters are needed" in capsys.readouterr().err


def test_who_is_to_approve_sees_whose_copy_is_meant(
    sock: str, office: Office, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    office.approvals[Kind.REINIT] = 1
    assert main([*REINIT, "--yes", "--socket", sock]) == ExitCode.WAITING
    assert main(["proposals", "--socket", sock]) == ExitCode.DONE
    assert "dc1 ledger" in capsys.readouterr().out
