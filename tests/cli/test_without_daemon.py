"""Where no daemon answers on this host: looking goes on in etcd, asking says what to do."""

import asyncio
from pathlib import Path

import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.core.decide import decide
from controller.core.model import Report
from controller.core.requests import Kind, State
from controller.core.wire import (
    encode_epoch,
    encode_report,
    encode_request,
    epoch_key,
    report_key,
    request_key,
)
from controller.daemon import absent
from controller.ports import TimedOut
from controller.runtime.publish import service_report
from controller.web.schema import Explanation, History, Requests, Status
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore
from tests.core.turned import serving
from tests.core.views import DC1, DC2, WALLET
from tests.core.wishes import wish

ROOT = Path(__file__).parents[2]
LAB = str(ROOT / "lab/containerlab/nodes/tricast.yml")
PREFIX = "/tricast/"
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> MemoryCluster:
    """A store in which dc2 serves, and has said so a moment ago; and a dead daemon."""
    found = MemoryCluster()

    def opened(*_: object, **__: object) -> MemoryStore:
        return MemoryStore(found, DC1)

    monkeypatch.setattr(absent, "build_store", opened)
    monkeypatch.delenv("TRICAST_SERVER", raising=False)
    asyncio.run(filled(MemoryStore(found, DC1)))
    return found


async def filled(store: MemoryStore) -> None:
    view = serving()
    assert view.record is not None
    said = service_report(view, decide(view))
    report = Report(
        site=DC2, boot="b", version="1", at="2026-01-01T00:00:00.000Z", services=(said,)
    )
    await store.put(PREFIX + epoch_key(WALLET), encode_epoch(view.record), 1.0)
    await store.put(PREFIX + report_key(DC2), encode_report(report), 1.0)


def looked(tmp_path: Path, *words: str) -> int:
    return main([*words, "--config", LAB, "--socket", str(tmp_path / "none.sock")])


@pytest.mark.usefixtures("cluster")
def test_status_is_what_the_sites_last_said(tmp_path: Path, capsys: Captured) -> None:
    assert looked(tmp_path, "status", "--json") == ExitCode.DONE
    said = capsys.readouterr()
    found = Status.model_validate_json(said.out)
    assert (found.site, found.store.ok, found.store.leader) == ("etcd", True, "dc1")
    wallet = next(service for service in found.services if service.name == WALLET)
    assert (wallet.holder, wallet.epoch, wallet.guarantee) == (DC2, 2, absent.UNJUDGED)
    sites = {site.site: site for site in wallet.sites}
    assert sites["dc2"].role == "primary"
    assert (sites["dc2"].report_age_s or 0) > 3600
    assert sites["dc1"].role == "unknown"
    assert "no tricast daemon answers at" in said.err
    assert "what stands in etcd" in said.err
    assert looked(tmp_path, "status") == ExitCode.DONE
    assert "not judged: no daemon was asked" in capsys.readouterr().out


@pytest.mark.usefixtures("cluster")
def test_explain_history_and_requests_go_on_as_well(tmp_path: Path, capsys: Captured) -> None:
    assert looked(tmp_path, "explain", "wallet", "--json") == ExitCode.DONE
    (wallet,) = Explanation.model_validate_json(capsys.readouterr().out).services
    assert {site.site: site.rule for site in wallet.sites}["dc2"] == 401
    assert looked(tmp_path, "history", "--service", "wallet", "--json") == ExitCode.DONE
    assert History.model_validate_json(capsys.readouterr().out).changes == ()
    assert looked(tmp_path, "requests", "--json") == ExitCode.DONE
    assert Requests.model_validate_json(capsys.readouterr().out).requests == ()


@pytest.mark.usefixtures("cluster")
def test_a_store_without_a_majority_is_told_beside_the_dead_daemon(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        raise TimedOut("etcd: no answer in time")

    monkeypatch.setattr(MemoryStore, "read", silent)
    assert looked(tmp_path, "status") == ExitCode.UNAVAILABLE
    said = capsys.readouterr().err
    assert "no tricast daemon answers at" in said
    assert "etcd was asked instead, and does not answer" in said


@pytest.mark.usefixtures("cluster")
def test_what_only_a_daemon_knows_is_not_made_up(tmp_path: Path, capsys: Captured) -> None:
    for words in (["plan", "switchover"], ["voters", "list"], ["audit", "show"]):
        assert looked(tmp_path, *words) == ExitCode.UNAVAILABLE, words
        assert "no tricast daemon answers at" in capsys.readouterr().err
    assert main(["status", "--config", LAB, "--url", "http://127.0.0.1:9"]) == ExitCode.UNAVAILABLE


@pytest.mark.usefixtures("cluster")
def test_a_failover_says_what_to_do(tmp_path: Path, capsys: Captured) -> None:
    assert looked(tmp_path, "failover", "--to", "dc2", "--yes") == ExitCode.UNAVAILABLE
    said = capsys.readouterr().err
    assert "start it at dc2 (systemctl start tricast) and ask there" in said
    assert "--server https://ADDRESS-OF-dc2:7802" in said


def test_no_cluster_file_no_store(tmp_path: Path, capsys: Captured) -> None:
    socket = str(tmp_path / "none.sock")
    assert main(["status", "--socket", socket]) == ExitCode.UNAVAILABLE
    assert "etcd" not in capsys.readouterr().err
    assert not absent.UNJUDGED.startswith("quorum")


def test_a_request_that_is_open_is_shown(
    tmp_path: Path, cluster: MemoryCluster, capsys: Captured
) -> None:
    asked = wish(Kind.SWITCHOVER, state=State.RUNNING, target="dc1", holder="dc2")
    key = PREFIX + request_key(WALLET, asked.number)
    asyncio.run(MemoryStore(cluster, DC1).put(key, encode_request(asked), 1.0))
    assert looked(tmp_path, "requests", "--json") == ExitCode.DONE
    (told,) = Requests.model_validate_json(capsys.readouterr().out).requests
    assert (told.number, told.kind, told.state) == (4, "switchover", "running")
    assert looked(tmp_path, "status", "--json") == ExitCode.DONE
    status = Status.model_validate_json(capsys.readouterr().out)
    (open_now,) = [s.request for s in status.services if s.name == WALLET]
    assert open_now is not None
    assert open_now.number == 4
