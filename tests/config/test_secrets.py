"""Secrets are found, guarded, and never shown."""

import json
import pickle
from pathlib import Path

import pytest

from controller.config import (
    Cluster,
    ConfigError,
    Secret,
    SecretError,
    check_secret_files,
    inspect_text,
    load_for,
    read_secret,
)
from controller.core.model import SiteName

LAB = Path(__file__).parents[2] / "lab/containerlab/nodes/tricast.yml"


def test_a_secret_hides_itself() -> None:
    secret = Secret("hunter2")
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        secret.__format__("s"),
        repr([secret]),
    ]
    assert not any("hunter2" in text for text in shown)
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_file_wins_over_nothing_and_loses_one_newline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text(" two words \n")
    assert read_secret(str(file), None).reveal() == " two words "
    monkeypatch.setenv("TRICAST_X", "from environment")
    assert read_secret(None, "TRICAST_X").reveal() == "from environment"


def test_errors_name_the_place_never_the_secret(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=r"cannot read the secret in .*none: No such file"):
        read_secret(str(tmp_path / "none"), None)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(SecretError, match="is empty"):
        read_secret(str(tmp_path / "empty"), None)
    (tmp_path / "binary").write_bytes(b"hunter2\xff")
    with pytest.raises(SecretError, match="it is not text") as caught:
        read_secret(str(tmp_path / "binary"), None)
    assert "hunter2" not in repr(caught.value)
    with pytest.raises(SecretError, match="TRICAST_UNSET is empty"):
        read_secret(None, "TRICAST_UNSET")


def lab_with_secrets_in(folder: Path) -> tuple[Path, Cluster]:
    text = LAB.read_text().replace("/etc/tricast/secrets", str(folder))
    config = folder / "tricast.yml"
    config.write_text(text)
    for name in ("heartbeat", "ssh_key", "database", "voter_dc1", "rejoin_dc1"):
        (folder / name).write_text("secret")
        (folder / name).chmod(0o600)
    cluster = inspect_text(text, "x").cluster
    assert cluster is not None
    return config, cluster


def test_a_site_needs_its_own_secrets_only(tmp_path: Path) -> None:
    config, cluster = lab_with_secrets_in(tmp_path)
    assert check_secret_files(cluster, SiteName("dc1"), "x") == []
    assert load_for(config, "dc1") == (cluster, "dc1")
    missing = [problem.key for problem in check_secret_files(cluster, SiteName("dc2"), "x")]
    assert missing == [
        f"services[0].databases[{n}].voters.dc2.{what}_file"
        for n in (0, 1)
        for what in ("credential", "rejoin")
    ]


def test_the_key_in_use_comes_first(tmp_path: Path) -> None:
    config, _cluster = lab_with_secrets_in(tmp_path)
    (tmp_path / "old").write_text("before")
    text = config.read_text().replace(
        "heartbeat:\n", f"heartbeat:\n  accepted_key_files: [{tmp_path}/old]\n"
    )
    cluster = inspect_text(text, "x").cluster
    assert cluster is not None
    assert [key.reveal() for key in cluster.heartbeat.keys] == ["secret", "before"]


def test_a_witness_needs_no_ssh_key_and_no_quarantine(tmp_path: Path) -> None:
    _config, cluster = lab_with_secrets_in(tmp_path)
    (tmp_path / "ssh_key").unlink()
    keys = [problem.key for problem in check_secret_files(cluster, SiteName("witness"), "x")]
    assert keys == [f"services[0].databases[{n}].voters.witness.credential_file" for n in (0, 1)]


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o620, 0o666])
def test_a_secret_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    config, _cluster = lab_with_secrets_in(tmp_path)
    (tmp_path / "heartbeat").chmod(mode)
    with pytest.raises(ConfigError, match=f"has mode {mode:04o}; others may use it: chmod 0600"):
        load_for(config, "dc1")


def test_a_group_of_its_own_may_read(tmp_path: Path) -> None:
    config, _cluster = lab_with_secrets_in(tmp_path)
    (tmp_path / "heartbeat").chmod(0o640)
    load_for(config, "dc1")


def test_other_wrong_files(tmp_path: Path) -> None:
    config, cluster = lab_with_secrets_in(tmp_path)
    (tmp_path / "heartbeat").write_text("")
    (tmp_path / "ssh_key").unlink()
    (tmp_path / "ssh_key").mkdir()
    sentences = [p.sentence for p in check_secret_files(cluster, SiteName("dc1"), "x")]
    assert sentences == ["this file is empty", "this is not a regular file"]
    with pytest.raises(ConfigError, match="has no site 'dc9'; it has dc1, dc2, witness"):
        load_for(config, "dc9")
