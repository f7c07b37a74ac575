"""`tricast plan` against a daemon: what is said, what is not known, and that nothing is changed."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.cli import elsewhere
from controller.cli.endpoint import Endpoint
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.cli.plan_view import command
from controller.core.model import Epoch, EpochRecord
from controller.core.requests import Kind
from controller.core.view import OtherSite, View
from controller.web.plan_schema import Plan
from controller.web.schema import HistoryEntry, RequestAnswer, StepView
from tests.core.turned import (
    climbing,
    other,
    own,
    primary_state,
    report,
    serving,
    silent,
    standby_report,
    state,
    voter,
)
from tests.core.views import DC1, DC2, GONE, HERE, RECORD, WITNESS, dc2_view
from tests.web.authority import Authority
from tests.web.mutual import Gate, authority, gate, in_a_thread
from tests.web.office import Office
from tests.web.sample import STEADY, daemon

__all__ = ["authority", "gate"]

Captured = pytest.CaptureFixture[str]
SWITCHED = HistoryEntry(
    service="wallet", epoch=6, holder="dc1", kind="handover", reason="patches", took_s=0.9,
    steps=(StepView(name="serving", done=True, took_s=0.42),),
)  # fmt: skip


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(serving(), tmp_path)


@pytest.fixture
def sock(tmp_path: Path, office: Office) -> Iterator[str]:
    with daemon(office, tmp_path / "s.sock", office.desk):
        yield str(tmp_path / "s.sock")


def dc1_stands_by() -> View:
    """What dc1 knows while dc2 serves."""
    seen = dc2_view(
        record=replace(RECORD, holder=DC2, kind="failover", previous=DC1), directed="dc2"
    )
    vote = replace(standby_report().databases[0].voter, following=None, following_epoch=Epoch(0))
    primary = replace(standby_report().databases[0], state=primary_state(), voter=vote)
    others = {
        DC2: OtherSite(
            report=replace(standby_report(), databases=(primary,)),
            report_age_s=0.5,
            seen=HERE,
            seen_by={WITNESS: HERE},
        ),
        WITNESS: serving().others[WITNESS],
    }
    view = replace(seen, me=DC1, others=others)
    return report(state(view, upstream=DC2), DC2, stance=serving().own.stance)


def asked(capsys: Captured, *words: str, code: ExitCode = ExitCode.DONE) -> Plan:
    assert main(["plan", *words, "--json"]) == code
    return Plan.model_validate_json(capsys.readouterr().out.splitlines()[-1])


def steps(plan: Plan, ladder: str) -> dict[str, bool | None]:
    (found,) = (each for each in plan.services[0].ladders if each.ladder == ladder)
    return {step.name: step.met for step in found.steps}


def test_a_switchover_is_foreseen(sock: str, office: Office, capsys: Captured) -> None:
    office.now = STEADY.model_copy(update={"history": (SWITCHED, *STEADY.history)})
    plan = asked(capsys, "switchover", "--socket", sock)
    (wallet,) = plan.services
    assert (plan.accepted, plan.reasons, plan.judge, plan.target) == (True, (), "dc2", "dc1")
    assert (wallet.holder, wallet.target, wallet.begins) == ("dc2", "dc1", True)
    assert [(each.site, each.ladder) for each in wallet.ladders] == [
        ("dc2", "HAND_OVER"), ("dc1", "TAKE_OVER"), ("dc2", "STEP_DOWN"), ("dc2", "REJOIN"),
    ]  # fmt: skip
    assert steps(plan, "HAND_OVER") == {
        "announced": False, "held": False, "quiet": False, "gate_closed": False,
        "log_equal": True, "handed": False,
    }  # fmt: skip
    assert set(steps(plan, "TAKE_OVER").values()) == {None}
    assert (wallet.stall_s, wallet.stall_from[:30]) == (0.42, "the longest of the last switch")
    assert {each.site: (each.now, each.after) for each in wallet.routes} == {
        "dc1": ("backup", ("override", "preferred")),
        "dc2": ("preferred", ("backup",)),
    }


def test_nothing_is_asked_by_it(sock: str, office: Office, capsys: Captured) -> None:
    for words in (["switchover"], ["drain", "dc2"], ["failover", "--to", "dc1"]):
        asked(capsys, *words, "--socket", sock)
    assert office.records.requests.drains() == {}
    assert office.records.requests.newest(serving().spec.name) is None
    assert not asyncio.run(office.store.read("/t/", 0.5)).entries
    assert office.woken == 0


def test_the_plan_is_the_one_that_is_approved(sock: str, office: Office, capsys: Captured) -> None:
    office.approvals[Kind.SWITCHOVER] = 1
    plan = asked(capsys, "switchover", "--socket", sock)
    assert plan.approvals_needed == 1
    assert main(["switchover", "--yes", "--json", "--socket", sock]) == ExitCode.WAITING
    request = RequestAnswer.model_validate_json(
        f'{{"cluster": "", "site": "", "request": {capsys.readouterr().out}}}'
    ).request
    assert (request.plan, request.target) == (plan.plan, plan.target)
    # Now that one is open, another one would be refused.
    refused = asked(capsys, "switchover", "--socket", sock, code=ExitCode.REFUSED)
    assert refused.reasons[0].startswith("another request is open for wallet: switchover to dc1")
    assert refused.plan == ""


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["switchover", "--to", "dc2"], ExitCode.REFUSED, "refused: dc2 holds wallet already"),
        (["failover", "--to", "dc2"], ExitCode.REFUSED, "refused: dc2 holds wallet already"),
        (
            ["failover", "--to", "dc1", "--allow-data-loss"],
            ExitCode.REFUSED,
            "what dc1 would lose is only known there: ask there",
        ),
        (["switchover", "--to", "moon"], ExitCode.USAGE, "'moon' is no data site"),
        (["drain", "moon"], ExitCode.USAGE, "'moon' is no data site"),
        (["switchover", "--service", "x"], ExitCode.USAGE, "there is no service 'x'"),
        (["failover"], ExitCode.USAGE, "Missing option '--to'"),
    ],
)
def test_what_would_be_refused(
    sock: str, capsys: Captured, words: list[str], code: ExitCode, why: str
) -> None:
    assert main(["plan", *words, "--socket", sock]) == code
    said = capsys.readouterr()
    assert why in said.out + said.err


def test_each_reason_of_a_refusal_is_given(sock: str, office: Office, capsys: Captured) -> None:
    office.turn(silent(serving()))
    plan = asked(capsys, "switchover", "--socket", sock, code=ExitCode.REFUSED)
    assert plan.reasons == ("dc1 cannot take over: dc1 is not heard",)
    (wallet,) = plan.services
    assert (wallet.begins, wallet.held_back) == (False, ())
    assert {each.site: (each.now, each.after) for each in wallet.routes} == {
        "dc1": (None, ()),
        "dc2": ("preferred", ("backup",)),
    }


def test_without_the_store_nothing_would_be_accepted(
    sock: str, office: Office, capsys: Captured
) -> None:
    office.turn(replace(serving(), store_ok=False))
    plan = asked(capsys, "drain", "dc1", "--socket", sock, code=ExitCode.REFUSED)
    assert plan.reasons[0].startswith("the store's majority does not answer")


def test_a_failover_says_what_may_be_lost(sock: str, office: Office, capsys: Captured) -> None:
    office.turn(other(silent(dc2_view()), WITNESS, seen=GONE))
    plan = asked(capsys, "failover", "--to", "dc2", "--socket", sock, code=ExitCode.REFUSED)
    assert "cannot be proved that nothing is lost without dc1, witness" in plan.reasons[0]
    assert plan.statement == ""
    loss = ["failover", "--to", "dc2", "--allow-data-loss", "--socket", sock]
    plan = asked(capsys, *loss)
    assert "everything acknowledged beyond 0/3000060@2 is lost" in plan.statement
    assert steps(plan, "TAKE_OVER")["fenced"] is False
    assert steps(plan, "TAKE_OVER")["apps_running"] is True
    assert command(plan) == "tricast failover --service wallet --to dc2 --allow-data-loss"
    assert plan.services[0].stall_s == 0.731
    assert plan.services[0].stall_from == "the longest of the last failover, from the decision on"
    (_, rejoin) = plan.services[0].ladders[1:]
    assert (rejoin.site, rejoin.once) == ("dc1", "once dc1 is heard again")


def test_a_holder_that_cannot_prove_it_may_be_told_to_open(
    sock: str, office: Office, capsys: Captured
) -> None:
    stuck = other(climbing(), WITNESS, seen=GONE, report_age_s=60.0)
    office.turn(voter(stuck, WITNESS, whole=False, position=None))
    plan = asked(capsys, "failover", "--to", "dc2", "--allow-data-loss", "--socket", sock)
    assert [(e.site, e.ladder) for e in plan.services[0].ladders] == [("dc2", "TAKE_OVER")]


def test_a_switchover_that_could_not_begin_is_accepted_and_said(
    sock: str, office: Office, capsys: Captured
) -> None:
    office.turn(silent(dc2_view()))
    assert main(["plan", "switchover", "--socket", sock]) == ExitCode.DONE
    out = capsys.readouterr().out
    assert "would be accepted" in out
    assert "would not begin now: dc1 is not heard" in out
    office.turn(own(serving(), promised=Epoch(1)))  # its epoch is not established
    plan = asked(capsys, "switchover", "--socket", sock)
    assert plan.services[0].held_back[0].startswith("rule 311 would hold at dc2: ")


def test_a_drain_moves_what_the_site_holds(sock: str, office: Office, capsys: Captured) -> None:
    plan = asked(capsys, "drain", "dc2", "--socket", sock)
    (wallet,) = plan.services
    assert (wallet.target, wallet.begins, len(wallet.ladders)) == ("dc1", True, 4)
    assert wallet.routes[1].after == ("drained", "withdrawn")
    stays = asked(capsys, "drain", "dc1", "--socket", sock).services[0]
    assert (stays.target, stays.ladders, stays.stall_from) == ("dc2", (), "")
    assert stays.routes[0].after == ("drained", "withdrawn")
    assert stays.routes[1].after == ("preferred",)
    assert main(["drain", "dc2", "--yes", "--no-wait", "--socket", sock]) == ExitCode.DONE
    capsys.readouterr()
    twice = asked(capsys, "drain", "dc2", "--socket", sock, code=ExitCode.REFUSED)
    assert twice.reasons[0].startswith("dc2 is drained already: drain of dc2 asked by")


def test_a_drain_says_what_would_stay(sock: str, office: Office, capsys: Captured) -> None:
    office.turn(silent(serving()))
    assert main(["plan", "drain", "dc2", "--socket", sock]) == ExitCode.DONE
    out = " ".join(capsys.readouterr().out.split())
    assert "wallet: epoch 2, held by dc2, stays there" in out
    assert "would not begin now: rule 401 would hold at dc2" in out
    assert "dc1 cannot take over: dc1 is not heard" in out


def test_every_site_says_itself_what_only_it_knows(
    sock: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Office(dc1_stands_by(), tmp_path / "2")
    second.now = STEADY.model_copy(update={"site": "dc1"})
    here = Office(serving(), tmp_path / "1")
    here.now = STEADY.model_copy(update={"site": "dc2"})
    with (
        daemon(here, tmp_path / "1.sock", here.desk),
        daemon(second, tmp_path / "2.sock", second.desk) as port,
    ):
        url = f"http://127.0.0.1:{port}"
        sites = {"dc1": Endpoint(url=url), "witness": Endpoint(url="http://127.0.0.1:9")}
        monkeypatch.setattr(elsewhere, "endpoints", lambda _cluster: sites)
        whole = asked(capsys, "switchover", "--socket", str(tmp_path / "1.sock"))
        assert whole.unanswered == ()  # the witness climbs nothing, and is not asked
        assert steps(whole, "HAND_OVER")["log_equal"] is True
        climbed = steps(whole, "TAKE_OVER")
        assert None not in climbed.values()
        assert {name for name, met in climbed.items() if met} == {
            "fenced", "addressed", "started", "closed", "apps_running",
        }  # fmt: skip
        # Asked at the other site: what is judged at the holder is heard from the holder.
        alone = asked(capsys, "switchover", "--url", url)
        assert (alone.accepted, alone.services[0].begins) == (True, None)
        assert set(steps(alone, "HAND_OVER").values()) == {None}
        sites["dc1"] = Endpoint(url="http://127.0.0.1:9")
        assert main(["plan", "switchover", "--socket", str(tmp_path / "1.sock")]) == ExitCode.DONE
        out = capsys.readouterr().out
        assert "[?] only known at dc1" in out
        assert "No answer: dc1: no tricast daemon answers" in out


def test_the_site_that_decides_has_the_last_word(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker, holder = (
        Office(dc1_stands_by(), tmp_path / "1"),
        Office(state(serving(), followers=()), tmp_path / "2"),
    )
    asker.now = STEADY.model_copy(update={"site": "dc1"})
    holder.now = STEADY.model_copy(update={"site": "dc2"})
    sock = str(tmp_path / "1.sock")
    with (
        daemon(asker, Path(sock), asker.desk),
        daemon(holder, tmp_path / "2.sock", holder.desk) as port,
    ):
        sites = {"dc2": Endpoint(url=f"http://127.0.0.1:{port}")}
        monkeypatch.setattr(elsewhere, "endpoints", lambda _cluster: sites)
        plan = asked(capsys, "switchover", "--socket", sock, code=ExitCode.REFUSED)
    assert plan.reasons == (
        "dc2 says: dc1 cannot take over: ledger: the copy at dc1 does not follow as a voter",
    )
    assert plan.plan == ""


@pytest.mark.parametrize("columns", [80, 120])
def test_the_page_fits_a_terminal(
    sock: str, office: Office, capsys: Captured, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    office.turn(other(silent(dc2_view()), WITNESS, seen=GONE))
    for words in (["failover", "--to", "dc2", "--allow-data-loss"], ["failover", "--to", "dc2"]):
        main(["plan", *words, "--socket", sock])
    office.turn(serving())
    office.approvals[Kind.DRAIN] = 2
    for words in (["switchover"], ["drain", "dc2"], ["drain", "dc1"]):
        assert main(["plan", *words, "--socket", sock]) == ExitCode.DONE
    out = capsys.readouterr().out
    assert "approvals: 2, by other persons, bound to the plan" in out
    assert "Nothing was asked. To ask: tricast drain dc2" in out
    assert max(len(line) for line in out.splitlines()) <= columns


def test_a_reader_asks_from_anywhere(gate: Gate, authority: Authority, capsys: Captured) -> None:
    rita = authority.person("rita")
    proof = ["--cert", str(rita.certificate), "--key", str(rita.key), "--ca", str(authority.file)]
    with in_a_thread(gate) as port:
        servers = f"https://127.0.0.1:{port},https://127.0.0.1:9"
        plan = asked(capsys, "switchover", "--server", servers, *proof)
    assert (plan.accepted, plan.services[0].begins, len(plan.unanswered)) == (True, True, 1)
    assert plan.unanswered[0].startswith("https://127.0.0.1:9: no tricast daemon answers")


def test_who_reads_an_older_daemon_is_told(tmp_path: Path, capsys: Captured) -> None:
    office = Office(serving(), tmp_path)
    with daemon(office, tmp_path / "s.sock"):
        code = main(["plan", "switchover", "--socket", str(tmp_path / "s.sock")])
    assert code == ExitCode.UNAVAILABLE
    assert "there is no /api/v1/plan here" in capsys.readouterr().err


def test_a_plan_that_was_seen_is_asked_for_and_only_that(
    sock: str, office: Office, capsys: Captured
) -> None:
    plan = asked(capsys, "switchover", "--socket", sock)
    words = ["switchover", "--plan", plan.plan, "--yes", "--no-wait", "--socket", sock]
    office.turn(replace(serving(), record=replace(serving_record(), epoch=Epoch(4))))
    assert main(words) == ExitCode.REFUSED
    said = capsys.readouterr().err
    assert f"by now, not {plan.plan}: it would move wallet from dc2, who holds epoch 4, to" in said
    assert "look again: tricast plan switchover --service wallet --to dc1" in said
    office.turn(serving())
    assert main(words) == ExitCode.DONE
    assert capsys.readouterr().out == "request 1 (switchover to dc1) is open\n"


def serving_record() -> EpochRecord:
    found = serving().record
    assert found is not None
    return found


def test_a_switchover_at_a_time_waits_for_it_by_the_daemons_clock(
    sock: str, office: Office, capsys: Captured
) -> None:
    assert STEADY.now == "2026-11-21T01:10:00.000Z"
    words = ["switchover", "--yes", "--no-wait", "--json", "--socket", sock]
    assert main([*words, "--at", "2026-11-21T03:10:00+01:00"]) == ExitCode.DONE
    request = office.records.requests.newest(serving().spec.name)
    assert request is not None
    assert request.request.not_before_s == 3600
    for also, why in (
        (["--at", "03:00", "--in", "5"], "either --in 5 or --at 03:00"),
        (["--at", "2026-11-21T01:00:00Z"], "2026-11-21T01:00:00Z is over"),
        (["--at", "soon"], "'soon' is no time; write"),
    ):
        capsys.readouterr()
        assert main([*words, *also]) == ExitCode.USAGE
        assert why in capsys.readouterr().err
