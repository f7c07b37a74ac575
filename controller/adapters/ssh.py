"""Verbs on another host over ssh, behind `ports.HostAgent`.

The far end runs one forced command for our key, whatever is asked; it gets `VERB key=value ...` as
the original command, answers with one JSON object and ends with 0 (done), 3 (refused) or another
status (failed). The host's key must stand in our file of known hosts: a changed key stops the call
and nothing else. One connection is kept, and made anew after it was lost.
"""

import asyncio
import json
import logging
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncssh

from controller.ports import PortError, Refused, TimedOut, Unreachable

KEEPALIVE_S: Final = 2
KEEPALIVES_LOST_MAX: Final = 2
SESSIONS_MAX: Final = 8  # sshd allows ten on one connection
ANSWER_CHARACTERS_MAX: Final = 1024 * 1024
DONE: Final = 0
REFUSED: Final = 3

asyncssh.set_log_level(logging.WARNING)  # it tells of every session otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTarget:
    """Whom to call, as whom, and by which files both sides are known."""

    host: str
    user: str
    key_file: Path
    known_hosts_file: Path
    port: int = 22


class SshHostAgent:
    """The agent on one host."""

    def __init__(self, target: SshTarget) -> None:
        self._target = target
        self._connection: asyncssh.SSHClientConnection | None = None
        self._calls: Counter[asyncssh.SSHClientConnection] = Counter()  # open on each connection
        self._connecting = asyncio.Lock()
        self._sessions = asyncio.Semaphore(SESSIONS_MAX)

    async def call(self, verb: str, args: Mapping[str, str], deadline_s: float) -> dict[str, str]:
        """The verb's answer. Refused carries the agent's own sentence.

        Unreachable when the verb was certainly not begun; TimedOut when it may have been.
        """
        words = [verb, *(f"{name}={value}" for name, value in args.items())]
        command = " ".join(shlex.quote(word) for word in words)
        deadline = asyncio.get_running_loop().time() + deadline_s
        try:
            async with asyncio.timeout_at(deadline):
                await self._sessions.acquire()
        except TimeoutError:
            raise Unreachable(f"{self._name}: {SESSIONS_MAX} calls are still open") from None
        try:
            connection = await self._connected(deadline)
            self._calls[connection] += 1
            try:
                done = await self._run(connection, verb, command, deadline)
            finally:
                self._calls[connection] -= 1
                self._close_forgotten()
        finally:
            self._sessions.release()
        return self._answer(verb, done)

    async def aclose(self) -> None:
        """The connection is closed."""
        self._connection = None
        for connection in list(self._calls):
            connection.abort()
            await connection.wait_closed()
        self._calls.clear()

    @property
    def _name(self) -> str:
        return f"ssh {self._target.user}@{self._target.host}"

    async def _connected(self, deadline: float) -> asyncssh.SSHClientConnection:
        try:
            async with asyncio.timeout_at(deadline), self._connecting:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._connect()
                return self._connection
        except TimeoutError:
            raise Unreachable(f"{self._name}: no connection in time") from None

    async def _run(
        self, connection: asyncssh.SSHClientConnection, verb: str, command: str, deadline: float
    ) -> asyncssh.SSHCompletedProcess:
        try:
            async with asyncio.timeout_at(deadline):
                return await connection.run(
                    command, check=False, stdin=asyncssh.DEVNULL, errors="replace"
                )
        except TimeoutError:
            self._forget(connection)
            raise TimedOut(f"{self._name}: {verb}: no answer in time") from None
        except asyncssh.ChannelOpenError as error:
            self._forget(connection)
            raise Unreachable(f"{self._name}: {verb}: {error.reason}") from error
        except (asyncssh.Error, OSError) as error:
            self._forget(connection)
            raise TimedOut(f"{self._name}: {verb}: connection lost: {error}") from error

    async def _connect(self) -> asyncssh.SSHClientConnection:
        target = self._target
        for file in (target.known_hosts_file, target.key_file):
            if not file.is_file():
                raise Refused(f"{self._name}: there is no file {file}")
        try:
            return await asyncssh.connect(
                target.host,
                target.port,
                username=target.user,
                client_keys=[str(target.key_file)],
                known_hosts=str(target.known_hosts_file),
                agent_path=None,
                config=None,
                preferred_auth="publickey",
                keepalive_interval=KEEPALIVE_S,
                keepalive_count_max=KEEPALIVES_LOST_MAX,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise Refused(
                f"{self._name}: the key of host {target.host} port {target.port} is not the one"
                f" in {target.known_hosts_file}: compare it on its console, then correct the file"
            ) from error
        except asyncssh.PermissionDenied as error:
            raise Refused(f"{self._name}: the key {target.key_file} is not accepted") from error
        except asyncssh.KeyImportError as error:
            raise Refused(f"{self._name}: {target.key_file} cannot be read: {error}") from error
        except (asyncssh.Error, OSError, ValueError) as error:
            raise Unreachable(f"{self._name}: {error}") from error

    def _forget(self, connection: asyncssh.SSHClientConnection) -> None:
        """The next call makes a new connection: this one may lead nowhere. Its calls go on."""
        if self._connection is connection:
            self._connection = None

    def _close_forgotten(self) -> None:
        for connection, calls in list(self._calls.items()):
            if not calls and connection is not self._connection:
                connection.abort()
                del self._calls[connection]

    def _answer(self, verb: str, done: asyncssh.SSHCompletedProcess) -> dict[str, str]:
        output = done.stdout if isinstance(done.stdout, str) else ""
        answer = _parsed(output)
        if done.exit_status == DONE and answer is not None:
            return answer
        sentence = (answer or {}).get("error") or _last_line(done.stderr) or "it did not say why"
        if done.exit_status == REFUSED:
            raise Refused(f"{self._name}: {verb}: {sentence}")
        if done.exit_status == DONE:
            raise PortError(f"{self._name}: {verb}: not an answer: {output[:100]!r}")
        if done.exit_status is None:
            raise TimedOut(f"{self._name}: {verb}: connection lost before it ended")
        raise PortError(f"{self._name}: {verb}: failed with {done.exit_status}: {sentence}")


def _parsed(output: str) -> dict[str, str] | None:
    """The JSON object in `output`; what is not a string in it is given as JSON."""
    if len(output) > ANSWER_CHARACTERS_MAX:
        return None
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in found.items()}


def _last_line(errors: object) -> str:
    lines = errors.strip().splitlines() if isinstance(errors, str) else []
    return lines[-1][:300] if lines else ""
