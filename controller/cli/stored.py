"""Where the daemon on this host is dead: what etcd knows, read by the command itself."""

import importlib
import sys
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.config import inspect
from controller.ports import PortError

Record = TypeVar("Record", bound=BaseModel)


def from_store(config: Path, path: str, kind: type[Record], silence: CliError) -> Record:
    """What the store of this cluster file says at `path`, after a word on standard error.

    Raises CliError: `silence`, with what stands against asking the store.
    """
    cluster = inspect(config).cluster
    if cluster is None:
        raise silence
    # The daemon's room is beside this one, and heavy: only who needs it loads it.
    room: Any = importlib.import_module("controller.daemon.absent")
    try:
        found = room.answer(cluster, path)
    except PortError as error:
        raise CliError(
            ExitCode.UNAVAILABLE,
            f"{silence.sentence}\ntricast: etcd was asked instead, and does not answer: {error}",
        ) from None
    if not isinstance(found, kind):
        raise silence
    print(
        f"tricast: {silence.sentence}\ntricast: what follows is what stands in etcd: what each "
        "site last said of itself, and nothing that only a daemon judges",
        file=sys.stderr,
        flush=True,
    )
    return found
