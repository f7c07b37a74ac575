"""Removing everything `up` has made, however far it came."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.inside import run_outside
from lab.netns.processes import in_namespaces, send, wait_until_gone
from lab.netns.registry import NETNS, Registry

Say = Callable[[str], None]


async def take_down(registry: Registry, say: Say, *, force: bool = False) -> bool:
    """No namespace, process, mount or file of the lab is left, but for its logs.

    Returns whether there was anything. Namespaces that carry the lab's name without being on
    record are somebody else's, and are only removed with `force`.
    """
    record, namespaces = registry.read(), registry.namespaces()
    if record is None and namespaces and not force:
        raise LabError(
            f"{', '.join(namespaces)}: not made by this program (containerlab?);"
            " remove them there, or use --force"
        )
    if record is None and not namespaces:
        registry.forget()
        return False
    ended = _end_processes(registry, namespaces, record.nodes if record else ())
    batch = "".join(f"netns delete {name}\n" for name in namespaces)
    await run_outside(["ip", "-force", "-batch", "-"], stdin=batch)
    if record is not None:
        remove_disks(Path(record.state_dir))
    registry.forget()
    say(f"removed {len(namespaces)} namespaces and {ended} processes")
    return True


def remove_disks(state_dir: Path) -> None:
    """Of the lab's directory only the logs are left."""
    if not state_dir.is_dir():
        return
    for path in state_dir.iterdir():
        if path.name == "logs":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _end_processes(registry: Registry, namespaces: tuple[str, ...], nodes: tuple[str, ...]) -> int:
    inits = [init for init in map(registry.init, nodes) if init is not None and init.alive]
    pids = {str(init.pid): Path(f"/proc/{init.pid}/ns/pid") for init in inits}
    ended = sum(len(found) for found in in_namespaces("pid", pids).values())
    for init in inits:
        init.end()
    if not wait_until_gone([(init.pid, init.started) for init in inits], 10):
        raise LabError("a node's first process does not end although it was killed")
    # Whoever else is in one of these networks was started there by hand, or by an `up` that was
    # killed before it could write down whom it had started.
    handles = {name: NETNS / name for name in namespaces}
    for found in in_namespaces("net", handles).values():
        send(found, signal.SIGKILL)
        ended += len(found)
        if not wait_until_gone([(process.pid, process.started) for process in found], 10):
            raise LabError("a process in a node's network does not end although it was killed")
    return ended
