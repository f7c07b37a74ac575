"""`tricast render`: the files that ExaBGP and the speaker start with."""

import os
import sys
from pathlib import Path
from typing import Final

import click

from bgp.exabgp_conf import render as render_exabgp
from bgp.exabgp_conf import render_environment
from bgp.spec import BadSpec
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.names import SITE
from controller.config import load
from controller.config.speaker_spec import NoRoutesError, neighbor_passwords, speaker_spec
from controller.core.model import SiteName

OPEN: Final = 0o644
CLOSED: Final = 0o600


@click.command()
@click.option(
    "--config",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TRICAST_CONFIG",
    help="Cluster file.",
)
@click.option("--site", type=SITE, required=True, help="Site whose speaker is meant.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for exabgp.conf, exabgp.env and speaker.json.",
)
@click.option("--user", default="root", show_default=True, help="Account ExaBGP goes on as.")
@click.option(
    "--speaker",
    help="Command that starts the speaker; --spec FILE is added. Default: this Python.",
)
def render(config: Path, site: str, out: Path, user: str, speaker: str | None) -> None:
    """Write what ExaBGP and the speaker of a site start with.

    The files are replaced one by one, each at once. ExaBGP reads them when it starts: restart it
    to use them, which resets its sessions.
    """
    cluster = load(config)
    if site not in cluster.sites:
        known = ", ".join(cluster.sites)
        raise CliError(ExitCode.USAGE, f"{config} has no site {site!r}; it has {known}")
    run = (speaker or f"{sys.executable} -m bgp.speaker").split()
    try:
        spec = speaker_spec(cluster, SiteName(site))
        passwords = neighbor_passwords(cluster, SiteName(site))
        text = render_exabgp(
            spec, [*run, "--spec", str(out.absolute() / "speaker.json")], passwords
        )
    except (NoRoutesError, BadSpec) as error:
        raise CliError(ExitCode.CONFIG, str(error)) from None
    files = {
        "speaker.json": (spec.to_json() + "\n", OPEN),
        "exabgp.env": (render_environment(user), OPEN),
        "exabgp.conf": (text, CLOSED if passwords else OPEN),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, (content, mode) in files.items():
            _replace(out / name, content, mode)
    except OSError as error:
        raise CliError(
            ExitCode.FAILED, f"cannot write {error.filename or out}: {error.strerror}"
        ) from None
    print(f"wrote {', '.join(sorted(files))} to {out}")


def _replace(path: Path, content: str, mode: int) -> None:
    """`path` holds `content`, never half of it, and is never more open than `mode`."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(path)
