"""The BGP speaker, over its unix socket.

A wanted set carries the moment it was sent, on the clock both ends share, so that one which lay in
a buffer while either end was frozen is not good for longer than it was meant to be.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bgp.messages import (
    MAX_LINE,
    AnnounceRequest,
    BadMessage,
    Observation,
    ObserveRequest,
    Reply,
    Request,
    encode_request,
    parse_reply,
)
from bgp.permit import Wish
from bgp.policy import Stance
from controller.core.model import Epoch
from controller.ports import (
    AnnouncedService,
    AnnouncerState,
    PortError,
    Refused,
    TimedOut,
    Unreachable,
)

REPLY_LIMIT: Final = 4 * MAX_LINE
CLOSING_S: Final = 1.0


class Speaker:
    """One connection, made when it is needed and made again when it broke."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._number = 0
        self._counters: Mapping[str, int] = {}

    @property
    def counters(self) -> Mapping[str, int]:
        """What the speaker has counted, as of the last look."""
        return self._counters

    async def observe(self, deadline_s: float) -> AnnouncerState:
        """What it announces now."""
        self._number += 1
        reply = await self._call(ObserveRequest(number=self._number), deadline_s)
        if reply.state is None:
            raise Refused(f"the speaker at {self._path} answered without its state")
        self._counters = reply.state.counters
        return _state(reply.state)

    async def announce(
        self, wanted: Mapping[str, tuple[Stance, Epoch]], permit_s: float, deadline_s: float
    ) -> None:
        """The whole wanted set, service by service, good for `permit_s` from now."""
        self._number += 1
        request = AnnounceRequest(
            number=self._number,
            wanted={name: Wish(stance, epoch) for name, (stance, epoch) in wanted.items()},
            permit_s=permit_s,
            sent_at=time.clock_gettime(time.CLOCK_BOOTTIME),
        )
        await self._call(request, deadline_s)

    async def aclose(self) -> None:
        """The connection is closed."""
        if self._streams is None:
            return
        _, writer = self._streams
        self._disconnect()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await writer.wait_closed()

    async def _call(self, request: Request, deadline_s: float) -> Reply:
        sent = False
        try:
            async with asyncio.timeout(deadline_s), self._turn:
                if self._streams is not None:
                    sent = True
                    try:
                        return self._checked(await self._exchange(request))
                    except (OSError, EOFError):
                        # The speaker has been restarted since. Every request is idempotent, so
                        # asking the new one is right whether or not the old one had heard.
                        self._disconnect()
                await self._connect()
                sent = True
                return self._checked(await self._exchange(request))
        except TimeoutError:
            self._disconnect()
            error = TimedOut if sent else Unreachable
            raise error(
                f"the speaker at {self._path} did not answer within {deadline_s:.3f} s"
            ) from None
        except (OSError, EOFError) as cause:
            self._disconnect()
            if sent:
                raise TimedOut(f"the speaker at {self._path} hung up: {cause}") from None
            raise Unreachable(f"no speaker listens at {self._path}: {cause}") from None
        except asyncio.CancelledError:
            # The answer to this request may still come; nobody else must take it for theirs.
            self._disconnect()
            raise

    async def _connect(self) -> None:
        self._disconnect()
        self._streams = await asyncio.open_unix_connection(str(self._path), limit=REPLY_LIMIT)

    async def _exchange(self, request: Request) -> Reply:
        if self._streams is None:
            raise EOFError("not connected")
        reader, writer = self._streams
        writer.write(encode_request(request))
        await writer.drain()
        try:
            line = await reader.readline()
            if not line.endswith(b"\n"):
                raise EOFError("closed before the answer")
            reply = parse_reply(line)
        except (BadMessage, ValueError) as error:
            self._disconnect()
            raise PortError(f"the speaker at {self._path} talks nonsense: {error}") from None
        if reply.number not in (request.number, 0):
            self._disconnect()
            raise PortError(f"the speaker at {self._path} answered another request")
        return reply

    def _checked(self, reply: Reply) -> Reply:
        if reply.error:
            raise Refused(f"the speaker refused: {reply.error}")
        return reply

    def _disconnect(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _state(seen: Observation) -> AnnouncerState:
    return AnnouncerState(
        sessions=dict(seen.sessions),
        services={
            name: AnnouncedService(
                stance=said.stance,
                epoch=Epoch(said.epoch),
                confirmed=said.confirmed,
                more_specifics=said.more_specifics,
            )
            for name, said in seen.services.items()
        },
        permit_left_s=seen.permit_left_s,
        problems=seen.problems,
    )
