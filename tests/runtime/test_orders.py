"""Orders to serve alone are on disk before they count, and never guessed at."""

from dataclasses import replace
from pathlib import Path

import pytest

from controller.core.requests import Kind, State
from controller.runtime.orders import Order, Orders, OrdersLost
from tests.core.views import RECORD, WALLET
from tests.core.wishes import wish

REQUEST = wish(Kind.FORCE_SINGLE, target="dc2", state=State.RUNNING, statement="much")
ASSUMED = replace(RECORD, kind="forced", revision=0)


@pytest.mark.parametrize("assumed", [None, ASSUMED])
async def test_an_order_survives_a_restart_until_it_ends(tmp_path: Path, assumed: object) -> None:
    order = Order(request=REQUEST, assumed=assumed)  # type: ignore[arg-type]
    orders = Orders(tmp_path)
    assert orders.of(WALLET) is None
    await orders.give(order)
    again = Orders(tmp_path)
    assert orders.of(WALLET) == again.of(WALLET) == order
    await again.end(WALLET)
    assert again.of(WALLET) is None
    assert Orders(tmp_path).of(WALLET) is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"wallet": {}}', '{"wallet": {"request": {"number": 4}}}', '{"wallet": 3}']
)
def test_a_damaged_file_is_said_and_not_taken_for_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "orders.json").write_text(text)
    with pytest.raises(OrdersLost, match=r"orders\.json is damaged .*Move it away"):
        Orders(tmp_path)
