"""`tricast version`."""

import json
import platform
from importlib import metadata

import click

from controller.version import VERSION

_LIBRARIES = ("aiohttp", "asyncssh", "etcd3", "exabgp", "psycopg", "pydantic", "pyroute2")


def installed(package: str) -> str:
    """The installed version of `package`, or "not installed"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the libraries.")
def version(*, as_json: bool) -> None:
    """Print the version, and with --json those of the libraries."""
    if not as_json:
        print(f"tricast {VERSION}")
        return
    libraries = {name: installed(name) for name in _LIBRARIES}
    print(
        json.dumps(
            {"tricast": VERSION, "python": platform.python_version(), "libraries": libraries}
        )
    )
