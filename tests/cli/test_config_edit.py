"""`tricast config edit`: what an editor leaves is checked, compared, asked about, written whole."""

import errno
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.cli.config_replace import ChangedMeanwhile, opened, replaced
from controller.cli.config_restart import next_lines
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.config import load
from controller.web.config_schema import ConfigDifference
from tests.cli.test_terminal import TRICAST, Terminal, terminal
from tests.web.running import HOSTS, answering, cluster_text, free_port, running

Captured = pytest.CaptureFixture[str]
Editor = Callable[[str], Path]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    path = folder / "tricast.yml"
    path.write_text(cluster_text(tmp_path, free_port()))
    path.chmod(0o640)
    return path


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    """Makes an editor of a line of shell; $1 is the copy."""

    def made(script: str) -> Path:
        path = tmp_path / "editor"
        path.write_text(f"#!/bin/sh\nset -e\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("VISUAL", str(path))
        return path

    return made


def change(before: str, after: str) -> str:
    return f"grep -q '{before}' \"$1\"; sed -i 's/{before}/{after}/' \"$1\""


def beside(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir())


GRACE = change("controller_grace_s: 20", "controller_grace_s: 25")


def test_an_edit_is_written_whole_and_the_text_before_is_kept(
    file: Path, editor: Editor, capsys: Captured
) -> None:
    before, inode = file.read_text(), file.stat().st_ino
    editor(GRACE)
    assert main(["config", "edit", str(file), "--yes"]) == ExitCode.DONE
    out = capsys.readouterr().out
    assert file.read_text() == before.replace("grace_s: 20", "grace_s: 25")
    assert file.stat().st_ino != inode
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    previous = file.with_name("tricast.yml.previous")
    assert previous.read_text() == before
    assert stat.S_IMODE(previous.stat().st_mode) == 0o640
    assert beside(file) == ["tricast.yml", "tricast.yml.previous"]
    assert out.splitlines()[:3] == [
        f"{file}: what it says -> what it would say",
        "  timings.controller_grace_s: 20 -> 25; restart",
        f"wrote {file}; the text before is {previous}",
    ]
    assert "systemctl restart tricast\n" in out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_the_owner_is_kept(file: Path, editor: Editor) -> None:
    os.chown(file, 1234, 4321)
    editor(GRACE)
    assert main(["config", "edit", str(file), "--yes"]) == ExitCode.DONE
    for path in (file, file.with_name("tricast.yml.previous")):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_the_copy_is_in_the_same_directory_and_closed_to_others(
    file: Path, editor: Editor, tmp_path: Path
) -> None:
    editor(f'stat -c "%a %n" "$1" > {tmp_path}/seen')
    assert main(["config", "edit", str(file), "--yes"]) == ExitCode.DONE
    mode, name = (tmp_path / "seen").read_text().split()
    assert mode == "600"
    assert Path(name).parent == file.parent
    assert name.endswith("tricast.yml")


def test_a_link_goes_on_to_point_to_the_file(file: Path, editor: Editor, tmp_path: Path) -> None:
    link = tmp_path / "link.yml"
    link.symlink_to(file)
    editor(GRACE)
    assert main(["config", "edit", str(link), "--yes"]) == ExitCode.DONE
    assert link.is_symlink()
    assert "controller_grace_s: 25" in file.read_text()


def test_nothing_changed_nothing_written(file: Path, editor: Editor, capsys: Captured) -> None:
    editor("true")
    inode = file.stat().st_ino
    assert main(["config", "edit", str(file), "--yes"]) == ExitCode.DONE
    assert capsys.readouterr().out == f"{file}: nothing was changed\n"
    assert file.stat().st_ino == inode
    assert beside(file) == ["tricast.yml"]


def test_a_comment_alone_is_shown_line_by_line_and_restarts_nothing(
    file: Path, editor: Editor, capsys: Captured
) -> None:
    editor('echo "# a remark" >> "$1"')
    assert main(["config", "edit", str(file), "--yes"]) == ExitCode.DONE
    out = capsys.readouterr().out
    assert "says the same as before; only comments or layout differ:" in out
    assert "\n+# a remark\n" in out
    assert "No daemon has to be restarted" in out
    assert "systemctl" not in out


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (change("profile: fast", "profile: quick"), "must be one of fast, metro, wan"),
        (change("controller_grace_s: 20", "controller_grace_s: 0.1"), "must be greater than"),
        ('echo "profile: fast" >> "$1"', "stands twice; the first is on line"),
        ('printf "\\\\377" >> "$1"', "is not UTF-8 at byte"),
        ('echo "[" > "$1"', "is not YAML"),
    ],
)
def test_what_cannot_be_used_is_never_written(
    file: Path, editor: Editor, capsys: Captured, script: str, sentence: str
) -> None:
    before, inode = file.read_text(), file.stat().st_ino
    editor(script)
    assert main(["config", "edit", str(file), "--yes"]) == ExitCode.CONFIG
    error = capsys.readouterr().err
    assert sentence in error
    assert error.endswith(f"tricast: {file} is as it was: the change was thrown away\n")
    assert (file.read_text(), file.stat().st_ino) == (before, inode)
    assert beside(file) == ["tricast.yml"]


