"""Which version of tricast this is."""

import configparser
from importlib import metadata
from pathlib import Path


def own_version() -> str:
    """The installed version; of a checkout, the one that setup.cfg says."""
    try:
        return metadata.version("tricast")
    except metadata.PackageNotFoundError:
        declared = configparser.ConfigParser(interpolation=None)
        declared.read(Path(__file__).parents[2] / "setup.cfg")
        return declared.get("metadata", "version", fallback="unknown")
