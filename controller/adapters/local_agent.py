"""The host agent of this very host, run as a child: for a daemon on a database host, and tests."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from controller.ports import PortError, Refused, TimedOut, Unreachable

REFUSED = 3


class LocalAgent:
    """`ports.HostAgent` without a network. `settings` names another hostagent.json."""

    def __init__(self, settings: Path | None = None, program: tuple[str, ...] = ()) -> None:
        self._program = program or (sys.executable, "-m", "controller.hostagent")
        self._env = dict(os.environ)
        if settings is not None:
            self._env["TRICAST_HOSTAGENT"] = str(settings)

    async def call(self, verb: str, args: Mapping[str, str], deadline_s: float) -> dict[str, str]:
        """The verb's answer."""
        words = [f"{name}={value}" for name, value in args.items()]
        try:
            child = await asyncio.create_subprocess_exec(
                *self._program,
                verb,
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._env,
            )
        except OSError as error:
            raise Unreachable(f"host agent: cannot be started: {error.strerror}") from None
        try:
            async with asyncio.timeout(deadline_s):
                out, err = await child.communicate()
        except TimeoutError:
            raise TimedOut(f"host agent: {verb} did not end within {deadline_s:g} s") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        return read_answer(verb, child.returncode or 0, out, err)

    async def aclose(self) -> None:
        """Nothing is kept open between calls."""


def read_answer(verb: str, code: int, out: bytes, err: bytes) -> dict[str, str]:
    """The answer of a verb that has ended; its refusal or failure is raised."""
    try:
        answer = json.loads(out)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        said = (err or out).decode("utf-8", "replace").strip()[-300:]
        raise PortError(f"host agent: {verb} ended with {code} and no answer: {said}") from None
    sentence = str(answer.get("error", f"ended with {code}"))
    if code == REFUSED:
        raise Refused(f"host agent: {verb}: {sentence}")
    if code != 0:
        raise PortError(f"host agent: {verb}: {sentence}")
    return {str(key): str(value) for key, value in answer.items()}
