"""Four eyes in a terminal: the words, and the exit codes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.config import PolicyConf, Verb
from controller.core.requests import State
from controller.daemon.policy import Policies
from controller.web import peer
from controller.web.schema import Requests
from controller.web.source import Asker
from tests.core.turned import other, serving, silent, state
from tests.core.views import GONE, WALLET, WITNESS
from tests.web.eyes import GROUPS, ONE_DBA
from tests.web.office import Office
from tests.web.sample import daemon

Captured = pytest.CaptureFixture[str]
As = Callable[..., tuple[ExitCode, str, str]]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    everywhere = dict.fromkeys(Verb, ONE_DBA) | {Verb.ACK: PolicyConf(approvals=1)}
    return Office(serving(), tmp_path, policies=Policies(groups=GROUPS, everywhere=everywhere))


@pytest.fixture
def typed(
    tmp_path: Path, office: Office, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> Iterator[As]:
    """Somebody types a verb: how it ended, what was printed, and what was said beside it."""
    with daemon(office, tmp_path / "s.sock", office.desk):

        def run(who: str, *words: str) -> tuple[ExitCode, str, str]:
            monkeypatch.setattr(peer, "_account", lambda _socket: Asker(name=who))
            code = main([*words, "--socket", str(tmp_path / "s.sock")])
            said = capsys.readouterr()
            return ExitCode(code), said.out, said.err

        yield run


MOVE = ("switchover", "--to", "dc1", "--yes", "--reason", "patches")


def test_a_proposal_from_its_begin_to_its_end(typed: As, office: Office) -> None:
    assert typed("ada", *MOVE) == (
        ExitCode.WAITING,
        "request 1 (switchover to dc1) is open, waits for the approval of another person of dba\n",
        "",
    )
    code, out, _ = typed("bob", "proposals")
    assert code is ExitCode.DONE
    (row,) = [line for line in out.splitlines() if line.startswith("| wallet")]
    assert "ada@dc2" in row
    assert "0 of 1, of dba" in row
    assert "120s" in row
    code, out, err = typed("eve", "approve", "1")
    assert (code, out) == (ExitCode.REFUSED, "")
    assert err == (
        "tricast: eve is in none of the groups that approve a switchover of wallet: dba (bob, "
        "carol, %dba); ask one of them\n"
    )
    code, _, err = typed("ada", "approve", "1")
    assert code is ExitCode.REFUSED
    assert "ada has asked for request 1 and cannot approve it; somebody else has to" in err
    code, out, _ = typed("bob", "approve", "1")
    assert (code, out) == (
        ExitCode.DONE,
        "request 1 (switchover to dc1) is open, approved by bob\n",
    )
    code, _, err = typed("bob", "approve", "1")
    assert code is ExitCode.REFUSED
    assert "bob has approved request 1 already, and counts once: it waits for nothing more" in err


def test_who_may_not_ask_is_refused(typed: As) -> None:
    code, _, err = typed("carol", *MOVE)
    assert code is ExitCode.REFUSED
    assert err == (
        "tricast: carol may not ask for a switchover of wallet: that is for oncall (ada, bob); "
        "ask one of them\n"
    )


def test_an_expired_proposal_is_told_so(typed: As, office: Office) -> None:
    typed("ada", *MOVE)
    office.clock.now += 121.0
    code, _, err = typed("bob", "approve", "1")
    assert code is ExitCode.REFUSED
    assert "request 1 has lapsed: it waited 120 s for the approval of another person of dba" in err
    code, _, err = typed("bob", "approve", "1")
    assert code is ExitCode.REFUSED
    assert "request 1 is closed" in err


def test_breaking_the_glass(typed: As, office: Office) -> None:
    asked = ("switchover", "--to", "dc1", "--break-glass")
    code, _, err = typed("ada", *asked, "--yes")
    assert code is ExitCode.USAGE
    assert "--break-glass needs a --reason" in err
    code, _, err = typed("ada", *asked, "--reason", "it burns")
    assert code is ExitCode.USAGE
    assert "Move wallet from dc2 to dc1, past the policy of switchover of wallet: the " in err
    code, _, err = typed("bob", *asked, "--yes", "--reason", "it burns")
    assert code is ExitCode.REFUSED
    assert "bob may not break the glass" in err
    office.ends = [(State.DONE, "dc1 serves under epoch 3")]
    code, out, _ = typed("ada", *asked, "--yes", "--reason", "it burns")
    assert code is ExitCode.DONE
    assert out.startswith(
        "request 1 (switchover to dc1) is done, BREAK-GLASS past switchover of wallet: the approval"
    )


@pytest.mark.parametrize(
    "verb",
    [
        ("switchover", "--to", "dc1", "--yes"),
        ("failover", "--to", "dc1", "--yes"),
        ("pause",),
        ("ack",),
        ("drain", "dc1", "--yes"),
    ],
)
def test_each_verb_under_a_policy_makes_a_proposal(typed: As, verb: tuple[str, ...]) -> None:
    code, out, _ = typed("ada", *verb, "--reason", "work")
    assert code is ExitCode.WAITING
    assert "is open, waits for the approval of another person" in out
    of = ("--site", "dc1") if verb[0] == "drain" else ()
    code, out, _ = typed("bob", "decline", "1", *of, "--reason", "not now")
    assert code is ExitCode.DONE
    assert "is refused: not now" in out


def test_a_resume_and_an_undrain_wait_too(typed: As, office: Office) -> None:
    typed("ada", "pause", "--reason", "work")
    typed("bob", "approve", "1")
    typed("ada", "drain", "dc1", "--yes")
    typed("bob", "approve", "1", "--site", "dc1")
    code, out, _ = typed("ada", "resume", "--reason", "done")
    assert (code, out) == (
        ExitCode.WAITING,
        "request 1 (resume) is open, waits for the approval of another person of dba\n",
    )
    code, out, _ = typed("ada", "undrain", "dc1")
    assert code is ExitCode.WAITING
    assert out.startswith("request 1 (undrain of dc1) is open, waits for")
    code, out, _ = typed("bob", "proposals", "--json")
    found = Requests.model_validate_json(out).requests
    assert [r.kind for r in found] == ["resume", "undrain"]
    assert [r.approvers for r in found] == [("dba",), ("dba",)]
    code, out, _ = typed("bob", "approve", "1")
    assert (code, out) == (
        ExitCode.DONE,
        "request 1 (resume) is done, approved by bob: the pause is over\n",
    )
    code, out, _ = typed("bob", "approve", "1", "--site", "dc1")
    assert (code, out) == (
        ExitCode.DONE,
        "request 1 (undrain of dc1) is done, approved by bob: the drain is over\n",
    )


def test_an_end_past_its_policy(typed: As, office: Office) -> None:
    typed("ada", "pause", "--reason", "work")
    typed("bob", "approve", "1")
    code, out, _ = typed("ada", "resume", "--break-glass", "--reason", "it burns")
    assert code is ExitCode.DONE
    assert (
        "(pause) is withdrawn, approved by bob: BREAK-GLASS by ada, past the policy of resume"
        in out
    )
    typed("ada", "drain", "dc1", "--yes")
    typed("bob", "approve", "1", "--site", "dc1")
    code, out, _ = typed("ada", "undrain", "dc1", "--break-glass", "--reason", "it burns")
    assert code is ExitCode.DONE
    assert "BREAK-GLASS by ada, past the policy of undrain of a site" in out


def test_serving_alone_waits_at_this_daemon(typed: As, office: Office) -> None:
    office.turn(state(other(silent(serving()), WITNESS, seen=GONE), followers=()))
    asked = ("force-single", "dc2", "--reason", "all burnt", "--confirm", "dc2")
    code, out, _ = typed("ada", *asked)
    assert code is ExitCode.WAITING
    assert out.startswith("request 900001 (force-single to dc2) is open, waits for the approval of")
    assert office.orders.of(WALLET) is None
    code, out, _ = typed("bob", "approve", "900001")
    assert (code, out) == (
        ExitCode.DONE,
        "request 900001 (force-single to dc2) is running, approved by bob\n",
    )
    assert office.orders.of(WALLET) is not None


def test_serving_alone_past_its_policy(typed: As, office: Office) -> None:
    office.turn(state(other(silent(serving()), WITNESS, seen=GONE), followers=()))
    asked = ("force-single", "dc2", "--reason", "all burnt", "--confirm", "dc2", "--break-glass")
    code, out, err = typed("ada", *asked)
    assert code is ExitCode.DONE
    assert "BREAK-GLASS past force-single of wallet" in out
    assert ", past the policy of force-single of wallet: the approval of another person" in err


def test_the_plan_says_whose_approval_it_would_need(typed: As) -> None:
    code, out, _ = typed("eve", "plan", "switchover", "--to", "dc1")
    assert code is ExitCode.DONE
    assert "approvals: 1, by another person of dba, bound to the plan" in out
    assert "--break-glass: persons of lead" in out
