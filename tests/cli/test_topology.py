"""The cluster as a tree: who follows whom, what is announced, and which daemons are asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli import elsewhere
from controller.cli.endpoint import Endpoint
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.cli.topology import topology_lines, tree_of
from controller.web.printed_schema import Topology
from controller.web.schema import ServiceView, SiteView, Status
from tests.web.sample import DC1, DC2, STEADY, TAKING_OVER, WALLET, Told, daemon, standby

Captured = pytest.CaptureFixture[str]

SPEAKING = {"sessions_up": 1, "sessions_total": 2, "directed_to": ("dc1",), "held": False}
OTHER = {"sessions_up": 2, "sessions_total": 2, "directed_to": (), "held": True}


def seen(base: Status, **changes: object) -> Status:
    """`base`, where each named site says more of itself."""
    services: list[ServiceView] = []
    for service in base.services:
        sites: list[SiteView] = []
        for site in service.sites:
            more = changes.get(site.site, {})
            assert isinstance(more, dict)
            sites.append(site.model_copy(update=more))
        services.append(service.model_copy(update={"sites": tuple(sites)}))
    return base.model_copy(update={"services": tuple(services)})


@pytest.fixture
def sock(tmp_path: Path) -> Iterator[str]:
    with daemon(Told(seen(STEADY, dc1=SPEAKING)), tmp_path / "s.sock"):
        yield str(tmp_path / "s.sock")


def test_the_tree(sock: str, capsys: Captured) -> None:
    assert main(["topology", "--service", "wallet", "--socket", sock]) == ExitCode.DONE
    assert capsys.readouterr().out.splitlines() == [
        "wallet epoch 7, holder dc1, quorum: 3 of 3 voters; survives the loss of any one site",
        "+- site dc1: primary, rule 901, ok, apps 2/2",
        "|  +- bgp: announces preferred, 1 of 2 sessions up",
        "|  `- haproxy: -> dc1",
        "+- site dc2: standby, rule 902, ok, heard 0.1s ago, apps 1/2",
        "|  +- bgp: announces backup, sessions: ask its own daemon",
        "|  `- haproxy: ask its own daemon",
        "+- site witness: witness, rule 903, ok, heard 0.1s ago, lands at dc1",
        "+- database ledger:",
        "|  `- dc1: primary, open, 0/30A6450@7, postgres",
        "|     +- dc2: following, lag 0, 0/30A6450@7, postgres",
        "|     `- witness: following, lag 0, 0/30A6450@7, postgres",
        "`- database journal:",
        "   `- dc1: primary, open, 0-1-48211@7, mariadb",
        "      +- dc2: following, lag 4MB, 0-1-47000@7, mariadb",
        "      `- witness: following, lag 0, 0-1-48211@7, mariadb",
        "",
        "tricast at 2026-11-21T01:10:00.000Z as seen by dc1",
    ]


def test_as_json_it_is_the_record(sock: str, capsys: Captured) -> None:
    assert main(["topology", "--json", "--socket", sock]) == ExitCode.DONE
    found = Topology.model_validate_json(capsys.readouterr().out)
    assert found == tree_of(seen(STEADY, dc1=SPEAKING), None)
    ledger = found.services[0].databases[0]
    assert [(c.site, c.role, c.upstream) for c in ledger.copies] == [
        ("dc1", "primary", None), ("dc2", "following", "dc1"), ("witness", "following", "dc1"),
    ]  # fmt: skip


def test_what_is_wrong_is_in_the_tree() -> None:
    store = STEADY.store.model_copy(update={"ok": False, "detail": "no majority since 12 s"})
    paused = TAKING_OVER.services[0].model_copy(update={"paused": "maintenance, says anna"})
    status = TAKING_OVER.model_copy(update={"store": store, "services": (paused,)})
    status = seen(status, dc2=OTHER)
    page = "\n".join(line.plain for line in topology_lines(tree_of(status, None), 200))
    for words in (
        "PAUSED: maintenance, says anna",
        "site dc1: primary, rule 901, silent",
        "announces unknown",
        "haproxy: -> nobody (503), new requests wait",
        "dc1: deposed, open",
        "dc2: primary, gate closed, 0/30A6450@7, postgres, a follower is ahead: false hazard",
        "warning: dc1 is silent to dc2 and to the witness",
        "Store: no majority since 12 s; roles stay as they are, traffic goes on",
    ):
        assert words in page
    # What is sealed follows nobody, whatever it was told once.
    assert "|  `- dc2: sealed@8, read-only" in page


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = [line.plain for line in topology_lines(tree_of(TAKING_OVER, None), width)]
    assert max(map(len, lines)) <= width
    whole = " ".join(" ".join(line.strip("|+`- ") for line in lines).split())
    assert "0-1-47000,1-2-900000000000,2-3-123456789@7, mariadb" in whole


def test_copies_that_follow_each_other_are_all_shown() -> None:
    ledger = DC1.databases[0]
    circle = tuple(
        site.model_copy(update={"databases": (standby(ledger, upstream=above),)})
        for site, above in ((DC1, "dc2"), (DC2, "dc1"))
    )
    status = STEADY.model_copy(update={"services": (WALLET.model_copy(update={"sites": circle}),)})
    page = [line.plain for line in topology_lines(tree_of(status, None), 200)]
    assert "   +- dc1: following, lag 0, 0/30A6450@7, postgres" in page
    assert "   `- dc2: following, lag 0, 0/30A6450@7, postgres" in page


def test_every_site_says_itself_what_only_it_knows(
    sock: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = seen(STEADY.model_copy(update={"site": "dc2"}), dc2=OTHER)
    with daemon(Told(other), tmp_path / "2.sock") as port:
        sites = {
            "dc1": Endpoint(url="http://127.0.0.1:9"),
            "dc2": Endpoint(url=f"http://127.0.0.1:{port}"),
            "witness": Endpoint(url="http://127.0.0.1:9"),
        }
        monkeypatch.setattr(elsewhere, "endpoints", lambda _cluster: sites)
        assert main(["topology", "--service", "wallet", "--socket", sock]) == ExitCode.DONE
        out = capsys.readouterr().out.splitlines()
        assert "|  +- bgp: announces backup, 2 of 2 sessions up" in out
        assert "|  `- haproxy: -> nobody (503), new requests wait" in out
        (lost,) = (line for line in out if line.startswith("No answer: "))
        assert lost.startswith("No answer: witness: no tricast daemon answers")
        # The daemon of this node is dead: another one is believed, and it is said.
        dead = str(tmp_path / "none.sock")
        assert main(["topology", "--socket", dead]) == ExitCode.DONE
        out = capsys.readouterr().out.splitlines()
        assert out[-1].endswith("as seen by dc2")
        assert any(line.startswith("No answer: no tricast daemon answers at") for line in out)
        # Whoever names a daemon wants that one.
        assert main(["topology", "--url", "http://127.0.0.1:9"]) == ExitCode.UNAVAILABLE


def test_where_the_daemons_are_is_read_from_the_cluster_file() -> None:
    lab = Path(__file__).parents[2] / "lab/containerlab/nodes/tricast.yml"
    found = elsewhere.endpoints(elsewhere.cluster_of(lab))
    assert {site: where.url for site, where in found.items()} == {
        "dc1": "http://10.1.0.1:7800",
        "dc2": "http://10.2.0.1:7800",
        "witness": "http://10.3.0.1:7800",
    }


def test_nobody_answers_and_wrong_names(sock: str, tmp_path: Path, capsys: Captured) -> None:
    assert main(["topology", "--socket", str(tmp_path / "x")]) == ExitCode.UNAVAILABLE
    assert "systemctl start tricast" in capsys.readouterr().err
    assert main(["topology", "--service", "walet", "--socket", sock]) == ExitCode.USAGE
    assert "has no service 'walet'; it has wallet, lobby" in capsys.readouterr().err
    bad = tmp_path / "bad.yml"
    bad.write_text("cluster: x\n")
    assert main(["topology", "--config", str(bad)]) == ExitCode.CONFIG