def test_secret_files_are_looked_at_as_check_does(
    file: Path, editor: Editor, capsys: Captured
) -> None:
    editor(GRACE)
    asked = ["config", "edit", str(file), "--yes", "--secrets", "--site"]
    assert main([*asked, "dc1"]) == ExitCode.CONFIG
    assert "heartbeat.key_file" in capsys.readouterr().err
    assert main([*asked, "dc9"]) == ExitCode.CONFIG
    assert "has no site 'dc9'" in capsys.readouterr().err


def test_a_file_that_could_not_be_used_can_be_mended(
    file: Path, editor: Editor, capsys: Captured
) -> None:
    good = file.read_text()
    file.write_text(good.replace("profile: fast", "profile: quick"))
    editor(change("profile: quick", "profile: fast"))
    assert main(["config", "edit", str(file), "--yes"]) == ExitCode.DONE
    assert file.read_text() == good
    out = capsys.readouterr().out
    assert "could not be used as it was. Line by line:" in out
    assert "-profile: quick\n+profile: fast" in out
    assert "systemctl restart tricast" in out


def test_a_file_that_changed_meanwhile_is_not_overwritten(
    file: Path, editor: Editor, capsys: Captured
) -> None:
    editor(f"{GRACE}; echo '# theirs' >> {file}")
    assert main(["config", "edit", str(file), "--yes"]) == ExitCode.REFUSED
    assert file.read_text().endswith("# theirs\n")
    assert "controller_grace_s: 20" in file.read_text()
    (kept,) = [name for name in beside(file) if name != "tricast.yml"]
    assert "controller_grace_s: 25" in file.with_name(kept).read_text()
    error = capsys.readouterr().err
    assert "was changed by somebody else meanwhile" in error
    assert error.endswith(f"your text is kept: diff {file} {file.with_name(kept)}\n")


