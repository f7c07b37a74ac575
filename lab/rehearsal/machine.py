"""What was measured on: the machine and the versions of everything that took part."""

import os
import platform
import subprocess
from pathlib import Path

_VERSIONS = {
    "postgresql": ["/usr/lib/postgresql/15/bin/postgres", "--version"],
    "mariadb": ["mariadbd", "--version"],
    "etcd": ["etcd", "--version"],
    "haproxy": ["haproxy", "-v"],
    "frr": ["/usr/lib/frr/bgpd", "--version"],
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
    }
    for name, command in _VERSIONS.items():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found[name] = (done.stdout or done.stderr).strip().partition("\n")[0]
    return {key: value.strip() for key, value in found.items()}


def _first_line(text: str, beginning: str) -> str:
    return next((line for line in text.splitlines() if line.startswith(beginning)), "")
