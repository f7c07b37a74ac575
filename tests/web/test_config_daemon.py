"""A daemon, as a process, tells what it runs with and that its file is another by now."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.cli.endpoint import Endpoint, ask
from controller.cli.errors import CliError
from controller.web.config_schema import ConfigView, RunningConfig
from controller.web.schema import Status

TEXT = """\
cluster: trial
profile: wan
sites:
  dc1: {{kind: data, address: 127.0.77.1, etcd: "http://127.0.77.1:2379"}}
  dc2: {{kind: data, address: 127.0.77.2, etcd: "http://127.0.77.2:2379"}}
  dc3: {{kind: witness, address: 127.0.77.3, etcd: "http://127.0.77.3:2379"}}
heartbeat: {{key_file: {folder}/key}}
api: {{socket: {folder}/sock}}
state_dir: {folder}
haproxy: {{socket: {folder}/haproxy}}
bgp: {{speaker_socket: {folder}/speaker}}
services:
  - {{name: lobby, durability: lease, holder: dc1, backend: be_lobby}}
"""
ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"', sys.executable]


@contextmanager
def process(verb: str, file: Path, site: str) -> Iterator[None]:
    """In a network namespace of its own: its firewall and addresses are nobody else's."""
    arguments = ["-m", "controller.cli.main", verb, "--config", str(file), "--site", site]
    with (file.parent / "log").open("w") as log:
        found = subprocess.Popen([*ALONE, *arguments], stdout=log, stderr=log)
        try:
            yield
        finally:
            found.terminate()
            found.wait(20)


def until(look: Callable[[], bool], file: Path) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            if look():
                return
        except CliError as error:
            said = str(error)
        else:
            said = "not yet so"
        assert time.monotonic() < end, f"{said}\n{(file.parent / 'log').read_text()}"
        time.sleep(0.05)


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
@pytest.mark.parametrize(("verb", "site"), [("run", "dc1"), ("witness", "dc3")])
def test_what_a_daemon_says_of_its_file(tmp_path: Path, verb: str, site: str) -> None:
    file, key = tmp_path / "tricast.yml", tmp_path / "key"
    key.write_text("0123456789abcdef0123456789abcdef\n")
    key.chmod(0o600)
    file.write_text(TEXT.format(folder=tmp_path))
    endpoint = Endpoint(socket=tmp_path / "sock")

    def told() -> RunningConfig:
        return ask(endpoint, "/api/v1/config", RunningConfig)

    def view() -> ConfigView | None:
        return ask(endpoint, "/api/v1/status", Status).configuration

    with process(verb, file, site):
        until(lambda: told().site == site, file)
        first = told()
        assert (first.disk, first.file) == ("same", str(file))
        assert "profile" in first.given
        file.write_text(file.read_text().replace("profile: wan", "profile: metro"))
        until(lambda: told().disk == "changed", file)
        found = view()
        assert found is not None
        assert (found.disk, found.hash) == ("changed", first.hash)
        assert told().configuration["profile"] == "wan"
        file.write_text("cluster: [")
        until(lambda: told().disk == "unusable", file)
