"""A deposed PostgreSQL, started by hand and not rewound, knocks under its old voter's name."""

import time
from collections.abc import Awaitable, Callable

import pytest

from controller.adapters.nftables import TABLE
from tests.lab.direct import DATABASE, direct_client
from tests.lab.system import System, edge, holds_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

START = """
set -eu
data=/var/lib/postgresql/15/ledger gate=/var/lib/tricast/postgres/ledger
cp $gate/voter.pgpass $gate/by_hand.pgpass
chown postgres $gate/by_hand.pgpass
touch $data/standby.signal
rm -f $data/postmaster.pid
echo "primary_conninfo = 'host=$1 port=5432 user=voter_$2 application_name=$2" \
    "passfile=$gate/by_hand.pgpass'" >> $data/postgresql.auto.conf
cd /
setsid -f setpriv --reuid=postgres --regid=postgres --clear-groups \
    /usr/lib/postgresql/15/bin/postgres -D $data \
    -c config_file=/etc/tricast/postgres/ledger/postgresql.conf \
    >>/var/log/tricast/by_hand.log 2>&1 </dev/null
"""
SENDERS = "select usename || ' ' || sync_state from pg_stat_replication"


async def test_it_releases_no_commit_and_an_alarm_says_so(system: System) -> None:
    holder, other = await system.settled()
    epoch = await system.epoch(holder)
    async with system.load("client2") as load, direct_client(system, holder) as direct:
        await system.lab.cut(holder)
        await system.until_held_by(other, above=epoch)
        # Neither its controller, nor a host agent, nor the fence on its own edge is in the way.
        system.stop_daemon(holder)
        system.lab.kill(f"{holder}-db", "sshd", stay_down=True)
        fence = ["nft", f"add table inet {TABLE}; delete table inet {TABLE}"]
        await system.lab.run(edge(holder), fence)
        system.lab.kill(f"{holder}-db", "postgres")
        start = ["sh", "-c", START, "sh", DATABASE[other], holder]
        await system.lab.run(f"{holder}-db", start)
        await system.lab.heal(holder)
        await system.until("it knocks and is refused", _refused(system, holder), within_s=20)

        # Without the keeper it would be the only one left to acknowledge: so nobody does.
        system.stop_daemon("witness")
        system.lab.kill("witness", "keeper-postgres")
        alone_at = time.monotonic()

        async def waits() -> str:
            acks = load.of("client2").acks(alone_at + 1)
            senders = (await system.psql(other, SENDERS)).stdout.split("\n")
            voting = [line for line in senders if line.startswith("voter_")]
            return f"acknowledged: {acks[:3]}, by {voting}" if acks or voting else ""

        await holds_for(4, waits)
        seen = await system.eyes.service(other)
        assert "1 of 3 voters; commits wait" in seen["guarantee"]
        for site in (holder, "witness"):
            wanted = f"ledger: the copy at {site} does not vote"
            assert any(wanted in line for line in seen["warnings"]), seen["warnings"]

        again_at = time.monotonic()
        await system.lab.start("witness", "witness")
        await load.acked(20, after=again_at)
        # Its own controller finds it, rewinds it, and only then may it vote.
        await system.lab.start(f"{holder}-db", "sshd")
        await system.lab.start(edge(holder), "controller")
        await system.settled()
    assert await system.intact(load) == (other, holder)
    await direct.nothing_lost(other)


def _refused(system: System, site: str) -> Callable[[], Awaitable[str]]:
    async def look() -> str:
        log = system.lab.log(f"{site}-db", "by_hand")
        words = log.read_text() if log.exists() else ""
        return "" if "no pg_hba.conf entry for replication" in words else words[-300:]

    return look