def test_the_change_is_seen_up_to_the_last_moment(file: Path) -> None:
    original = opened(file)
    file.write_text("theirs")
    with pytest.raises(ChangedMeanwhile):
        replaced(original, b"ours")
    assert file.read_text() == "theirs"
    assert beside(file) == ["tricast.yml"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_disk_that_fails_leaves_everything_as_it_was(
    file: Path, editor: Editor, capsys: Captured, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before, left = file.read_text(), [number]
    real = os.fsync

    def full(descriptor: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    editor(GRACE)
    assert main(["config", "edit", str(file), "--yes"]) == ExitCode.FAILED
    assert "No space left on device" in capsys.readouterr().err
    assert file.read_text() == before
    assert beside(file) == ["tricast.yml"]


@pytest.mark.parametrize(
    ("visual", "code", "sentence"),
    [
        ("/nowhere/vim", ExitCode.FAILED, "cannot be started (No such file or directory): set"),
        ("false", ExitCode.FAILED, "the editor 'false' ended with 1: the change was thrown away"),
        ("vi '", ExitCode.FAILED, "No closing quotation"),
    ],
)
def test_an_editor_that_fails(
    file: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, visual: str, code: int,
    sentence: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("VISUAL", visual)
    assert main(["config", "edit", str(file), "--yes"]) == code
    assert sentence in capsys.readouterr().err
    assert beside(file) == ["tricast.yml"]


def test_the_editor_may_be_given_arguments_and_stand_in_either_variable(
    file: Path, editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = editor('test "$1" = --wait; shift; ' + GRACE)
    monkeypatch.delenv("VISUAL")
    monkeypatch.setenv("EDITOR", f"{path} --wait")
    assert main(["config", "edit", str(file), "--yes"]) == ExitCode.DONE
    assert "controller_grace_s: 25" in file.read_text()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("none.yml", "cannot be read: No such file"), ("folder", "is a directory")],
)
def test_what_is_no_file_is_refused(file: Path, capsys: Captured, name: str, sentence: str) -> None:
    (file.parent / "folder").mkdir()
    assert main(["config", "edit", str(file.with_name(name)), "--yes"]) != ExitCode.DONE
    assert sentence in capsys.readouterr().err


def test_without_a_terminal_nobody_is_asked(file: Path, editor: Editor, tmp_path: Path) -> None:
    editor(f"touch {tmp_path}/opened; {GRACE}")
    ended = subprocess.run(
        [*TRICAST, "config", "edit", str(file)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == ExitCode.USAGE
    assert ended.stderr == "tricast: nobody can be asked back here: add --yes\n"
    assert not (tmp_path / "opened").exists()


# --- on a terminal --------------------------------------------------------------------------------


def typed(shown: Terminal, answer: str) -> None:
    shown.seen = ""
    shown.write(answer)


def test_an_invalid_edit_is_edited_again_then_written(
    file: Path, editor: Editor, tmp_path: Path
) -> None:
    path = editor(
        f"if test -e {tmp_path}/twice; then sed -i 's/quick/wan/' \"$1\"; else "
        f"touch {tmp_path}/twice; {change('profile: fast', 'profile: quick')}; fi"
    )
    with terminal(["config", "edit", str(file)], VISUAL=str(path), COLUMNS="80") as shown:
        shown.until(lambda seen: "throw the change away (t)?" in seen)
        assert "must be one of fast, metro, wan" in shown.seen
        assert "(w)" not in shown.seen
        typed(shown, "e\n")
        shown.until(lambda seen: "(w), edit it again (e)" in seen)
        assert "profile: fast -> wan; restart" in shown.seen
        typed(shown, "w\n")
        assert shown.end() == ExitCode.DONE
    assert "profile: wan" in file.read_text()


@pytest.mark.parametrize("answer", ["t\n", "q\nt\n"])
def test_an_edit_is_thrown_away(file: Path, editor: Editor, answer: str) -> None:
    before = file.read_text()
    path = editor(GRACE)
    with terminal(["config", "edit", str(file)], VISUAL=str(path)) as shown:
        shown.until(lambda seen: "(w), edit it again (e)" in seen)
        typed(shown, answer)
        assert shown.end() == ExitCode.REFUSED
    assert file.read_text() == before
    assert beside(file) == ["tricast.yml"]


def test_an_interrupt_leaves_everything_as_it_was(file: Path, editor: Editor) -> None:
    before = file.read_text()
    path = editor(GRACE)
    with terminal(["config", "edit", str(file)], VISUAL=str(path)) as shown:
        shown.until(lambda seen: "(w), edit it again (e)" in seen)
        typed(shown, "\x04")
        assert shown.end() == 130
    assert file.read_text() == before
    assert beside(file) == ["tricast.yml"]


def test_an_interrupt_is_the_editors_own_while_it_runs(file: Path, editor: Editor) -> None:
    path = editor(f"kill -INT $PPID; {GRACE}")
    with terminal(["config", "edit", str(file), "--yes"], VISUAL=str(path)) as shown:
        assert shown.end() == ExitCode.DONE
    assert "controller_grace_s: 25" in file.read_text()


# --- what is next ---------------------------------------------------------------------------------


def test_the_holder_is_restarted_last(file: Path, editor: Editor, capsys: Captured) -> None:
    editor(GRACE)
    with answering(*(running(file, site) for site in HOSTS)):
        assert main(["config", "edit", str(file), "--yes"]) == ExitCode.DONE
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    at = next(n for n, line in enumerate(lines) if line.startswith("1. "))
    assert lines[at : at + 6] == [
        "1. witness (127.0.77.3):", "systemctl restart tricast-witness",
        "2. dc1 (127.0.77.1, holds wallet):", "systemctl restart tricast",
        "3. dc2 (127.0.77.2, holds lobby):", "systemctl restart tricast",
    ]  # fmt: skip
    assert lines[-1] == f"Then: tricast config diff {file}"


def said(file: Path, key: str, needs: str, held: dict[str, list[str]]) -> list[str]:
    rows = [ConfigDifference(key=key, needs=needs)]
    return list(next_lines(file, load(file), rows, held))


def test_what_the_speaker_starts_with_restarts_exabgp_too(file: Path) -> None:
    lines = said(file, "bgp.stances.backup.prepends", "daemon, exabgp", {"dc1": ["wallet"]})
    order = [line.strip() for line in lines if line.startswith("  ")]
    assert order == [
        "1. witness (127.0.77.3):", "systemctl restart tricast-witness",
        "2. dc2 (127.0.77.2):", "systemctl restart tricast", "systemctl restart exabgp",
        "3. dc1 (127.0.77.1, holds wallet):", "systemctl restart tricast",
        "systemctl restart exabgp",
    ]  # fmt: skip
    assert any("resets the site's BGP sessions" in line for line in lines)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("services[wallet].durability", True), ("services[wallet].databases[ledger]", True),
        ("sites.dc4", True), ("services[lobby]", True), ("sites.dc1.weight", False),
        ("services[wallet].databases[ledger].user", False), ("timings.tick_s", False),
    ],
)  # fmt: skip
def test_what_all_sites_have_to_say_alike(file: Path, key: str, told: bool) -> None:
    lines = said(file, key, "daemon", {})
    assert any("agrees with no other does not take over" in line for line in lines) is told
    assert any("No daemon says who holds what" in line for line in lines)


def test_the_first_holder_counts_for_a_new_cluster_only(file: Path) -> None:
    assert said(file, "services[wallet].holder", "nothing", {}) == [
        "No daemon has to be restarted for this."
    ]
