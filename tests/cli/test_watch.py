# ruff: noqa: E501
"""What happened, told as events: from values, through a daemon that dies, live, on a pipe."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from controller.cli.changes import events, summary
from controller.cli.endpoint import Endpoint
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.cli.watch import CLIMBING_S, Watch, page
from controller.web.printed_schema import Event
from controller.web.schema import OpenChange, RequestView, ServiceView, Status, StepView
from controller.web.weights_schema import SiteWeight, WeightsOrder, WeightsView
from tests.cli.test_terminal import AS_FROM_A_TERMINAL, ROOT, TRICAST, terminal
from tests.web.sample import DC1, DC2, STEADY, SWITCHED, TAKING_OVER, WALLET, Told, daemon

ASKED = RequestView(
    number=3, kind="switchover", service="wallet", target="dc2", asked_by="anna", asked_at="dc1",
    at="2026-11-21T01:09:00.000Z", state="open",
)  # fmt: skip


def status(**changes: object) -> Status:
    """STEADY with wallet alone, changed."""
    return STEADY.model_copy(update={"services": (WALLET.model_copy(update=changes),)})


def told(before: Status, after: Status) -> list[str]:
    return [
        f"{e.kind} {e.site}: {e.sentence}{' !' if e.bad else ''}" for e in events(before, after)
    ]


def test_how_things_stand_is_said_first() -> None:
    assert [(e.service, e.kind, e.sentence) for e in summary(STEADY)] == [
        ("wallet", "now", "epoch 7, holder dc1; dc1 primary, dc2 standby, witness witness"),
        ("lobby", "now", "epoch 3, holder dc2; dc1 standby, dc2 primary, witness witness"),
    ]


def test_nothing_happened() -> None:
    later = STEADY.model_copy(update={"now": "2026-11-21T01:10:01.000Z"})
    assert told(STEADY, later) == []


def test_a_takeover_under_way() -> None:
    assert told(STEADY, TAKING_OVER) == [
        "service dc2: epoch 7 -> 8, holder dc1 -> dc2: failover, the holder is silent to this site"
        " and to the witness",
        "guarantee : 2 of 3: the NEXT failure cannot be survived automatically !",
        "stance dc1: routes preferred -> unknown !",
        "health dc1: silent !",
        "voter dc1: ledger: primary (open) -> deposed (open) !",
        "voter dc1: journal: primary (open) -> deposed (open) !",
        "role dc2: standby -> taking over (rule 301: stands by)",
        "stance dc2: routes backup -> override",
        "voter dc2: ledger: following (streaming) -> primary (gate closed)",
        "voter dc2: journal: following (streaming) -> sealed@8 (read-only)",
        "alarm : came: dc1 is silent to dc2 and to the witness !",
        "alarm : came: dc2 ledger: a follower is ahead: false hazard !",
        "ladder : take over began 0.4 s ago, at committing",
        "ladder : take over [x] logs_sealed 0.020 s",
        "ladder : take over [x] promoted ledger 0.100 s",
    ]


def test_each_step_is_told_once_and_the_end_of_the_ladder() -> None:
    def climbing(done: int) -> Status:
        names = ("logs_sealed", "promoted", "serving")
        steps = tuple(
            StepView(name=name, done=i < done, took_s=0.1 * (i + 1) if i < done else None)
            for i, name in enumerate(names)
        )
        change = OpenChange(ladder="TAKE_OVER", step=names[done], steps=steps)
        return status(open_change=change)

    assert told(climbing(1), climbing(2)) == [
        "ladder : TAKE_OVER [x] promoted 0.200 s",
        "ladder : TAKE_OVER [>] serving",
    ]
    assert told(climbing(2), status()) == ["ladder : TAKE_OVER is over, last seen at serving"]


def test_a_role_change_between_two_looks_is_told_from_the_history() -> None:
    before = STEADY.model_copy(update={"history": ()})
    assert told(before, STEADY) == [
        "change dc1: failover dc2 -> dc1 under epoch 7 in 0.731 s: ok (logs_sealed 0.018 s;"
        " promoted ledger 0.041 s; promoted journal 0.022 s)"
    ]
    failed = SWITCHED.model_copy(update={"outcome": "taken back"})
    (line,) = told(before, STEADY.model_copy(update={"history": (failed,)}))
    assert line.endswith("!")


def test_an_alarm_of_which_only_a_number_changes_is_no_news() -> None:
    at = "probe fails as seen from dc1: {} of 7 tries, {:.1f} s"
    old, new = status(warnings=(at.format(3, 0.5),)), status(warnings=(at.format(4, 11.2),))
    assert told(old, new) == []
    other = status(warnings=(at.replace("dc1", "dc2").format(4, 11.2),))
    assert told(old, other) == [
        f"alarm : came: {at.replace('dc1', 'dc2').format(4, 11.2)} !",
        f"alarm : went: {at.format(3, 0.5)}",
    ]


@pytest.mark.parametrize(
    ("was", "now", "line"),
    [
        ({}, {"paused": "disk work"}, "pause : paused: disk work !"),
        ({"paused": "disk work"}, {}, "pause : no longer paused"),
        ({}, {"request": ASKED}, "request : request 3, switchover to dc2, asked by anna at dc1, open"),
        ({"request": ASKED}, {}, "request : request 3 (switchover) is over"),
        ({}, {"sites": (DC1.model_copy(update={"rule": 307, "reason": "x"}), DC2)}, "rule dc1: rule 901 -> 307: x"),
        ({}, {"sites": (DC1.model_copy(update={"healthy": False}), DC2)}, "health dc1: ill !"),
        ({}, {"sites": (DC1, DC2.model_copy(update={"role": "isolated", "rule": 120, "reason": "cut off"}))}, "role dc2: standby -> isolated (rule 120: cut off) !"),
        ({}, {"sites": (DC1.model_copy(update={"sessions_up": 1, "sessions_total": 2}), DC2)}, "sessions dc1: 1 of 2 BGP sessions up"),
        ({}, {"sites": (DC1.model_copy(update={"directed_to": (), "held": True}), DC2)}, "traffic dc1: haproxy -> nobody, new requests wait"),
    ],
)  # fmt: skip
def test_each_kind_of_event(was: dict[str, object], now: dict[str, object], line: str) -> None:
    assert told(status(**was), status(**now)) == [line]


def test_the_store_and_drains() -> None:
    store = STEADY.store.model_copy(update={"ok": False, "detail": "no majority since 12 s"})
    order = ASKED.model_copy(update={"kind": "drain", "service": "", "target": "dc1"})
    ill = STEADY.model_copy(update={"store": store, "drains": (order,)})
    assert told(STEADY, ill) == [
        "store : etcd: no majority since 12 s !",
        "drain dc1: dc1 is drained",
    ]
    assert told(ill, STEADY) == [
        "store : etcd: answers again",
        "drain dc1: dc1 is drained no more",
    ]


def test_weights_that_are_set_and_given_back() -> None:
    order = WeightsOrder(number=800_001, by="ada", at_site="dc1", at="now", reason="old disks")
    sites = (SiteWeight(site="dc2", weight=5, configured=90, was_set=True),)
    before, after = (
        status(weights=WeightsView()),
        status(weights=WeightsView(sites=sites, order=order)),
    )
    assert told(before, after) == ["weights : weights dc2=5 set by ada at dc1, now: old disks"]
    assert told(after, before) == ["weights : weights as configured again"]
    assert told(status(), after) == told(after, status()) == []


def test_a_daemon_that_is_away_is_said_once_and_what_changed_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "s"
    seen = Watch(Endpoint(socket=path), None)
    assert [e.kind for e in seen.look()] == ["daemon"]
    assert seen.look() == []
    with daemon(Told(STEADY), path):
        assert [e.kind for e in seen.look()] == ["daemon", "now", "now"]
        assert seen.look() == []
        assert seen.pause_s(5.0) == 5.0
    assert [e.bad for e in seen.look()] == [True]
    shown = [line.plain for line in page(seen, 100, 40).renderables]  # type: ignore[union-attr]
    assert "no tricast daemon answers" in shown[0]
    assert shown[1] == "What follows is what it said last."
    with daemon(Told(TAKING_OVER), path):
        kinds = [e.kind for e in seen.look()]
        assert kinds[:2] == ["daemon", "service"]
        assert "answers again" in list(seen.happened)[-len(kinds)].sentence
        assert seen.pause_s(5.0) == CLIMBING_S


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 12), (120, 50)])
def test_the_page_has_the_status_the_ladder_and_the_last_events(
    tmp_path: Path, width: int, height: int
) -> None:
    with daemon(Told(TAKING_OVER), tmp_path / "s"):
        seen = Watch(Endpoint(socket=tmp_path / "s"), None)
        seen.look()
    seen.happened.extend(
        Event(at="2026-11-21T01:10:00.000Z", kind="alarm", sentence=f"event {n} " + "x" * 200)
        for n in range(100)
    )
    crowded = height == 12
    lines = [line.plain for line in page(seen, width, height).renderables]  # type: ignore[union-attr]
    assert len(lines) <= height
    assert (" ... a taller window, or --service, shows more" in lines) == crowded
    # Where there is no room for the steps, the line "Role change" names the one that is waited for.
    assert ("    [>] committing: no voter follows yet" in lines) == (height == 50)
    tail = lines[lines.index("Events") + 1 :]
    assert "event 99" in tail[-1]
    assert len(tail) >= 5
    assert all(len(line) <= width for line in lines)


def test_live_on_a_terminal_through_a_restart(tmp_path: Path) -> None:
    source, path = Told(STEADY), tmp_path / "s"
    with terminal(["watch", "--interval", "0.1", "--socket", str(path)]) as shown:
        with daemon(source, path):
            shown.until(lambda seen: "epoch: 7" in seen)
            source.now = TAKING_OVER
            shown.until(lambda seen: "came: dc1 is silent" in seen)
        shown.until(lambda seen: "What follows is what it said last." in seen)
        with daemon(source, path):
            shown.until(lambda seen: "answers again" in seen)
            shown.process.send_signal(signal.SIGINT)
            assert shown.end() == ExitCode.DONE
    assert "Traceback" not in shown.seen
    # The alternate screen was left, the cursor is back, and the last page stands below.
    left = shown.seen.rindex("\x1b[?1049l")
    assert left > shown.seen.rindex("\x1b[?1049h")
    assert shown.seen.rindex("\x1b[?25h") > shown.seen.rindex("\x1b[?25l")
    assert "answers again" in shown.seen[left:]


@pytest.mark.parametrize("form", [["--json"], []])
def test_on_a_pipe_it_is_a_line_per_change(tmp_path: Path, form: list[str]) -> None:
    source, path = Told(STEADY), tmp_path / "s"
    with daemon(source, path):
        watching = subprocess.Popen(
            [*AS_FROM_A_TERMINAL, *TRICAST, "watch", "--interval", "0.1", "--service", "wallet",
             "--socket", str(path), *form],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        try:
            assert watching.stdout is not None
            lines = [watching.stdout.readline()]
            source.now = status(paused="disk work")
            lines.append(watching.stdout.readline())
            watching.send_signal(signal.SIGINT)
            rest, error = watching.communicate(timeout=20)
        finally:
            watching.kill()
            watching.wait()
    assert (watching.returncode, rest, error) == (ExitCode.DONE, "", "")
    if form:
        found = [Event.model_validate(json.loads(line)) for line in lines]
        assert [(e.kind, e.service, e.bad) for e in found] == [
            ("now", "wallet", False), ("pause", "wallet", True),
        ]  # fmt: skip
    else:
        assert lines == [
            "2026-11-21T01:10:00.000Z wallet now: epoch 7, holder dc1;"
            " dc1 primary, dc2 standby, witness witness\n",
            "2026-11-21T01:10:00.000Z wallet pause: paused: disk work\n",
        ]


def test_an_unknown_service_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(Told(STEADY), tmp_path / "s"):
        asked = ["watch", "--service", "walet", "--socket", str(tmp_path / "s")]
        assert main(asked) == ExitCode.USAGE
    assert "has no service 'walet'" in capsys.readouterr().err


def test_a_service_that_is_seen_for_the_first_time_is_told_as_it_stands() -> None:
    known = status()
    assert told(known.model_copy(update={"services": ()}), known) == [
        "now : epoch 7, holder dc1; dc1 primary, dc2 standby, witness witness"
    ]
    unseen = ServiceView(name="wallet", durability="quorum")
    started = STEADY.model_copy(update={"services": (unseen,)})
    (line,) = (event.sentence for event in summary(started))
    assert line == "epoch 0, holder nobody; the daemon has only just started"
    assert told(started, known)[0].startswith("now : epoch 7, holder dc1")


def test_a_daemon_that_has_only_just_started_is_no_news(tmp_path: Path) -> None:
    order = ASKED.model_copy(update={"kind": "drain", "service": "", "target": "dc1"})
    before = STEADY.model_copy(update={"drains": (order,)})
    empty = tuple(
        ServiceView(name=service.name, durability=service.durability) for service in STEADY.services
    )
    unread = STEADY.store.model_copy(update={"ok": False, "detail": "not read yet"})
    started = STEADY.model_copy(update={"services": empty, "store": unread, "history": ()})
    source, path = Told(before), tmp_path / "s"
    with daemon(source, path):
        seen = Watch(Endpoint(socket=path), None)
        seen.look()
        source.now = started
        assert [event.sentence for event in seen.look()] == ["etcd: not read yet"]
        source.now = before
        assert [event.sentence for event in seen.look()] == ["etcd: answers again"]
