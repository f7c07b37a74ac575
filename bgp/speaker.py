"""The process ExaBGP starts: `python -m bgp.speaker --spec FILE`.

ExaBGP's lines come in on stdin, commands go out on stdout, controllers speak over a unix socket.
It keeps nothing on disk and has no opinion: `dialogue.py` decides what is said.

One thread waits on everything at once and never on one thing: an unread stdin would stop ExaBGP,
and a full stdout, a full log or a silent controller must not keep stdin from being read. It ends
when ExaBGP's end of stdin closes.
"""

import argparse
import contextlib
import os
import re
import select
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bgp.dialogue import Dialogue
from bgp.messages import (
    MAX_LINE,
    BadMessage,
    Reply,
    encode_reply,
    parse_request,
)
from bgp.spec import BadSpec, BgpSpec

STDIN: Final = 0
STDOUT: Final = 1
CHUNK: Final = 64 * 1024
MAX_CLIENTS: Final = 32
MAX_UNSENT: Final = 4 * MAX_LINE
_CREDENTIALS: Final = struct.Struct("3i")
_COUNTED: Final = re.compile(r"\b\d+ (s|routes)\b")


def now() -> float:
    """The clock controllers stamp their wanted sets with; it goes on while the host sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def note(event: str, **fields: object) -> None:
    """One line on stderr, or none when nobody reads it: a log must not stop the routes."""
    words = " ".join(f"{key}={value!r}" for key, value in fields.items())
    line = f"speaker: {event} {words}".rstrip()[:1000] + "\n"
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [2], [], 0)[1]:
            os.write(2, line.encode("ascii", "backslashreplace"))


class LineBuffer:
    """Bytes in, whole lines out; a line that is too long is dropped and counted."""

    def __init__(self) -> None:
        self._held = b""
        self._skipping = False
        self.dropped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines `data` completes."""
        *lines, self._held = (self._held + data).split(b"\n")
        if lines and self._skipping:
            self._skipping = False
            del lines[0]
        if len(self._held) > MAX_LINE:
            self.dropped += not self._skipping
            self._held, self._skipping = b"", True
        return lines


@dataclass(slots=True, eq=False)
class Client:
    """One controller's connection."""

    connection: socket.socket
    lines: LineBuffer = field(default_factory=LineBuffer)
    unsent: bytes = b""
    closing: bool = False  # once everything is sent


