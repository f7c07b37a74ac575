"""What was measured on: the machine and the versions of everything that took part."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from lab.netns.topology import REPOSITORY

_VERSIONS = {
    "postgresql": ["/usr/lib/postgresql/15/bin/postgres", "--version"],
    "mariadb": ["mariadbd", "--version"],
    "etcd": ["etcd", "--version"],
    "haproxy": ["haproxy", "-v"],
    "frr": ["/usr/lib/frr/bgpd", "--version"],
    "patroni": [str(REPOSITORY / "build/peer/venv/bin/patroni"), "--version"],
    "tricast": ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"],
}


def facts() -> dict[str, str]:
    """Machine and versions, each one line."""
    found = {
        "kernel": platform.release(),
        "cores": str(os.cpu_count()),
        "cpu": _first_line(Path("/proc/cpuinfo").read_text(), "model name").partition(": ")[2],
        "memory": _first_line(Path("/proc/meminfo").read_text(), "MemTotal").partition(":")[2],
        "python": platform.python_version(),
        "load_before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "exabgp": version("exabgp"),
    }
    for name, command in _VERSIONS.items():
        found[name] = _said(command)
    return {key: value.strip() for key, value in found.items()}


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def _first_line(text: str, beginning: str) -> str:
    return next((line for line in text.splitlines() if line.startswith(beginning)), "")
