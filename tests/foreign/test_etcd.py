"""What we believe of etcd and its Python messages."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator

import grpc
import grpc.aio
import pytest

from controller.adapters.etcd_api import NEEDS_LEADER, Member, rpc, status_errors
from tests.contract.etcd_cluster import EtcdCluster, running_cluster

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with running_cluster(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture
async def member(cluster: EtcdCluster) -> AsyncIterator[Member]:
    cluster.wait()
    member = Member(cluster.endpoint("dc1"), None)
    yield member
    await member.aclose()


async def test_lease_is_never_shorter_than_the_election_allows(member: Member) -> None:
    granted = await member.lease.LeaseGrant(rpc.LeaseGrantRequest(TTL=1), timeout=5)
    assert granted.TTL == 2


async def test_put_does_not_refresh_the_lease_it_uses(member: Member) -> None:
    granted = await member.lease.LeaseGrant(rpc.LeaseGrantRequest(TTL=60), timeout=5)
    await asyncio.sleep(1.1)
    await member.kv.Put(rpc.PutRequest(key=b"k", value=b"", lease=granted.ID), timeout=5)
    left = await member.lease.LeaseTimeToLive(rpc.LeaseTimeToLiveRequest(ID=granted.ID), timeout=5)
    assert left.TTL < 60


async def test_put_under_a_lost_lease_is_not_found_and_not_done(member: Member) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await member.kv.Put(rpc.PutRequest(key=b"lost", value=b"", lease=12345), timeout=5)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert not (await member.kv.Range(rpc.RangeRequest(key=b"lost"), timeout=5)).kvs


async def test_keepalive_of_a_lost_lease_answers_zero(member: Member) -> None:
    call = member.lease.LeaseKeepAlive(timeout=5)
    await call.write(rpc.LeaseKeepAliveRequest(ID=12345))
    assert (await call.read()).TTL == 0
    call.cancel()


async def test_absent_key_has_revision_zero_in_a_comparison(member: Member) -> None:
    absent = rpc.Compare(
        key=b"absent", target=rpc.Compare.MOD, result=rpc.Compare.EQUAL, mod_revision=0
    )
    assert (await member.kv.Txn(rpc.TxnRequest(compare=[absent]), timeout=5)).succeeded


async def test_only_the_leader_moves_the_leader(cluster: EtcdCluster, member: Member) -> None:
    status = json.loads(cluster.control("endpoint", "status", "--cluster", "-w", "json"))
    names = {e["Status"]["header"]["member_id"]: e["Endpoint"] for e in status}
    leader = status[0]["Status"]["leader"]
    follower = Member(next(e for number, e in names.items() if number != leader), None)
    try:
        request = rpc.MoveLeaderRequest(targetID=leader)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await follower.maintenance.MoveLeader(request, timeout=5)
    finally:
        await follower.aclose()
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_member_without_a_leader_says_so_before_doing_anything(
    cluster: EtcdCluster, member: Member
) -> None:
    """And its status still answers, with the complaint in a field our messages do not know."""
    with cluster.frozen("dc2", "witness"):
        end = time.monotonic() + 10
        while not status_errors(await _status(member)):
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        assert status_errors(await _status(member)) == ("etcdserver: no leader",)
        began = time.monotonic()
        request = rpc.PutRequest(key=b"k", value=b"")
        with pytest.raises(grpc.aio.AioRpcError, match="etcdserver: no leader") as caught:
            await member.kv.Put(request, timeout=5, metadata=NEEDS_LEADER)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert time.monotonic() - began < 0.5


async def test_watch_of_a_compacted_revision_is_cancelled(
    cluster: EtcdCluster, member: Member
) -> None:
    for _ in range(3):
        answer = await member.kv.Put(rpc.PutRequest(key=b"k", value=b""), timeout=5)
    cluster.control("compact", str(answer.header.revision))
    call = member.watch.Watch(timeout=5)
    create = rpc.WatchCreateRequest(key=b"k", start_revision=1)
    await call.write(rpc.WatchRequest(create_request=create))
    answers = [await call.read(), await call.read()]
    assert [(a.canceled, a.compact_revision) for a in answers][-1] == (
        True,
        answer.header.revision,
    )
    call.cancel()


async def _status(member: Member) -> object:
    return await member.maintenance.Status(rpc.StatusRequest(), timeout=5)
