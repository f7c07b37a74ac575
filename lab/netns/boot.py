"""Starts one node: `python3 -I boot.py`, with its description as JSON on standard input.

When this program has ended well, the node's first process runs in its own mount, host name, IPC
and process namespaces and in the network namespace made before; it is recorded by process id and
start time, so that killing it ends the whole node. Nothing is mounted outside the node.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
import traceback
from pathlib import Path
from typing import TypedDict

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LIBC = ctypes.CDLL(None, use_errno=True)


class BindMount(TypedDict):
    """A path of this machine shown inside the node."""

    source: str
    target: str
    read_only: bool


class Description(TypedDict):
    """All that is needed to start a node."""

    name: str
    netns: str
    disk: str  # directory with etc, var, tmp, root: the node's own, on a real disk
    mountpoint: str  # an empty directory to build the new root on
    log: str
    record: str
    binds: list[BindMount]
    hidden: list[str]  # directories inside the node that are shown empty
    sysctls: dict[str, str]
    env: dict[str, str]
    argv: list[str]


def main() -> int:
    """Forks the node's first process, records it, lets it go on, and waits until it has begun."""
    node: Description = json.load(sys.stdin)
    with open(node["netns"], "rb") as handle:
        _checked(LIBC.setns(handle.fileno(), CLONE_NEWNET), "enter", node["netns"])
    flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID
    _checked(LIBC.unshare(flags), "unshare", node["name"])
    go_read, go_write = os.pipe()
    answer_read, answer_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go_write)
        os.close(answer_read)
        _first_process(node, go_read, answer_write)
    os.close(go_read)
    os.close(answer_write)
    _record(Path(node["record"]), pid)
    os.write(go_write, b"go")
    complaint = b"".join(iter(lambda: os.read(answer_read, 65536), b"")).decode()
    if complaint:
        print(complaint, file=sys.stderr)
        return 1
    return 0


def _first_process(node: Description, go: int, answer: int) -> None:
    try:
        if os.read(go, 2) != b"go":
            os._exit(1)  # whoever started us is gone before anybody knew of us
        os.setsid()
        _redirect(node["log"])
        name = node["name"].encode()
        _checked(LIBC.sethostname(name, len(name)), "name", node["name"])
        _build_root(node)
        _bring_up_loopback()
        for key, value in node["sysctls"].items():
            Path("/proc/sys", *_sysctl_path(key)).write_text(value)
        os.chdir("/")
        os.umask(0o022)
        # Both pipes are closed by exec: silence on `answer` means that the program has begun.
        os.execve(node["argv"][0], node["argv"], node["env"])
    except BaseException:
        os.write(answer, traceback.format_exc().encode())
        os._exit(1)


def _record(path: Path, pid: int) -> None:
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"pid": pid, "started": int(started)}))
    draft.replace(path)


def _build_root(node: Description) -> None:
    disk, root = Path(node["disk"]), Path(node["mountpoint"])
    _mount("none", "/", flags=MS_REC | MS_PRIVATE)
    _mount("tmpfs", root, fstype="tmpfs", flags=MS_NOSUID, data="mode=0755,size=64m")
    for name in ("etc", "var", "tmp", "root"):
        _bind(disk / name, root / name, read_only=False)
    _bind(Path("/usr"), root / "usr", read_only=True, deep=True)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        original = Path("/", name)
        if original.is_symlink():
            (root / name).symlink_to(original.readlink())
        elif original.is_dir():
            _bind(original, root / name, read_only=True, deep=True)
    for name in ("proc", "sys", "dev", "run", "opt", "mnt", "srv", "home"):
        (root / name).mkdir()
    _mount("tmpfs", root / "run", fstype="tmpfs", flags=MS_NOSUID | MS_NODEV, data="mode=0755")
    _devices(root / "dev")
    _mount("proc", root / "proc", fstype="proc", flags=MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _mount("sysfs", root / "sys", fstype="sysfs", flags=MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for bind in node["binds"]:
        target = root / bind["target"].lstrip("/")
        _present(Path(bind["source"]), target, read_only=bind["read_only"])
    for path in node["hidden"]:
        hidden = root / path.lstrip("/")
        if hidden.is_dir():
            _mount("tmpfs", hidden, fstype="tmpfs", flags=MS_RDONLY, data="mode=0755,size=4k")
    _change_root(root)


def _present(source: Path, target: Path, *, read_only: bool) -> None:
    """Shows `source` at `target`; a directory closed to others is shown entry by entry."""
    if not source.is_dir() or source.stat().st_mode & 0o005 == 0o005 or not read_only:
        _bind(source, target, read_only=read_only)
        return
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        _bind(entry, target / entry.name, read_only=True)


def _devices(dev: Path) -> None:
    _mount("tmpfs", dev, fstype="tmpfs", flags=MS_NOSUID, data="mode=0755,size=1m")
    for name in DEVICES:
        _bind(Path("/dev", name), dev / name, read_only=False)
    for name, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ):
        (dev / name).symlink_to(target)
    (dev / "pts").mkdir()
    _mount("devpts", dev / "pts", fstype="devpts", flags=MS_NOSUID, data="newinstance,ptmxmode=666")
    (dev / "shm").mkdir()
    _mount("tmpfs", dev / "shm", fstype="tmpfs", flags=MS_NOSUID | MS_NODEV, data="mode=1777")


def _bind(source: Path, target: Path, *, read_only: bool, deep: bool = False) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(source, target, flags=MS_BIND | (MS_REC if deep else 0))
    if read_only:
        _mount("none", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)


def _mount(
    source: str | Path, target: str | Path, *, fstype: str = "", flags: int = 0, data: str = ""
) -> None:
    kind = fstype.encode() or None
    options = data.encode() or None
    result = LIBC.mount(str(source).encode(), str(target).encode(), kind, flags, options)
    _checked(result, f"mount {source} on", str(target))


def _change_root(root: Path) -> None:
    os.chdir(root)
    number = SYS_PIVOT_ROOT[os.uname().machine]
    _checked(LIBC.syscall(number, b".", b"."), "change root to", str(root))
    _checked(LIBC.umount2(b".", MNT_DETACH), "leave", "the old root")
    os.chdir("/")


def _bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(handle, 0x8914, request)  # SIOCSIFFLAGS


def _sysctl_path(key: str) -> list[str]:
    return key.split(".")


def _redirect(log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    silence = os.open(os.devnull, os.O_RDONLY)
    os.dup2(silence, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for handle in (output, silence):
        if handle > 2:
            os.close(handle)


def _checked(result: int, doing: str, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {doing} {what}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main())
