"""What the benchmark makes of logs and runs: parsing, statistics, goals, the picture."""

import re
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lab.client.attempts import Attempt, Outcome
from lab.rehearsal.bench import outage
from lab.rehearsal.figures import figures, medians, part_names, render, spread
from lab.rehearsal.journal import asked_to_attract, first_intent, patroni_said, route_came, stamp
from lab.rehearsal.page import page
from lab.rehearsal.plot import LEAST_S, MOST_S, draw, position
from lab.rehearsal.tally import Entry, Tally, failures, latest, runs
from lab.rehearsal.usage import BENCH, usage

CONTROLLER = "\n".join(
    [
        '{"service": "lobby", "intent": "RaiseEpoch(epoch=9, kind=1)", "event": "intent",'
        ' "timestamp": "2026-01-02T03:04:05.100000Z"}',
        '{"service": "wallet", "intent": "RaiseEpoch", "outcome": "ok", "event": "outcome",'
        ' "timestamp": "2026-01-02T03:04:05.150000Z"}',
        "lab: controller ended with 137 after about 67 s, with its intent",
        '{"service": "wallet", "intent": "RaiseEpoch(epoch=2, kind=1)", "event": "intent",'
        ' "timestamp": "2026-01-02T03:04:05.200000Z"}',
        '{"service": "wallet", "intent": "Announce(stance=<Stance.BACKUP: 1>)",'
        ' "event": "intent", "timestamp": "2026-01-02T03:04:05.250000Z"}',
        '{"service": "wallet", "intent": "Announce(stance=<Stance.OVERRIDE: 1>)",'
        ' "event": "intent", "timestamp": "2026-01-02T03:04:05.300000Z"}',
    ]
)
ROUTER = """\
2026/01/02 03:04:05.100000 BGP: [T5] 203.0.113.9(isp1) rcvd UPDATE w/ attr: nexthop 1.2.3.4, path 64501 64510
2026/01/02 03:04:05.100001 BGP: [YC] 203.0.113.9(isp1) rcvd 198.51.100.0/24 IPv4 unicast
2026/01/02 03:04:05.200000 BGP: [T5] 203.0.113.13(isp2) rcvd UPDATE w/ attr: nexthop 1.2.3.4, path 64502 64510 64510
2026/01/02 03:04:05.200001 BGP: [YC] 203.0.113.13(isp2) rcvd 198.51.100.0/24 IPv4 unicast
2026/01/02 03:04:05.300000 BGP: [T5] 203.0.113.13(isp2) rcvd UPDATE w/ attr: nexthop 1.2.3.4, path 64502 64510
2026/01/02 03:04:05.300001 BGP: [YC] 203.0.113.13(isp2) rcvd 192.0.2.0/24 IPv4 unicast
2026/01/02 03:04:05.400001 BGP: [YC] 203.0.113.13(isp2) rcvd 198.51.100.0/24 IPv4 unicast
"""  # noqa: E501
PATRONI = """\
2026-01-02 03:04:05,100 INFO: promoted self to leader by acquiring session lock
server promoting
2026-01-02 03:04:07,250 INFO: promoted self to leader by acquiring session lock
"""


def test_the_first_intent_of_the_service_after_the_blow_is_found() -> None:
    before, at = stamp("2026-01-02T03:04:05Z"), stamp("2026-01-02T03:04:05.200000Z")
    assert first_intent(CONTROLLER, before, "RaiseEpoch") == at
    assert first_intent(CONTROLLER, at, "RaiseEpoch") is None
    assert asked_to_attract(CONTROLLER, before) == stamp("2026-01-02T03:04:05.300000Z")


def test_a_route_has_come_with_exactly_its_path_and_prefix() -> None:
    def local(text: str) -> float:
        return datetime.fromisoformat(text).astimezone().timestamp()

    before = local("2026-01-02T03:04:05")
    assert route_came(ROUTER, before, "64502 64510") == local("2026-01-02T03:04:05.400001")
    assert route_came(ROUTER, before, "64501 64510") == local("2026-01-02T03:04:05.100001")
    assert route_came(ROUTER, local("2026-01-02T03:04:05.2"), "64501 64510") is None


def test_patroni_is_heard_to_the_millisecond() -> None:
    after = datetime.fromisoformat("2026-01-02T03:04:06").astimezone().timestamp()
    assert patroni_said(PATRONI, after, "promoted self") == pytest.approx(after + 1.25)
    assert patroni_said(PATRONI, after, "demoted") is None


def attempt(at: float, outcome: Outcome = Outcome.OK) -> Attempt:
    return Attempt(sent_at=at, at=at, key="k", attempt=1, outcome=outcome)


def test_an_outage_is_the_longest_gap_since_just_before_the_blow() -> None:
    early = [attempt(1.0), attempt(5.0)]  # a gap of four seconds that is not the blow's
    later = [attempt(9.5), attempt(9.9), attempt(10.2, Outcome.FAIL), attempt(11.4), attempt(11.5)]
    found = outage([*early, *later], at=10.0)
    assert found == {"outage_s": 1.5, "resumed_s": 1.4, "failed_attempts": 1}


def run(stack: str, fault: str, outage_s: float, **more: Any) -> Entry:
    base = {
        "outage_s": outage_s,
        "resumed_s": outage_s - 0.1,
        "took_s": 9.0,
        "failed_attempts": 3,
        "acked": 100,
        "missing": 0,
    }
    return {"stack": stack, "fault": fault, **base, "parts": {}, **more}


