"""Keeping the lease alive under which a key is put."""

import grpc.aio

from controller.adapters.etcd_api import NEEDS_LEADER, Member, left, rpc, send, translated
from controller.ports import PortError, Unreachable


async def renewed(member: Member, lease: int, deadline: float) -> bool:
    """False: the lease is gone. One that could not be renewed now still has most of its time;
    what was to be written has been written, and the next put tries again.
    """
    try:
        return await _renew(member, lease, deadline)
    except PortError:
        return True


async def _renew(member: Member, lease: int, deadline: float) -> bool:
    """Whether `lease` lives, and now for its full time again."""
    call = member.lease.LeaseKeepAlive(timeout=left(deadline), metadata=NEEDS_LEADER)
    try:
        await send(call, rpc.LeaseKeepAliveRequest(ID=lease), left(deadline))
        answer = await call.read()
    except grpc.aio.AioRpcError as error:
        member.answered_at = float("-inf")
        raise translated(error, member, "renewing a lease") from None
    except TimeoutError:
        member.answered_at = float("-inf")
        raise Unreachable(f"etcd at {member.address}: renewing a lease: not sent") from None
    finally:
        call.cancel()
    return answer is not grpc.aio.EOF and answer.TTL > 0
