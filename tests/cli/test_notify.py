"""`tricast notify` against a daemon's web room: what is printed, and the exit code."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.web.app import build_app
from controller.web.notify_schema import (
    Notifications,
    NotificationsView,
    NotifyTest,
    TargetView,
    TriedView,
)
from controller.web.serve import serve
from controller.web.source import NotAsked
from tests.web.sample import STEADY, Told

Captured = pytest.CaptureFixture[str]
OPERATORS = TargetView(
    name="operators", where="https://alerts.example.net", sent=4, waiting=2, failing_s=400.0,
    problem="https://alerts.example.net: status 500",
)  # fmt: skip
SUPPORT = TargetView(name="support", where="/usr/local/bin/tell", events=("site_lost",), dropped=1)


class Tellers:
    """A NotifySource that tells what it was told."""

    def __init__(self, *targets: TargetView) -> None:
        self.found = NotificationsView(alarms=("nobody hears",) if targets else (), targets=targets)

    def view(self) -> NotificationsView:
        return self.found

    async def test(self, target: str) -> tuple[TriedView, ...]:
        boxes = [each for each in self.found.targets if target in ("", each.name)]
        if target and not boxes:
            raise NotAsked(404, f"there is no target {target!r}; there are: operators")
        return tuple(
            TriedView(
                target=each.name, where=each.where, ok=not each.problem,
                detail=each.problem or "status 200",
            )
            for each in boxes
        )  # fmt: skip


@contextmanager
def office(notify: Tellers, socket: Path) -> Iterator[tuple[str, str]]:
    """A daemon's web room in a thread: the options that reach it on its socket, and over TCP."""
    started, loop, ended, ports = Event(), asyncio.new_event_loop(), asyncio.Event(), list[int]()

    async def live() -> None:
        app = build_app(Told(STEADY), notify=notify)
        async with serve(app, socket, "127.0.0.1", 0) as port:
            ports.append(port)
            started.set()
            await ended.wait()

    thread = Thread(target=lambda: loop.run_until_complete(live()))
    thread.start()
    try:
        assert started.wait(10)
        yield f"--socket={socket}", f"--url=http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


def test_the_targets_are_listed_with_what_has_come_of_them(
    tmp_path: Path, capsys: Captured
) -> None:
    with office(Tellers(OPERATORS, SUPPORT), tmp_path / "s") as (where, _):
        assert main(["notify", "list", where]) == ExitCode.DONE
        shown = capsys.readouterr().out
        assert main(["notify", "list", "--json", where]) == ExitCode.DONE
        told = Notifications.model_validate_json(capsys.readouterr().out)
    for word in ("operators", "https://alerts.example.net", "status 500", "site_lost", "nobody"):
        assert word in shown
    assert told.notifications.targets == (OPERATORS, SUPPORT)


def test_a_test_says_what_came_back_of_each(tmp_path: Path, capsys: Captured) -> None:
    with office(Tellers(OPERATORS, SUPPORT), tmp_path / "s") as (where, _):
        assert main(["notify", "test", where]) == ExitCode.FAILED
        shown = capsys.readouterr().out
        assert main(["notify", "test", "support", where]) == ExitCode.DONE
        assert capsys.readouterr().out == "support: status 200 (/usr/local/bin/tell)\n"
        assert main(["notify", "test", "support", "--json", where]) == ExitCode.DONE
        told = NotifyTest.model_validate_json(capsys.readouterr().out)
    assert "operators: https://alerts.example.net: status 500\n" in shown
    assert [each.ok for each in told.tested] == [True]


def test_an_unknown_target_is_refused_with_those_that_there_are(
    tmp_path: Path, capsys: Captured
) -> None:
    with office(Tellers(OPERATORS), tmp_path / "s") as (where, _):
        assert main(["notify", "test", "oprators", where]) == ExitCode.REFUSED
    assert "there is no target 'oprators'; there are: operators" in capsys.readouterr().err


def test_a_test_is_asked_on_the_node_only(tmp_path: Path, capsys: Captured) -> None:
    with office(Tellers(OPERATORS), tmp_path / "s") as (_, remote):
        assert main(["notify", "test", remote]) == ExitCode.REFUSED
        assert "on the unix socket" in capsys.readouterr().err
        assert main(["notify", "list", remote]) == ExitCode.DONE


def test_no_target_is_said(tmp_path: Path, capsys: Captured) -> None:
    with office(Tellers(), tmp_path / "s") as (where, _):
        for verb in ("list", "test"):
            assert main(["notify", verb, where]) == ExitCode.DONE
            assert "nobody is told; see `notifications`" in capsys.readouterr().out


def test_no_daemon_is_unavailable(tmp_path: Path, capsys: Captured) -> None:
    for verb in ("list", "test"):
        asked = ["notify", verb, f"--socket={tmp_path / 'none'}"]
        assert main(asked) == ExitCode.UNAVAILABLE
    assert "no tricast daemon answers" in capsys.readouterr().err


def test_the_schema_of_what_is_sent_is_an_object_with_a_format() -> None:
    schema = json.loads((Path(__file__).parents[2] / "docs/api/notification.v1.json").read_text())
    assert schema["properties"]["format"]["default"] == 1
    assert {"id", "event", "severity", "text"} <= set(schema["properties"])
