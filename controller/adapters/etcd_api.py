"""etcd's gRPC interface: one connection per member, and what its errors mean."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes to standard error what it also raises

import grpc
import grpc.aio
from google.protobuf.unknown_fields import UnknownFieldSet

from controller.adapters.etcd_messages import load
from controller.ports import PortError, Refused, TimedOut, Unreachable

__all__ = [
    "NEEDS_LEADER",
    "Member",
    "Message",
    "Tls",
    "left",
    "now",
    "rpc",
    "send",
    "status_errors",
    "this_task_is_cancelled",
    "told",
    "translated",
]

Message = Any  # what the descriptors make is untyped
rpc: Final = load()

# A member that has lost its leader says so at once, before it does anything with the request.
NEEDS_LEADER: Final = (("hasleader", "true"),)

MESSAGE_BYTES_MAX: Final = 32 * 1024 * 1024
CERTIFICATES_LOOK_S: Final = 5.0
STATUS_ERRORS_FIELD: Final = 8  # of StatusResponse since 3.4; the descriptors are older

# Nothing may be sent twice by the library, nor wait long for a member that is back. A connection
# whose bytes are not acknowledged for the keep-alive timeout is closed by the kernel; etcd refuses
# clients that ping more often than every 5 s.
_OPTIONS: Final[Mapping[str, int]] = {
    "grpc.enable_retries": 0,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 750,
    "grpc.max_reconnect_backoff_ms": 500,
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 2_000,
    "grpc.enable_http_proxy": 0,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
}

# Details of UNAVAILABLE that are given before anything is done with the request.
_NOT_DONE: Final = (
    "failed to connect to all addresses",
    "DNS resolution failed",
    "etcdserver: no leader",
    "etcdserver: not capable",
)
_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files that prove the members to us, and us to them."""

    ca_file: Path
    certificate_file: Path | None = None
    key_file: Path | None = None


class Member:
    """The connection to one member. It is made when first used, and again when it was lost."""

    def __init__(self, endpoint: str, tls: Tls | None) -> None:
        self.address = endpoint.removeprefix("http://").removeprefix("https://").rstrip("/")
        self.answered_at = float("-inf")  # by the event loop's clock
        self.id = 0  # as the member itself said; 0: not heard of yet
        self._tls = tls
        self._files_seen = _stamps(tls)
        self._look_at = 0.0
        self._use(_channel(self.address, tls))

    async def renew(self) -> None:
        """A connection made with the certificates as they are now, if their files have changed.

        Calls under way on the former connection end with an error.
        """
        if self._tls is None or now() < self._look_at:
            return
        self._look_at = now() + CERTIFICATES_LOOK_S
        stamps = _stamps(self._tls)
        if stamps == self._files_seen or 0 in stamps:
            return
        self._files_seen = stamps
        former = self._channel
        self._use(_channel(self.address, self._tls))
        await former.close()

    async def aclose(self) -> None:
        """The connection is closed; calls under way end with an error."""
        await self._channel.close()

    def _use(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.kv: Message = rpc.KVStub(channel)
        self.lease: Message = rpc.LeaseStub(channel)
        self.watch: Message = rpc.WatchStub(channel)
        self.cluster: Message = rpc.ClusterStub(channel)
        self.maintenance: Message = rpc.MaintenanceStub(channel)


def _stamps(tls: Tls | None) -> tuple[int, ...]:
    """When each file was last changed; 0 for one that cannot be seen."""
    files = (tls.ca_file, tls.certificate_file, tls.key_file) if tls else ()
    return tuple(_changed_at(file) for file in files if file is not None)


def _changed_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _channel(address: str, tls: Tls | None) -> grpc.aio.Channel:
    options = list(_OPTIONS.items())
    if tls is None:
        return grpc.aio.insecure_channel(address, options)
    try:
        credentials = grpc.ssl_channel_credentials(
            tls.ca_file.read_bytes(),
            tls.key_file.read_bytes() if tls.key_file else None,
            tls.certificate_file.read_bytes() if tls.certificate_file else None,
        )
    except OSError as error:
        raise Refused(f"etcd: cannot read {error.filename}: {error.strerror}") from error
    return grpc.aio.secure_channel(address, credentials, options)


def translated(error: grpc.aio.AioRpcError, member: Member, what: str) -> PortError:
    """What `error` says about the effect of the request: refused, never done, or unknown."""
    code, details = error.code(), error.details() or ""
    sentence = f"etcd at {member.address}: {what}: {details or code.name}"
    if code in _REFUSALS:
        return Refused(sentence)
    if code is grpc.StatusCode.UNAVAILABLE and details.startswith(_NOT_DONE):
        return Unreachable(sentence)
    return TimedOut(sentence)


def status_errors(status: Message) -> tuple[str, ...]:
    """What the member complains of in its status, alarms included."""
    return tuple(
        field.data.decode(errors="replace")
        for field in UnknownFieldSet(status)
        if field.field_number == STATUS_ERRORS_FIELD
    )


def this_task_is_cancelled() -> bool:
    """The library cancels its own futures, too: those say nothing about us."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def now() -> float:
    """The event loop's clock, which every deadline of a call is told by."""
    return asyncio.get_running_loop().time()


def left(deadline: float) -> float:
    """Seconds until `deadline`; a call that starts too late ends at once."""
    return max(0.0, deadline - now())


async def send(call: Message, request: Message, within_s: float) -> None:
    """`request` is on its way. The library waits for ever on a call that ended before it began."""
    async with asyncio.timeout(within_s):
        try:
            await call.write(request)
        except asyncio.InvalidStateError:
            raise TimeoutError from None


def told(errors: Sequence[PortError]) -> PortError:
    """One error for all members: their sentences, under the kind that says most."""
    kinds = (Refused, TimedOut, Unreachable)
    kind = next(kind for kind in kinds if any(isinstance(error, kind) for error in errors))
    return kind("; ".join(str(error) for error in errors))
