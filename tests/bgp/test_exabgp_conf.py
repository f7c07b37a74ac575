import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bgp.exabgp_conf import environment, render, render_environment
from bgp.spec import BadSpec
from tests.bgp.wire import EXABGP, PROVIDER, make_spec

RUN = [sys.executable, "-m", "bgp.speaker", "--spec", "/run/tricast/speaker.json"]


def test_exabgp_itself_accepts_what_is_rendered(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, host_name="dc1-edge")
    secured = tuple(replace(n, password_file="/secret") for n in spec.neighbors)
    passwords = dict.fromkeys(PROVIDER.values(), "s3cret/+=")
    config = tmp_path / "exabgp.conf"
    text = render(replace(spec, neighbors=secured), RUN, passwords)
    assert text.count('md5-password "s3cret/+=";') == 2
    config.write_text(text)
    done = subprocess.run(
        [str(EXABGP), "validate", "-nv", str(config)],
        capture_output=True,
        check=False,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(address in done.stderr for address in PROVIDER.values())


def test_exabgp_remembers_nothing(tmp_path: Path) -> None:
    text = render(make_spec(tmp_path), RUN)
    assert text.count("adj-rib-out false;") == text.count("route-refresh disable;") == 2
    assert "graceful-restart" not in text


def test_each_session_carries_its_own_family_only(tmp_path: Path) -> None:
    text = render(make_spec(tmp_path), RUN)
    assert text.count("family { ipv4 unicast; }") == text.count("family { ipv6 unicast; }") == 1


def test_the_environment_lets_exabgp_end_rather_than_linger() -> None:
    assert environment("tricast")["exabgp_api_terminate"] == "true"
    assert "exabgp_daemon_user=tricast\n" in render_environment("tricast")


@pytest.mark.parametrize("password", ["", "a b", 'a"b', "a;b", "a{b", "é", "x" * 81, "a\nb"])
def test_passwords_that_would_break_the_file_are_refused(tmp_path: Path, password: str) -> None:
    with pytest.raises(BadSpec, match="its password must be") as refused:
        render(make_spec(tmp_path), RUN, {PROVIDER["ipv4"]: password})
    assert len(password) < 3 or password not in str(refused.value)


def test_a_password_that_was_not_read_is_not_forgotten(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    secured = tuple(replace(n, password_file="/secret") for n in spec.neighbors)
    with pytest.raises(BadSpec, match="its password was not read"):
        render(replace(spec, neighbors=secured), RUN)


@pytest.mark.parametrize("run", [[], ["python3"], ["/bin/sh", "a b"], ["/bin/sh", "x;"]])
def test_a_command_exabgp_would_split_otherwise_is_refused(tmp_path: Path, run: list[str]) -> None:
    with pytest.raises(BadSpec):
        render(make_spec(tmp_path), run)
