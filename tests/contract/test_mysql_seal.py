"""A seal while the primary is a black hole: nothing it is sent arrives, nothing comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.nftables import Nftables
from controller.core.model import Epoch
from controller.ports import Flow
from tests.contract.mysql_cluster import (
    DC1,
    DC2,
    LONG_S,
    WITNESS,
    Cluster,
    cluster,
    eventually,
    keys_at,
    write,
)
from tests.contract.namespaces import Namespace, needs_root, run

pytestmark = [pytest.mark.contract, pytest.mark.timeout(90), needs_root]
AT_ONCE_S = 0.4  # a hundredth of a second on a machine with nothing else to do
HOLE = """
table inet hole {{
    chain input {{
        type filter hook input priority 0; policy accept;
        tcp dport {port} drop
        tcp sport {port} tcp flags & rst == 0 drop
    }}
}}
"""


@pytest.fixture
async def three(source: Path) -> AsyncIterator[Cluster]:
    """In a network of their own, which takes its rules away with it."""
    namespace = Namespace()
    try:
        with namespace.inside():
            async with cluster(source) as made:
                yield made
    finally:
        namespace.close()


async def took_s(act: Callable[[], Coroutine[Any, Any, object]]) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await act()
    return loop.time() - began


async def test_with_our_rule_in_force_a_black_hole_does_not_delay_a_seal(
    three: Cluster, record_property: Callable[[str, object], None]
) -> None:
    await three.serve(DC1, 2, DC2, WITNESS)
    session = three.servers[DC1].session()
    await write(session, "k1", "k2", "k3")
    await eventually(lambda: everywhere(three, 3), "both voters to have it")
    port = three.servers[DC1].port
    run("nft -f -", HOLE.format(port=port))
    await Nftables().block(
        frozenset({Flow(source="127.0.0.1", destination="127.0.0.1", port=port)})
    )
    standby = await took_s(lambda: three.databases[DC2].seal(Epoch(3), LONG_S))
    keeper = await took_s(lambda: three.keeper.seal(Epoch(3), LONG_S))
    record_property("standby_seal_ms", round(1000 * standby, 1))
    record_property("keeper_seal_ms", round(1000 * keeper, 1))
    assert max(standby, keeper) < AT_ONCE_S
    assert not (await three.look(DC2)).receiving
    assert (await three.keeper.observe(2)).sealed
    session.drop()


async def everywhere(three: Cluster, count: int) -> bool:
    return all(len(keys_at(three.servers[site])) == count for site in (DC2, WITNESS))
