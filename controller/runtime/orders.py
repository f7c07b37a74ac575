"""This site's own orders to serve alone. On disk, fsynced: there may be no store to keep them.

`force-single` is meant for the day on which the store has no majority, so it cannot rest on a
record there. Where the database has to be promoted for it, the epoch is assumed here and written
to the store as soon as it answers; the gap below it makes sure that nobody else used that number.
"""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from controller.core.model import EpochRecord, ServiceName
from controller.core.requests import Request
from controller.core.wire import (
    BadRecord,
    decode_epoch,
    decode_request,
    encode_epoch,
    encode_request,
    epoch_key,
)
from controller.runtime.durable import replace_file


class OrdersLost(Exception):
    """The file is there but cannot be understood; the message names it and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """To serve without any other voter."""

    request: Request
    assumed: EpochRecord | None = None  # the epoch, where the store could not be asked for it


class Orders:
    """One small JSON file; replaced whole, by rename."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "orders.json"
        self._lock = asyncio.Lock()
        self._orders = self._load()

    def of(self, service: ServiceName) -> Order | None:
        """The order for `service`, if there is one."""
        return self._orders.get(service)

    async def give(self, order: Order) -> None:
        """`order` is in force, and still is after a restart."""
        assert order.request.service is not None
        async with self._lock:
            await self._become({**self._orders, order.request.service: order})

    async def end(self, service: ServiceName) -> None:
        """No order for `service` is in force."""
        async with self._lock:
            await self._become({s: o for s, o in self._orders.items() if s != service})

    async def _become(self, orders: dict[ServiceName, Order]) -> None:
        text = json.dumps({name: _written(order) for name, order in orders.items()})
        await asyncio.to_thread(replace_file, self._path, text)
        self._orders = orders

    def _load(self) -> dict[ServiceName, Order]:
        try:
            data = json.loads(self._path.read_text())
            return {ServiceName(name): _read(ServiceName(name), row) for name, row in data.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError, KeyError, BadRecord) as error:
            raise OrdersLost(
                f"{self._path} is damaged ({error}). It says for which services this site serves "
                "alone. Move it away to serve none alone, then start again."
            ) from error


def _written(order: Order) -> dict[str, object]:
    return {
        "request": json.loads(encode_request(order.request)),
        "assumed": None if order.assumed is None else json.loads(encode_epoch(order.assumed)),
    }


def _read(service: ServiceName, row: dict[str, object]) -> Order:
    request = json.dumps(row["request"]).encode()
    number = int(cast("dict[str, int]", row["request"])["number"])
    assumed = row.get("assumed")
    found = decode_request(f"requests/{service}/{number}", request)
    return Order(
        request=found,
        assumed=None
        if assumed is None
        else decode_epoch(epoch_key(service), json.dumps(assumed).encode(), 0),
    )
