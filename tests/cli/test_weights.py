"""`tricast weights` in a terminal: the words, and the exit codes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.config import PolicyConf, Verb
from controller.daemon.policy import Policies
from controller.daemon.weights import weights_view
from controller.web import peer
from controller.web.schema import RequestView, Status
from controller.web.source import Asker
from controller.web.weights_schema import Weights
from tests.core.turned import serving, spec
from tests.core.views import DC1, DC2, WALLET
from tests.web.office import Office
from tests.web.sample import STEADY, daemon

Captured = pytest.CaptureFixture[str]
As = Callable[..., tuple[ExitCode, str, str]]
VIEW = spec(serving(), weights={DC1: 100, DC2: 90})
SET = ("weights", "set", "--reason", "old disks")
CLEAR = ("weights", "clear", "--reason", "new disks")
SHOW = ("weights", "show")


class Telling(Office):
    """An office whose status has the weights that stand in its records."""

    async def status(self) -> Status:
        """As the daemon of dc2 tells it: dc1 could take over."""
        order = self.records.weights.weights(WALLET)
        set_here = {} if order is None else order.weights
        view = spec(VIEW, weights={**VIEW.spec.weights, **set_here})
        found = weights_view(view, VIEW.spec, order, {DC1})
        service = STEADY.services[0].model_copy(update={"holder": "dc2", "weights": found})
        return STEADY.model_copy(update={"services": (service,)})


@pytest.fixture
def rules() -> dict[Verb, PolicyConf]:
    return {}


@pytest.fixture
def office(tmp_path: Path, rules: dict[Verb, PolicyConf]) -> Office:
    return Telling(VIEW, tmp_path, policies=Policies(everywhere=rules))


@pytest.fixture
def typed(
    tmp_path: Path, office: Office, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> Iterator[As]:
    """Somebody types a verb: how it ended, what was printed, and what was said beside it."""
    with daemon(office, tmp_path / "s.sock", office.desk):

        def run(who: str, *words: str) -> tuple[ExitCode, str, str]:
            monkeypatch.setattr(peer, "_account", lambda _socket: Asker(name=who))
            monkeypatch.setenv("COLUMNS", "80")
            code = main([*words, "--socket", str(tmp_path / "s.sock")])
            said = capsys.readouterr()
            return ExitCode(code), said.out, said.err

        yield run


def cells(out: str) -> list[list[str]]:
    """The rows of a table."""
    rows = [line for line in out.splitlines() if line.startswith("|")][1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_as_configured_until_somebody_sets_them(typed: As) -> None:
    code, out, _ = typed("ada", *SHOW)
    assert code is ExitCode.DONE
    assert cells(out) == [
        ["wallet", "dc1", "100", "100", "configuration", "goes first"],
        ["", "dc2", "90", "90", "configuration", "holds it"],
    ]
    assert out.endswith(" wallet: if dc2 were lost, dc1 would go first\n")
    code, out, err = typed("ada", *SET, "dc2=300", "dc1=5", "--yes")
    assert (code, err) == (ExitCode.DONE, "")
    assert out == "request 800001 (weights to dc1=5 dc2=300) is done\n"
    code, out, _ = typed("ada", *SHOW)
    assert cells(out) == [
        ["wallet", "dc2", "300", "90", "set", "holds it"],
        ["", "dc1", "5", "100", "set", "goes first"],
    ]
    assert " wallet: dc2=300 dc1=5 set by ada at dc2, " in out
    assert ": old disks\n" in out
    assert max(len(line) for line in out.splitlines() if line.startswith(("|", "+"))) <= 80
    code, out, _ = typed("ada", "status")
    assert " Weights: dc2=300 dc1=5 set by ada at dc2, " in out
    code, out, _ = typed("bob", *CLEAR)
    assert (code, out) == (
        ExitCode.DONE,
        "request 800002 (weights to those configured) is done\n",
    )
    code, out, _ = typed("ada", "status")
    assert "Weights" not in out


def test_as_json(typed: As) -> None:
    code, out, _ = typed("ada", *SET, "dc1=5", "--yes", "--json")
    assert code is ExitCode.DONE
    assert RequestView.model_validate_json(out).state == "done"
    code, out, _ = typed("ada", *SHOW, "--json", "--service", "wallet")
    assert code is ExitCode.DONE
    (found,) = Weights.model_validate_json(out).services
    assert (found.service, found.holder, found.first) == ("wallet", "dc2", "dc1")
    assert found.order is not None
    assert (found.order.by, found.order.reason) == ("ada", "old disks")


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((*SET, "dc1"), ExitCode.USAGE, "'dc1' is not SITE=WEIGHT; write for example dc1=200"),
        ((*SET, "=5"), ExitCode.USAGE, "'=5' is not SITE=WEIGHT"),
        ((*SET, "dc1=much"), ExitCode.USAGE, "'dc1=much': a weight is a whole number from 0 to"),
        ((*SET, "dc1=-1"), ExitCode.USAGE, "'dc1=-1': a weight is a whole number from 0 to 1000"),
        ((*SET, "dc1=1001"), ExitCode.USAGE, "'dc1=1001': a weight is a whole number from 0 to"),
        ((*SET, "dc1=\u0663"), ExitCode.USAGE, "a weight is a whole number from 0 to 1000"),
        ((*SET, "dc1=0000000009999"), ExitCode.USAGE, "a weight is a whole number from 0 to 1000"),
        ((*SET, "dc1=9999999999999"), ExitCode.USAGE, "a weight is a whole number from 0 to 1000"),
        (
            (*SET, "dc1=1", "dc2=2", "dc1=3"),
            ExitCode.USAGE,
            "dc1 stands twice, dc1=1 and dc1=3: name it once",
        ),
        (SET, ExitCode.USAGE, "Missing argument 'SITE=WEIGHT...'"),
        ((*SET, "moon=1"), ExitCode.USAGE, "'moon' is no data site of wallet; there are dc1, dc2"),
        ((*SET, "witness=1"), ExitCode.USAGE, "witness is a witness and never takes over"),
        ((*SET, "dc1=1", "--service", "x"), ExitCode.USAGE, "there is no service 'x'"),
        ((*SET, "dc1=100"), ExitCode.REFUSED, "nothing changes: dc1=100 holds for wallet already"),
        (("weights", "set", "dc1=1"), ExitCode.USAGE, "weights need a --reason"),
        (CLEAR, ExitCode.REFUSED, "the weights of wallet are as configured: nothing to clear"),
        ((*SHOW, "--service", "x"), ExitCode.USAGE, "there is no service 'x'; there are wallet"),
    ],
)
def test_what_is_refused(typed: As, words: tuple[str, ...], code: ExitCode, why: str) -> None:
    yes = () if words[1] == "show" else ("--yes",)
    found, out, err = typed("ada", *words, *yes)
    assert (found, out) == (code, "")
    assert why in err
    _, out, _ = typed("ada", "requests", "--all")
    assert "nothing is asked" in out


def test_nobody_is_asked_back_without_a_terminal(typed: As, office: Office) -> None:
    code, _, err = typed("ada", *SET, "dc1=5")
    assert code is ExitCode.USAGE
    assert err == (
        "tricast: Change the weights of wallet: dc1 100 -> 5? Nobody can be asked back here: "
        "add --yes\n"
    )
    assert office.records.weights.newest(WALLET) is None


def test_a_witness_does_not_know_them(tmp_path: Path, capsys: Captured, office: Office) -> None:
    office.now = STEADY
    with daemon(Office(VIEW, tmp_path), tmp_path / "w.sock"):
        assert main([*SHOW, "--socket", str(tmp_path / "w.sock")]) == ExitCode.REFUSED
    assert "does not know the weights of wallet: it is a witness" in capsys.readouterr().err


@pytest.mark.parametrize("rules", [{Verb.WEIGHTS: PolicyConf(approvals=1)}])
def test_under_a_policy(typed: As) -> None:
    code, out, _ = typed("ada", *SET, "dc1=5", "--yes")
    assert code is ExitCode.WAITING
    assert out == (
        "request 800001 (weights to dc1=5) is open, waits for the approval of another person\n"
    )
    code, out, _ = typed("bob", "proposals")
    assert [row[:5] for row in cells(out)] == [["wallet", "800001", "weights", "dc1=5", "ada@dc2"]]
    code, out, _ = typed("bob", "approve", "800001", "--service", "wallet")
    assert (code, out) == (
        ExitCode.DONE,
        "request 800001 (weights to dc1=5) is done, approved by bob: these weights are in force\n",
    )