def entries() -> list[Entry]:
    ours = [
        run("tricast", "site_loss", s, parts={"detection": 0.5}, route_ms=8.0)
        for s in (0.8, 1.0, 1.2)
    ]
    peers = [run("peer", "site_loss", s) for s in (22.0, 26.0)]
    broken = {"stack": "peer", "fault": "site_loss", "failed": "not within 120 s"}
    floor = [{"stack": "floor", "fault": "promote", "outage_s": s} for s in (0.1, 0.3, 0.2)]
    return [{"stack": "machine", "cores": "2"}, *floor, *ours, *peers, broken]


def test_figures_of_some_runs() -> None:
    found = figures(entries())
    loss = found["faults"]["site_loss"]
    assert (loss["tricast"]["median"], loss["tricast"]["worst"], loss["tricast"]["n"]) == (
        1,
        1.2,
        3,
    )
    assert (loss["peer"]["median"], loss["peer"]["runs_failed"], loss["times"]) == (24.0, 1, 24.0)
    assert found["floor"]["floor_s"] == 0.7
    assert found["floor"]["ratio"] == 1.43
    assert (found["acked"], found["missing"]) == (500, 0)
    assert found["machine"] == {"cores": "2"}
    assert all(goal["met"] for goal in found["goals"])
    assert len(found["goals"]) == 5
    assert re.search(
        r"silent site loss +1\.000 +1\.200 +3 +24\.000 +26\.000 +2 +24\.0", render(found)
    )


def test_the_page_shows_what_was_measured_and_what_failed() -> None:
    text = page(figures(entries()))
    assert "| silent site loss | 1.00 | 1.20 | 3 | 24.00 | 26.00 | 2 + 1 failed | 24 |" in text
    assert "| planned switchover | - | - | 0 | - | - | 0 | - |" in text
    assert "| detection | 0.500 |" in text
    assert "| acknowledged write at the client | 0.900 | - |" in text
    assert "floor of silent site loss: 0.700 s. The outage is 1.43 times that." in text
    assert "| cores | 2 |" in text


def test_who_used_the_processors_is_shown_and_a_bench_without_it_is_not_spoilt() -> None:
    assert "ran / waited" not in page(figures(entries()))
    used = [
        {"seconds": 2.0, "cores": 2, "programs": {
            "postgres": {"ran_s": ran, "waited_s": 0.5}, "etcd": {"ran_s": 0.5, "waited_s": 0.1},
        }}
        for ran in (1.0, 1.5, 3.0)
    ]  # fmt: skip
    runs = [run("tricast", "database_crash", 1.0, used=each) for each in used]
    text = page(figures([*entries(), *runs]))
    assert "| tricast, median s that ran / waited for a core | PostgreSQL killed |" in text
    assert "| postgres | 1.500 / 0.500 |" in text
    assert "| all cores busy | 50% |" in text
    assert text.index("| postgres |") < text.index("| etcd |")


def test_the_time_that_a_process_ran_and_waited_is_read() -> None:
    before = usage()
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    found = usage().since(before)
    mine = found["programs"][BENCH]
    assert 0.04 < mine["ran_s"] <= found["seconds"] + 0.01
    assert mine["waited_s"] >= 0


def test_what_a_thread_ran_that_has_ended_counts_as_well() -> None:
    def spin() -> None:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass

    before = usage()
    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()
    assert usage().since(before)["programs"][BENCH]["ran_s"] > 0.04


def test_a_goal_that_was_missed_is_said_to_be() -> None:
    found = figures([*entries(), run("tricast", "site_loss", 1.6, missing=2, parts={})])
    missed = {goal["what"] for goal in found["goals"] if not goal["met"]}
    assert missed == {
        "silent site loss, median (s)",
        "silent site loss, worst (s)",
        "acknowledged writes missing",
        "silent site loss over its floor",
    } - ({"silent site loss over its floor"} if found["floor"]["ratio"] <= 1.5 else set())
    assert "MISSED  acknowledged writes missing: 2" in render(found)


def test_nothing_measured_is_no_figure_and_no_error() -> None:
    found = figures([])
    assert found["floor"] == {}
    assert [goal["what"] for goal in found["goals"]] == ["acknowledged writes missing"]
    assert "-" in render(found)
    assert draw(found).startswith("<svg")


def test_statistics() -> None:
    assert spread([]) == {}
    assert spread([3.0, 1.0, 2.0]) == {"n": 3, "median": 2.0, "best": 1.0, "worst": 3.0}
    tables = [{"b": 2.0, "a": 1.0}, {"b": 4.0}]
    assert list(medians(tables).items()) == [("a", 1.0), ("b", 3.0)]
    assert medians([*tables, {}]) == {"b": 3.0}  # what happened in few runs is no part of most


def test_parts_are_listed_in_the_order_in_which_they_end() -> None:
    assert part_names([{"seal": 0.5, "promote": 0.9}, {"noticed": 0.2, "seal": 0.8}]) == [
        "noticed", "seal", "promote",
    ]  # fmt: skip


def test_a_tally_goes_on_where_it_ended(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "bench" / "runs.jsonl")
    assert tally.entries() == []
    for entry in entries():
        tally.add(entry)
    again = Tally(tally.path).entries()
    assert again == entries()
    assert len(runs(again, "peer", "site_loss")) == 2
    assert len(failures(again, "peer", "site_loss")) == 1
    assert latest(again, "machine")["cores"] == "2"
    assert latest(again, "rest") == {}
    tally.forget()
    assert tally.entries() == []


def test_the_picture_has_a_dot_for_each_run_and_stays_on_its_axis() -> None:
    picture = draw(figures(entries()))
    assert picture.count('r="4"') == 5
    assert position(LEAST_S / 10) == position(LEAST_S) < position(1.0) < position(MOST_S)
    assert position(MOST_S * 10) == position(MOST_S)
