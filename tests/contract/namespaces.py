"""Network namespaces for tests. They have no names, so none can be left behind."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")


class Namespace:
    """A network namespace that lives as long as this object or a socket in it."""

    def __init__(self) -> None:
        with _restored():
            _checked(_libc.unshare(CLONE_NEWNET))
            self._fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            run("ip link set lo up")

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets made and programs started by this thread meanwhile belong to the namespace."""
        with _restored():
            _checked(_libc.setns(self._fd, CLONE_NEWNET))
            yield

    def run(self, *commands: str) -> None:
        with self.inside():
            for command in commands:
                run(command)

    def close(self) -> None:
        os.close(self._fd)


def run(command: str, text: str = "") -> str:
    """Runs one command without a shell; its output."""
    done = subprocess.run(
        command.split(), input=text, capture_output=True, text=True, timeout=10, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
    return done.stdout


@contextmanager
def _restored() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _checked(_libc.setns(home, CLONE_NEWNET))
        os.close(home)


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
