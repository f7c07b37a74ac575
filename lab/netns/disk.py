"""A node's own /etc, /var, /tmp and /root: real directories under the lab's state directory."""

import shutil
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.topology import NodeSpec

# What programs look up in /etc; everything else comes from the node's own configuration.
COPIED = (
    "alternatives",
    "group",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "login.defs",
    "mysql",
    "pam.conf",
    "pam.d",
    "passwd",
    "postgresql-common",
    "protocols",
    "python3",
    "python3.11",
    "security",
    "services",
    "ssl/openssl.cnf",
    "terminfo",
)
WRITTEN = {
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "resolv.conf": "",
    "fstab": "",
}
EMPTY = ("var/cache", "var/lib", "var/log/tricast", "var/spool", "var/tmp", "tmp", "root")


def make_template(directory: Path) -> None:
    """`directory` holds the /etc that every node starts from."""
    for name in COPIED:
        source, target = Path("/etc", name), directory / name
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, target, symlinks=True)
        elif source.exists() or source.is_symlink():
            shutil.copy2(source, target, follow_symlinks=False)
    for name, content in WRITTEN.items():
        (directory / name).write_text(content)
    accounts = [line.partition(":")[0] for line in Path("/etc/passwd").read_text().splitlines()]
    shadow = directory / "shadow"
    shadow.touch(mode=0o640)
    # No password logs in, and no account counts as locked.
    shadow.write_text("".join(f"{name}:*:20000:0:99999:7:::\n" for name in accounts))


def make_disk(node: NodeSpec, template: Path, disk: Path) -> None:
    """The node has its directories, as on a freshly installed machine."""
    disk.mkdir(mode=0o755, parents=True)
    shutil.copytree(template, disk / "etc", symlinks=True)
    (disk / "etc" / "hostname").write_text(node.name + "\n")
    for name in EMPTY:
        (disk / name).mkdir(mode=0o755, parents=True)
    for name in ("tmp", "var/tmp", "var/log/tricast"):
        (disk / name).chmod(0o1777)
    (disk / "root").chmod(0o700)
    (disk / "var" / "run").symlink_to("/run")
    (disk / "var" / "lock").symlink_to("/run/lock")


def require_accounts(names: tuple[str, ...]) -> None:
    """Every account the lab's programs need exists on this machine."""
    accounts = {line.partition(":")[0] for line in Path("/etc/passwd").read_text().splitlines()}
    missing = [name for name in names if name not in accounts]
    if missing:
        raise LabError(f"no account {', '.join(missing)} on this machine; run lab/setup")
