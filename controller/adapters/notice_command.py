"""A program of the operator's that reads a notice from its standard input."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Final

from controller.ports import PortError, TimedOut, Unreachable

OUTPUT_BYTES_MAX: Final = 4096
LINE_LENGTH_MAX: Final = 200
REAP_S: Final = 0.5
ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class NoticeCommand:
    """Implements `Courier`. The program inherits nothing of the daemon's environment."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = tuple(argv)
        self.where = self._argv[0]

    async def deliver(self, body: bytes, content_type: str, deadline_s: float) -> str:
        """It ended with 0. If it does not in time, it and what it started are killed."""
        del content_type
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env=ENVIRONMENT,
                cwd="/",
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise Unreachable(f"{self.where}: {why}") from None
        try:
            async with asyncio.timeout(deadline_s):
                line, code = await _conversed(process, body)
        except TimeoutError:
            raise TimedOut(f"{self.where}: did not end within {deadline_s:g} s") from None
        finally:
            await _end(process)
        if code:
            raise PortError(f"{self.where}: exit {code}: {line}".rstrip(": "))
        return "exit 0"


async def _conversed(process: asyncio.subprocess.Process, body: bytes) -> tuple[str, int]:
    """The first line that it printed, and how it ended; it need not read what it is given."""
    assert process.stdin is not None
    assert process.stdout is not None
    output, _ = await asyncio.gather(_read(process.stdout), _feed(process.stdin, body))
    lines = output.decode(errors="replace").strip().splitlines()
    return (lines[0][:LINE_LENGTH_MAX] if lines else ""), await process.wait()


async def _feed(stdin: asyncio.StreamWriter, body: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        stdin.write(body)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _read(stdout: asyncio.StreamReader) -> bytes:
    """The beginning of what it prints; the rest is thrown away, so that it never blocks."""
    kept = b""
    while chunk := await stdout.read(OUTPUT_BYTES_MAX):
        kept = (kept + chunk)[:OUTPUT_BYTES_MAX]
    return kept


async def _end(process: asyncio.subprocess.Process) -> None:
    """Nothing of it is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REAP_S):
            await process.wait()
