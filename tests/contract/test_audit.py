"""The audit log against a real etcd and a real full disk."""

import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from controller.adapters.etcd import Etcd
from controller.audit.anchor import anchor_key, encode_anchor
from controller.audit.entry import Head
from controller.ports import PortError, Store
from controller.runtime.audit_anchors import StoreAnchors
from tests.contract.etcd_cluster import EtcdCluster, running_cluster
from tests.contract.fakes.memory_store import MemoryCluster, MemoryStore

pytestmark = [pytest.mark.contract, pytest.mark.timeout(90)]

HASHES = [f"{number:064x}" for number in range(10)]
_fresh = count(1)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with running_cluster(tmp_path_factory.mktemp("etcd"), ("dc1",)) as cluster:
        yield cluster


@pytest.fixture(params=["etcd", "memory"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(MemoryCluster())
        return
    cluster: EtcdCluster = request.getfixturevalue("cluster")
    cluster.wait()
    found = Etcd(cluster.endpoints, prefix=f"/tricast/audit{next(_fresh)}/")
    try:
        yield found
    finally:
        await found.aclose()


def anchors(store: Store) -> StoreAnchors:
    return StoreAnchors(store=store, prefix="t/", deadline_s=5.0)


def head(seq: int, version: int = 0) -> Head:
    return Head(seq=seq, hash=HASHES[seq + version])


async def test_an_anchor_rises_and_never_falls(store: Store) -> None:
    found = anchors(store)
    assert await found.read() == ((), ())
    for seq in (1, 2, 5):
        assert await found.raise_to("dc1", head(seq), "now") is None
    assert await found.raise_to("dc1", head(5), "now") is None
    known = await found.raise_to("dc1", head(3), "now")
    assert known is not None
    assert (known.seq, known.hash) == (5, HASHES[5])
    assert (await found.raise_to("dc1", head(5, 1), "now")) == known
    [kept], problems = await found.read()
    assert (kept.head, kept.place, problems) == (head(5), "etcd", ())


async def test_every_site_has_its_own(store: Store) -> None:
    found = anchors(store)
    await found.raise_to("dc1", head(3), "now")
    await found.raise_to("witness", head(1), "now")
    kept, _ = await found.read()
    assert {(a.site, a.seq) for a in kept} == {("dc1", 3), ("witness", 1)}


async def test_of_two_writers_the_one_that_is_ahead_stays(store: Store) -> None:
    found, other = anchors(store), anchors(store)
    read, swapped = store.read, 0

    async def slow(prefix: str, deadline_s: float) -> object:
        nonlocal swapped
        snapshot = await read(prefix, deadline_s)
        if not swapped:
            swapped += 1
            await other.raise_to("dc1", head(4), "now")
        return snapshot

    store.read = slow  # type: ignore[method-assign,assignment]
    known = await found.raise_to("dc1", head(2), "now")
    store.read = read  # type: ignore[method-assign]
    assert known is not None
    assert known.seq == 4


async def test_what_is_no_anchor_is_told_and_replaced(store: Store) -> None:
    found = anchors(store)
    await store.put(f"t/{anchor_key('dc1')}", b"\xff\x00", 5.0)
    kept, problems = await found.read()
    assert kept == ()
    assert problems[0].startswith("audit/dc1/head: ")
    assert await found.raise_to("dc1", head(1), "now") is None
    [kept_now], _ = await found.read()
    assert encode_anchor(kept_now)


async def test_without_a_majority_it_is_an_error_in_time(cluster: EtcdCluster) -> None:
    nowhere = Etcd(["http://127.0.0.1:1"], prefix="/x/")
    try:
        with pytest.raises(PortError):
            await StoreAnchors(store=nowhere, prefix="t/", deadline_s=0.5).read()
    finally:
        await nowhere.aclose()


# A tmpfs of our own in a mount namespace of our own: it goes with the process.
FULL_DISK = textwrap.dedent("""
    import errno, subprocess, sys
    from pathlib import Path
    from controller.audit.chain import entries_of, verify
    from controller.audit.entry import Note
    from controller.runtime.audit_file import AuditFile

    folder = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    file = AuditFile(directory=folder, site="dc1", stamp=lambda: "now")
    file.open(())
    note = Note(at="now", event="asked", reason="x" * 1500)
    written = 0
    for _ in range(1000):
        try:
            file.append([note, note, note])
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            break
        written += 3
    else:
        raise SystemExit("the disk was never full")
    assert written > 0
    assert len(entries_of(file.raw())) == written, "an append was made in part"
    assert verify(file.raw(), "dc1").whole
    again = AuditFile(directory=folder, site="dc1", stamp=lambda: "now")
    again.open(())  # a daemon that starts while the disk is full
    subprocess.run(["mount", "-o", "remount,size=256k", str(folder)], check=True)
    for found in (file, file):
        found.append([note])
    log = file.raw()
    assert [entry.seq for entry in entries_of(log)] == list(range(1, written + 3))
    assert verify(log, "dc1").whole
    print("held", written)
""")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_on_a_disk_that_is_really_full_all_of_an_append_is_there_or_nothing(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", FULL_DISK,
         str(tmp_path)],
        check=False, capture_output=True, text=True, timeout=60, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("held ")
