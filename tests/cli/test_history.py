"""`tricast history`: a line for each role change, and everything that is known of one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.web.history_schema import (
    HistoryBeyond,
    HistoryDiscarded,
    HistoryLoss,
    HistoryOrder,
    HistoryOutside,
    HistorySite,
    HistoryStage,
    HistoryStep,
)
from controller.web.schema import History
from tests.web.sample import STEADY, SWITCHED, Told, daemon

Captured = pytest.CaptureFixture[str]

LEDGER = HistoryLoss(
    database="ledger", acknowledged="none", begins="0/3000060@6", source="dc1",
    sealed=("dc1", "witness"), needed=2,
    beyond=(HistoryBeyond(site="dc2", after="0/3000060@6", up_to="0/3000100@6", size=160),),
)  # fmt: skip
WHOLE = SWITCHED.model_copy(
    update={
        "outage_s": 0.843,
        "outage_from": "dc2 was last seen to serve",
        "order": HistoryOrder(
            request=3, kind="failover", asked_at="dc1", approved_by=("bob", "carol")
        ),
        "losses": (LEDGER,),
        "sites": (
            HistorySite(
                site="dc1",
                held_s=0.4,
                routes=(
                    HistoryStage(what="backup", at_s=0.0),
                    HistoryStage(what="override", at_s=0.031),
                    HistoryStage(what="preferred", at_s=4.12),
                ),
            ),
            HistorySite(
                site="dc2",
                discarded=(
                    HistoryDiscarded(database="ledger", what="2 transactions; saved in /there"),
                ),
                steps=(
                    HistoryStep(ladder="HAND_OVER", name="held", at_s=-0.31),
                    HistoryStep(ladder="REJOIN", name="voting", database="ledger", at_s=9.2),
                ),
            ),
        ),
        "outside": (
            HistoryOutside(
                vantage="witness",
                told_by="dc1",
                entered=(
                    HistoryStage(what="dc2", at_s=0.0),
                    HistoryStage(what="dc1", at_s=0.8),
                ),
            ),
        ),
    }
)
FORCED = WHOLE.model_copy(
    update={
        "service": "lobby",
        "losses": (
            LEDGER.model_copy(
                update={"acknowledged": "possible", "sealed": ("dc1",), "excused": ("dc2",)}
            ),
            LEDGER.model_copy(
                update={"database": "journal", "acknowledged": "unknown", "sealed": ("dc1",),
                        "excused": ("dc2", "witness"), "beyond": ()}
            ),
        ),
        "order": HistoryOrder(request=4, kind="failover", statement="ledger: all beyond is lost"),
    }
)  # fmt: skip


@pytest.fixture
def sock(tmp_path: Path) -> Iterator[str]:
    told = Told(STEADY.model_copy(update={"history": (WHOLE, FORCED)}))
    with daemon(told, tmp_path / "s.sock"):
        yield str(tmp_path / "s.sock")


def said(capsys: Captured, *words: str) -> str:
    assert main(["history", *words]) == ExitCode.DONE
    return capsys.readouterr().out


def test_the_list_says_how_long_and_what_was_lost(sock: str, capsys: Captured) -> None:
    out = said(capsys, "--socket", sock)
    assert "| 0.731 s | 0.843 s | none     |" in out
    assert "| 0.731 s | 0.843 s | possible |" in out
    assert "lost of" not in out


def test_one_change_is_told_with_everything_that_is_known(
    sock: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = " ".join(said(capsys, "wallet/7", "--socket", sock).split())
    assert "| lobby" not in out
    for words in (
        "failover, rule 301, asked by controller at dc1, request 3 (failover) at dc1, approved by "
        "bob, carol, ok after 0.731 s",
        "no answer for 0.843 s, since dc2 was last seen to serve",
        "requests were held for 0.400 s at dc1",
        "lost of ledger: nothing acknowledged is lost (dc1 and witness sealed, 2 needed); goes on "
        "from 0/3000060@6, which dc1 held",
        "dc2 brought ledger back, and threw away: 2 transactions; saved in /there",
        "dc2 threw away 160 bytes: after 0/3000060@6 up to 0/3000100@6, which no client was told",
        "routes of dc1: backup, override after 0.031 s, preferred after 4.120 s",
        "requests from witness entered at dc2, dc1 after 0.800 s",
        "holder_silent = 0.61 s",
        "dc2 climbed HAND_OVER: held -0.310 s",
        "dc2 climbed REJOIN: voting (ledger) +9.200 s",
    ):
        assert words in out
    monkeypatch.setenv("COLUMNS", "80")
    folded = said(capsys, "wallet/7", "--socket", sock).splitlines()
    evidence_and_steps = [line for line in folded if " = " in line or line.startswith("  [")]
    assert all(len(line) <= 80 for line in folded if line not in evidence_and_steps)


def test_a_forced_change_says_what_may_be_lost_and_what_was_said_to_be(
    sock: str, capsys: Captured
) -> None:
    out = " ".join(said(capsys, "lobby/7", "--socket", sock).split())
    assert "some of what follows may have been acknowledged (dc1 sealed, 2 needed, without" in out
    assert "which it held alone" in out
    assert "lost of journal: not known, for what dc2 and witness held was never seen" in out
    assert "was said to be lost: ledger: all beyond is lost" in out


def test_a_change_of_an_older_version_is_told_as_before(tmp_path: Path, capsys: Captured) -> None:
    with daemon(Told(STEADY), tmp_path / "o.sock"):
        out = said(capsys, "7", "--socket", str(tmp_path / "o.sock"))
    assert "  [x] promoted (journal)                 0.022 s" in out
    assert "  lost of" not in out
    assert "routes of" not in out


def test_json_holds_all_of_it(sock: str, capsys: Captured) -> None:
    found = History.model_validate_json(said(capsys, "wallet/7", "--json", "--socket", sock))
    assert found.changes == (WHOLE,)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["7"], "several services changed at epoch 7: wallet/7, lobby/7"),
        (["8"], "no role change 8 is on record; the newest are wallet/7, lobby/7"),
        (["walet/7"], "no role change walet/7 is on record, nor any other"),
        (["seven"], "'seven' is no role change; write its epoch, 7, or wallet/7"),
        (["/7"], "'/7' is no role change"),
        (["wallet/7", "--service", "lobby"], "wallet/7 is of wallet, and --service says lobby"),
    ],
)
def test_what_is_no_change_on_record_is_named(
    sock: str, capsys: Captured, words: list[str], sentence: str
) -> None:
    assert main(["history", *words, "--socket", sock]) == ExitCode.USAGE
    assert sentence in capsys.readouterr().err
