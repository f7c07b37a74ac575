"""One fork for one mutant: what it changes is gone with it, and one that hangs is ended."""

import os
import resource
import signal
from collections.abc import Callable
from typing import Final

MEMORY: Final = 4 << 30
LIMITS: Final = (signal.SIGPROF, signal.SIGALRM)
SURVIVES, DIES, CANNOT = 0, 1, 77  # exit codes of a fork
HUNG, CRASHED = -1, -2  # how else it ends

Run = Callable[[Callable[[str], object]], int]  # is given a way to tell something


def in_a_fork(run: Run, limit_s: float) -> tuple[int, str]:
    """What `run` returned there, and what it told.

    The limit is one of processor time: a busy machine kills no mutant.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _only_for_so_long(limit_s)
        try:
            with os.fdopen(write, "w") as pipe:
                code = run(pipe.write)
        except BaseException:
            code = DIES
        os._exit(code)
    os.close(write)
    with os.fdopen(read) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return (HUNG if os.WTERMSIG(status) in LIMITS else CRASHED), told
    return os.WEXITSTATUS(status), told


def _only_for_so_long(limit_s: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, limit_s)  # nobody catches it: the process ends
    signal.alarm(int(limit_s) * 240)  # and so does one that waits for what never comes
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
