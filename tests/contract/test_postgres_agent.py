"""The host agent as a program: what it is asked, and what it answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.adapters.local_agent import LocalAgent
from controller.ports import PortError, Refused, TimedOut

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]
SETTINGS = {"databases": {"ledger": {"kind": "postgres", "data_dir": "relative"}}}


def ask(settings: Path, *words: str, ssh: str | None = None) -> tuple[int, dict[str, str]]:
    """Exit code and answer."""
    environment = {**os.environ, "TRICAST_HOSTAGENT": str(settings)}
    if ssh is not None:
        environment["SSH_ORIGINAL_COMMAND"] = ssh
    argv = [sys.executable, "-m", "controller.hostagent", *words]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return done.returncode, answer


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings with one database, wrongly described."""
    path = tmp_path / "hostagent.json"
    path.write_text(json.dumps(SETTINGS))
    return path


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "no verb was given"),
        ("rm -rf /", "not an argument of the form"),
        ("postgres-nothing database=ledger", "no verb 'postgres-nothing'"),
        ("shell-run command=id", "no verb 'shell-run'"),
        ("postgres-stop", "needs database="),
        ("postgres-stop database=other", "no 'other' under 'databases' here; known: ledger"),
        ("postgres-stop database=ledger", "data_dir must be an absolute path"),
        ("postgres-stop 'database=led", "cannot be read"),
        ("wal-serve database=ledger target=0/0 epoch=1", "data_dir must be an absolute path"),
    ],
)
def test_only_verbs_of_the_table_run_and_refusals_are_sentences(
    settings: Path, command: str, said: str
) -> None:
    code, answer = ask(settings, "--ssh", ssh=command)
    assert code == 3
    assert said in answer["error"]


def test_settings_that_cannot_be_read_are_refused_by_name(tmp_path: Path) -> None:
    code, answer = ask(tmp_path / "absent.json", "postgres-stop", "database=ledger")
    assert (code, "absent.json" in answer["error"]) == (3, True)
    (tmp_path / "broken.json").write_text("{")
    code, answer = ask(tmp_path / "broken.json", "postgres-stop", "database=ledger")
    assert (code, "is not JSON" in answer["error"]) == (3, True)


async def test_the_local_agent_speaks_for_the_program(settings: Path) -> None:
    agent = LocalAgent(settings)
    with pytest.raises(Refused, match="known: ledger"):
        await agent.call("postgres-stop", {"database": "x"}, 10)
    with pytest.raises(TimedOut):
        await agent.call("postgres-stop", {"database": "x"}, 0.001)
    broken = LocalAgent(settings, program=("/bin/echo", "no json"))
    with pytest.raises(PortError, match="no answer: no json"):
        await broken.call("postgres-stop", {}, 10)
