"""The lab's cluster file, moved to loopback addresses on which nobody listens, and to a folder."""

from collections.abc import Mapping
from pathlib import Path

from controller.config import Cluster, inspect_text
from controller.core.model import SiteName
from controller.doctor import Around
from tests.config.unguarded import LAB

DC1, DC2, WITNESS = SiteName("dc1"), SiteName("dc2"), SiteName("witness")
SECRETS = (
    *("heartbeat", "ssh_key", "database", "voter_dc1", "voter_dc2", "voter_witness"),
    *("rejoin_dc1", "rejoin_dc2"),
)


def moved(folder: Path, more: Mapping[str, str] | None = None) -> str:
    """The text of the file; `more` replaces what it holds, word by word."""
    text = LAB
    moves = {
        **{f"10.{site}.0.": f"127.{site}.0." for site in (1, 2, 3)},
        "/etc/tricast/secrets": str(folder / "secrets"),
        "/run/haproxy/admin.sock": str(folder / "haproxy.sock"),
        "/var/lib/tricast/keeper/ledger": str(folder / "keeper"),
        "\nbgp:\n": f"\nstate_dir: {folder}\nbgp:\n  speaker_socket: {folder}/s.sock\n",
    }
    for old, new in moves.items():
        assert old in text, old
        text = text.replace(old, new)
    for old, new in (more or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def around(folder: Path, moves: Mapping[str, str] | None = None) -> Around:
    """What a check at dc1 is given."""
    return Around(file=folder / "tricast.yml", cluster=cluster(folder, moves), site=DC1)


def cluster(folder: Path, more: Mapping[str, str] | None = None) -> Cluster:
    """The cluster of the moved file."""
    found = inspect_text(moved(folder, more), "tricast.yml")
    assert found.cluster is not None
    assert not found.problems, found.problems
    return found.cluster


def furnish(folder: Path) -> Path:
    """`folder` holds the file, its secrets and the keeper's folder; the file's path."""
    (folder / "secrets").mkdir()
    (folder / "keeper").mkdir()
    for name in SECRETS:
        secret = folder / "secrets" / name
        secret.write_text(f"{name} that is more than thirty-two bytes long\n")
        secret.chmod(0o600)
    file = folder / "tricast.yml"
    file.write_text(moved(folder))
    return file
