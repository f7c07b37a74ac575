"""Completion, in the shell itself."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main

ROOT = Path(__file__).parents[2]
LAB = str(ROOT / "lab/containerlab/nodes/tricast.yml")
BASH = shutil.which("bash")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """PATH with a `tricast` in front."""
    command = tmp_path / "tricast"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m controller.cli.main "$@"\n')
    command.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def completed(path: str, line: str, config: str = LAB) -> set[str]:
    """What bash offers for the last word of `line`."""
    words = [*shlex.split(line), *([""] if line.endswith(" ") else [])]
    script = (
        "source <(tricast completion bash) && complete -p tricast >&2 &&"
        f" COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1} &&"
        " _tricast_completion tricast && printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    assert BASH is not None
    done = subprocess.run(
        [BASH, "--norc", "-c", script],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
        env={"PATH": path, "TRICAST_CONFIG": config, "HOME": "/nonexistent"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "-F _tricast_completion tricast" in done.stderr
    return set(done.stdout.split())


@pytest.mark.skipif(BASH is None, reason="no bash")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tricast st", {"status"}),
        ("tricast audit ", {"show", "verify", "export", "archive"}),
        ("tricast drain ", {"dc1", "dc2", "witness"}),
        ("tricast plan ", {"switchover", "failover", "drain"}),
        ("tricast plan drain ", {"dc1", "dc2", "witness"}),
        ("tricast plan failover --to w", {"witness"}),
        ("tricast switchover --to dc", {"dc1", "dc2"}),
        ("tricast watch --service ", {"wallet", "lobby"}),
        ("tricast explain w", {"wallet"}),
        ("tricast completion ", {"bash", "zsh", "fish"}),
        ("tricast watch --int", {"--interval"}),
    ],
)
def test_bash_offers(path: str, line: str, offered: set[str]) -> None:
    assert completed(path, line) == offered


@pytest.mark.skipif(BASH is None, reason="no bash")
def test_without_a_good_cluster_file_no_name_is_offered(path: str, tmp_path: Path) -> None:
    assert completed(path, "tricast drain ", str(tmp_path / "none.yml")) == set()
    bad = tmp_path / "bad.yml"
    bad.write_text("cluster: [\n")
    assert completed(path, "tricast drain ", str(bad)) == set()
    # --config on the line is nearer than the variable.
    assert completed(path, f"tricast explain --config {LAB} ", str(bad)) == {"wallet", "lobby"}


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("bash", "complete -o nosort -F _tricast_completion tricast"),
        ("zsh", "#compdef tricast"),
        ("fish", "complete --no-files --command tricast"),
    ],
)
def test_each_script_is_of_its_shell(
    shell: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == ExitCode.DONE
    script = capsys.readouterr().out
    assert words in script
    assert f"_TRICAST_COMPLETE={shell}_complete" in script


def test_another_shell_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == ExitCode.USAGE
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in capsys.readouterr().err