class Speaker:
    """Everything the process waits on."""

    def __init__(self, spec: BgpSpec, listener: socket.socket) -> None:
        self._dialogue = Dialogue(spec, now())
        self._listener = listener
        self._clients: list[Client] = []
        self._selector = selectors.DefaultSelector()
        self._from_exabgp = LineBuffer()
        self._to_exabgp = b""
        self._ended = False
        self._problems: frozenset[str] = frozenset()
        self._look_at = 0.0
        for descriptor in (STDIN, STDOUT):
            os.set_blocking(descriptor, False)
        self._selector.register(STDIN, selectors.EVENT_READ)
        self._selector.register(listener, selectors.EVENT_READ)

    def run(self) -> None:
        """Returns when ExaBGP has gone."""
        while not self._ended:
            wait_s = min(self._dialogue.wake_in(now()), 5.0)
            for key, events in self._selector.select(wait_s):
                if key.data is not None:
                    self._serve(key.data, events)
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj == STDIN:
                    self._hear()
            self._say()
            self._note_problems()

    def _hear(self) -> None:
        try:
            data = os.read(STDIN, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._ended = True
            return
        dropped = self._from_exabgp.dropped
        for line in self._from_exabgp.feed(data):
            self._dialogue.heard(line.decode("ascii", "replace").strip(), now())
        if self._from_exabgp.dropped > dropped:
            self._dialogue.missed()

    def _say(self) -> None:
        if not self._to_exabgp:
            command = self._dialogue.next_command(now())
            if command is not None:
                self._to_exabgp = command.encode("ascii") + b"\n"
        if self._to_exabgp:
            try:
                self._to_exabgp = self._to_exabgp[os.write(STDOUT, self._to_exabgp) :]
            except BlockingIOError:
                pass
            except OSError:
                self._ended = True
        watched = STDOUT in self._selector.get_map()
        if self._to_exabgp and not watched:
            self._selector.register(STDOUT, selectors.EVENT_WRITE)
        elif watched and not self._to_exabgp:
            self._selector.unregister(STDOUT)

    def _note_problems(self) -> None:
        if now() < self._look_at:
            return
        self._look_at = now() + 1.0
        problems = self._dialogue.problems(now())
        # The numbers in the sentences change from look to look; a problem is told once.
        kinds = frozenset(_COUNTED.sub("", problem) for problem in problems)
        if kinds != self._problems:
            self._problems = kinds
            note("problems" if problems else "no problems", now="; ".join(problems))

    # --- controllers -----------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(packed)
        if uid not in (0, os.geteuid()):
            note("client refused", pid=pid, uid=uid)
            connection.close()
            return
        if len(self._clients) >= MAX_CLIENTS:
            self._drop(self._clients[0])
        connection.settimeout(0)
        client = Client(connection)
        self._clients.append(client)
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _serve(self, client: Client, events: int) -> None:
        if client not in self._clients:
            return  # dropped while this event waited its turn
        try:
            if events & selectors.EVENT_READ and not client.closing:
                data = client.connection.recv(CHUNK)
                if not data:
                    self._drop(client)
                    return
                for line in client.lines.feed(data):
                    if line.strip() and len(client.unsent) <= MAX_UNSENT:
                        client.unsent += encode_reply(self._answer(line))
                if client.lines.dropped:
                    client.unsent += encode_reply(Reply(number=0, error="the line is too long"))
                    client.closing = True
            if client.unsent:
                client.unsent = client.unsent[client.connection.send(client.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        self._watch(client)

    def _watch(self, client: Client) -> None:
        if len(client.unsent) > MAX_UNSENT or (client.closing and not client.unsent):
            self._drop(client)
            return
        events = 0 if client.closing else selectors.EVENT_READ
        if client.unsent:
            events |= selectors.EVENT_WRITE
        self._selector.modify(client.connection, events, client)

    def _answer(self, line: bytes) -> Reply:
        try:
            reply = self._dialogue.asked(parse_request(line), now())
        except BadMessage as error:
            self._dialogue.counters["messages_bad"] += 1
            return Reply(number=error.number, error=str(error))
        if reply.error:
            note("request denied", error=reply.error)
        return reply

    def _drop(self, client: Client) -> None:
        self._selector.unregister(client.connection)
        self._clients.remove(client)
        client.connection.close()


def listen(path: Path) -> socket.socket:
    """A socket at `path`, for root and our own user only; whatever was there is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        listener.bind(str(fresh))
    finally:
        os.umask(before)
    listener.listen(4 * MAX_CLIENTS)
    listener.settimeout(0)
    # A client finds either the old socket or a new one that already listens.
    fresh.rename(path)
    return listener


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until ExaBGP goes; 0, or 1 when the specification or the socket is no good."""
    parser = argparse.ArgumentParser(prog="python -m bgp.speaker", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="file written by tricast render")
    path = parser.parse_args(arguments).spec
    # The default action ends the process at once, which is right: nothing needs saving.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        spec = BgpSpec.from_json(path.read_text(encoding="utf-8"))
        listener = listen(Path(spec.socket_path))
    except (OSError, BadSpec) as error:
        note("cannot start", error=str(error))
        return 1
    note("started", pid=os.getpid(), services=len(spec.services), neighbors=len(spec.neighbors))
    Speaker(spec, listener).run()
    note("ExaBGP has gone, ending", pid=os.getpid())
    return 0


if __name__ == "__main__":
    sys.exit(main())
