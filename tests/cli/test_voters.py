"""`tricast voters` in a terminal: what is asked back, what is shown, and the exit code."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.cli.status_view import status_lines
from controller.config import PolicyConf, Verb
from controller.core.model import Durability, ServiceName
from controller.core.requests import Kind, State
from controller.daemon.policy import Policies
from controller.web.schema import RequestView
from controller.web.voters_schema import Voters
from tests.core.turned import other, serving, spec
from tests.core.views import DC1, GONE, WALLET
from tests.core.wishes import wish
from tests.web import sample
from tests.web.eyes import GROUPS
from tests.web.office import Office
from tests.web.sample import daemon
from tests.web.test_voters import learning

Captured = pytest.CaptureFixture[str]
Typed = Callable[..., tuple[ExitCode, str, str]]
DEMOTE = ("voters", "demote", "witness", "--reason", "new disk")
PROMOTE = ("voters", "promote", "witness")
ADD = ("voters", "add", "witness")
LIST = ("voters", "list")
LOBBY = ServiceName("lobby")
MEANS = (
    "witness counts no more for commits of wallet, nor for a takeover: each commit then needs "
    "dc1 and dc2, and waits when one of them is missing.\n"
)


@pytest.fixture
def rules() -> dict[Verb, PolicyConf]:
    return {}


@pytest.fixture
def office(tmp_path: Path, rules: dict[Verb, PolicyConf]) -> Office:
    return Office(serving(), tmp_path, policies=Policies(groups=GROUPS, everywhere=rules))


@pytest.fixture
def typed(
    tmp_path: Path, office: Office, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Typed]:
    """Somebody types a verb: how it ended, what was printed, and what was said beside it."""
    monkeypatch.setenv("COLUMNS", "80")
    with daemon(office, tmp_path / "s.sock", office.desk):

        def run(*words: str) -> tuple[ExitCode, str, str]:
            code = main([*words, "--socket", str(tmp_path / "s.sock")])
            said = capsys.readouterr()
            return ExitCode(code), said.out, said.err

        yield run


def cells(out: str) -> list[list[str]]:
    """The rows of a table."""
    rows = [line for line in out.splitlines() if line.startswith("|")][1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


# --- who votes -----------------------------------------------------------------------------------


def test_who_votes_of_each_service(typed: Typed, office: Office) -> None:
    lobby = spec(serving(), name=LOBBY, databases=(), durability=Durability.LEASE)
    office.views[LOBBY] = lobby
    code, out, err = typed(*LIST)
    assert (code, err) == (ExitCode.DONE, "")
    assert cells(out) == [
        ["wallet", "dc1", "data", "voter", "ledger acknowledges"],
        ["", "dc2", "data", "voter", "ledger primary"],
        ["", "witness", "witness", "voter", "ledger acknowledges"],
        ["lobby", "dc1", "data", "", ""],
        ["", "dc2", "data", "", ""],
        ["", "witness", "witness", "", ""],
    ]
    assert out.splitlines()[-3:] == [
        " wallet: a commit needs 2 copies",
        " wallet: quorum: 3 of 3 voters; survives the loss of any one site",
        " lobby: no database, so nobody votes on its commits",
    ]
    assert max(len(line) for line in out.splitlines()) <= 80
    assert len(cells(typed(*LIST, "--service", "lobby")[1])) == 3


def test_a_learner_is_shown_as_one(typed: Typed, office: Office) -> None:
    office.turn(learning(serving()))
    code, out, _ = typed(*LIST)
    assert code is ExitCode.DONE
    assert cells(out)[2] == ["", "witness", "witness", "learner", "ledger no"]


def test_one_copy_is_one_copy(typed: Typed, office: Office) -> None:
    office.turn(replace(serving(), alone=wish(Kind.FORCE_SINGLE, target="dc2")))
    assert " wallet: a commit needs one copy\n" in typed(*LIST)[1]


def test_as_json(typed: Typed, office: Office) -> None:
    code, out, _ = typed(*LIST, "--json", "--service", "wallet")
    assert code is ExitCode.DONE
    (found,) = Voters.model_validate_json(out).services
    assert (found.service, found.holder, found.needed) == ("wallet", "dc2", 2)
    office.ends = [(State.DONE, "witness is a learner of wallet")]
    code, out, _ = typed(*DEMOTE, "--yes", "--json")
    assert code is ExitCode.DONE
    assert RequestView.model_validate_json(out).state == "done"


def test_who_cannot_say_who_votes(typed: Typed, tmp_path: Path, capsys: Captured) -> None:
    code, out, err = typed(*LIST, "--service", "moon")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "there is no service 'moon'; there are wallet" in err
    with daemon(Office(serving(), tmp_path), tmp_path / "w.sock"):
        assert main([*LIST, "--socket", str(tmp_path / "w.sock")]) == ExitCode.REFUSED
    assert "does not know who votes: it is a witness" in capsys.readouterr().err
    assert main([*LIST, "--socket", str(tmp_path / "none.sock")]) == ExitCode.UNAVAILABLE


# --- a demotion ----------------------------------------------------------------------------------


def test_a_demotion_is_followed_until_the_record_says_so(typed: Typed, office: Office) -> None:
    begun = "the primary lets witness in no more; then the record says so"
    office.ends = [(State.RUNNING, begun), (State.DONE, "witness is a learner of wallet")]
    code, out, err = typed(*DEMOTE, "--yes")
    assert code is ExitCode.DONE
    assert out == ("request 1 (demote-voter of witness) is done: witness is a learner of wallet\n")
    assert err.startswith(MEANS)
    assert f"request 1 (demote-voter of witness) is running: {begun}" in err
    seen = office.records.requests.newest(WALLET)
    assert seen is not None
    assert (seen.request.kind, seen.request.reason) == (Kind.DEMOTE, "new disk")


@pytest.mark.parametrize(
    ("end", "code"),
    [(State.FAILED, ExitCode.FAILED), (State.REFUSED, ExitCode.REFUSED)],
)
def test_how_else_it_ends(typed: Typed, office: Office, end: State, code: ExitCode) -> None:
    office.ends = [(end, "dc1 is gone")]
    found, out, _ = typed(*DEMOTE, "--yes")
    assert found is code
    assert out == f"request 1 (demote-voter of witness) is {end}: dc1 is gone\n"


def test_without_a_terminal_nothing_is_asked_back(typed: Typed, office: Office) -> None:
    code, out, err = typed(*DEMOTE)
    assert (code, out) == (ExitCode.USAGE, "")
    assert err == f"{MEANS}tricast: Nobody can be asked back here: add --yes\n"
    assert office.records.requests.newest(WALLET) is None


@pytest.mark.parametrize(("name", "code"), [("witness", ExitCode.DONE), ("dc1", ExitCode.REFUSED)])
def test_on_a_terminal_the_site_is_typed_once_more(
    typed: Typed, office: Office, monkeypatch: pytest.MonkeyPatch, name: str, code: ExitCode
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *_args, **_kept: name)
    office.ends = [(State.DONE, "witness is a learner of wallet")]
    assert typed(*DEMOTE)[0] is code
    assert (office.records.requests.newest(WALLET) is None) == (code is ExitCode.REFUSED)


# --- a promotion ---------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [PROMOTE, ADD])
def test_a_promotion_asks_nothing_back_and_shows_how_far_the_copy_is(
    typed: Typed, office: Office, words: tuple[str, ...]
) -> None:
    office.turn(learning(serving()))
    office.ends = [(State.RUNNING, "the record counts it"), (State.DONE, "witness votes")]
    code, out, err = typed(*words)
    assert code is ExitCode.DONE
    assert out == "request 1 (promote-voter of witness) is done: witness votes\n"
    assert err.startswith("witness counts again for commits and takeovers of wallet once its copy")
    assert "is running: the record counts it [ledger running, following" in err


def test_when_the_time_is_up_it_goes_on(typed: Typed, office: Office) -> None:
    office.turn(learning(serving()))
    code, _, err = typed(*PROMOTE, "--timeout", "0.1")
    assert code is ExitCode.UNKNOWN
    assert "after 0.1 s request 1 (promote-voter of witness) is open" in err


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("voters", "demote", "witness"), ExitCode.USAGE, "a demotion needs a --reason"),
        (("voters", "demote"), ExitCode.USAGE, "Missing argument 'SITE'"),
        (("voters", "remove", "dc1"), ExitCode.USAGE, "No such command 'remove'"),
        (
            ("voters", "demote", "dc9", "--reason", "x"),
            ExitCode.USAGE,
            "'dc9' is no site of wallet",
        ),
        (("voters", "demote", "dc2", "--reason", "x"), ExitCode.REFUSED, "dc2 holds wallet"),
        ((*DEMOTE, "--service", "moon"), ExitCode.USAGE, "there is no service 'moon'"),
        (
            PROMOTE,
            ExitCode.REFUSED,
            "witness is not promoted: witness is a voter of wallet already",
        ),
        (ADD, ExitCode.REFUSED, "witness is not promoted: witness is a voter of wallet already"),
        (
            ("voters", "add", "dc9"),
            ExitCode.USAGE,
            "A new site is put into `sites` of every site's configuration first",
        ),
    ],
)
def test_what_is_refused(
    typed: Typed, office: Office, words: tuple[str, ...], code: ExitCode, why: str
) -> None:
    yes = ("--yes",) if len(words) > 2 else ()
    found, out, err = typed(*words, *yes)
    assert (found, out) == (code, "")
    assert why in err
    assert office.records.requests.newest(WALLET) is None


def test_what_is_refused_is_refused_before_anything_is_typed(typed: Typed, office: Office) -> None:
    office.turn(other(serving(), DC1, seen=GONE))
    code, _, err = typed(*DEMOTE)
    assert code is ExitCode.REFUSED
    assert "nobody is left to acknowledge but dc2: 2 voters are needed" in err


@pytest.mark.parametrize("rules", [{Verb.DEMOTE: PolicyConf(approvals=1, break_glass=True)}])
def test_under_a_policy(typed: Typed, monkeypatch: pytest.MonkeyPatch, office: Office) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    code, out, _ = typed(*DEMOTE, "--yes")
    assert code is ExitCode.WAITING
    assert "(demote-voter of witness) is open, waits for the approval of another person" in out
    assert "demote-voter" in typed("proposals")[1]
    assert typed("decline", "1", "--service", "wallet")[0] is ExitCode.DONE
    office.ends = [(State.DONE, "witness is a learner of wallet")]
    code, _, err = typed(*DEMOTE, "--yes", "--break-glass")
    assert code is ExitCode.DONE
    assert "It goes past the policy of demotion of a voter of wallet: the approval of" in err


def test_the_status_says_who_only_learns() -> None:
    assert sample.WALLET.record is not None
    record = sample.WALLET.record.model_copy(update={"learners": ("dc2",)})
    shown = sample.WALLET.model_copy(update={"record": record})
    status = sample.STEADY.model_copy(update={"services": (shown,)})
    rows = [line.plain for line in status_lines(status, 160) if " ledger " in line.plain]
    assert ["learner" in row for row in rows] == [False, True, False]
    assert not any("learner" in line.plain for line in status_lines(sample.STEADY, 160))
