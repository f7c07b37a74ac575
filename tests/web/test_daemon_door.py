"""A daemon's own door: made from the cluster file, and what is refused there is in its log."""

import asyncio
import socket
import ssl
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp

from controller.adapters.clock import SystemClock
from controller.audit.entry import Event
from controller.config import Cluster, inspect_text
from controller.core.model import SiteName
from controller.daemon.tls import answer_over_tls
from controller.web.app import build_app
from tests.config.unguarded import LAB
from tests.core.turned import serving
from tests.web.authority import Authority
from tests.web.office import Office

DC2 = SiteName("dc2")


def free_port() -> int:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def configured(folder: Path, authority: Authority, port: int) -> Cluster:
    pair = authority.server()
    tls = (
        f"{{port: {port}, address: 127.0.0.1, cert_file: {pair.certificate}, "
        f"key_file: {pair.key}, client_ca_file: {authority.file}, crl_file: {folder}/crl, "
        "operators: [ada], readers: [rita]}"
    )
    text = LAB.replace("\nheartbeat:", f"\napi:\n  tls: {tls}\nheartbeat:")
    found = inspect_text(text, "tricast.yml")
    assert found.cluster is not None
    assert not found.problems
    return found.cluster


class Notes:
    """Where an auditor would be."""

    def __init__(self) -> None:
        self.noted: list[tuple[Event, dict[str, Any]]] = []

    def note(self, event: Event, **fields: Any) -> None:
        self.noted.append((event, fields))


async def test_the_door_that_the_cluster_file_describes(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.revoked()
    port, notes, office = free_port(), Notes(), Office(serving(), tmp_path)
    cluster = configured(tmp_path, authority, port)
    auditor: Any = notes

    async def call(name: str, **body: object) -> int:
        person = authority.person(name)
        context = ssl.create_default_context(cafile=str(authority.file))
        context.load_cert_chain(person.certificate, person.key)
        connector = aiohttp.TCPConnector(ssl=context, force_close=True)
        url = f"https://127.0.0.1:{port}/api/v1/requests"
        async with aiohttp.ClientSession(connector=connector) as session:
            asked = session.post(url, json=body) if body else session.get(url)
            async with asked as answer:
                return answer.status

    async with asyncio.TaskGroup() as tasks:
        door = tasks.create_task(
            answer_over_tls(
                cluster, DC2, SystemClock(), auditor, lambda: build_app(office, desk=office.desk)
            )
        )
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await call("ada") == 200
                    break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.01)  # it opens
            assert await call("rita") == 200
            assert await call("rita", kind="ack") == 403
            assert await call("eve") == 403
            assert await call("ada", kind="ack") == 200
        door.cancel()
    ((event, fields),) = notes.noted
    assert event is Event.REFUSED
    assert fields["who"].startswith("rita (certificate ")
    assert "is a reader and may change nothing" in fields["outcome"]
    assert fields["facts"]["asked"] == "POST /api/v1/requests"
    assert "subject CN=rita" in fields["facts"]["certificate"]


async def test_where_it_is_not_configured_nothing_listens(tmp_path: Path) -> None:
    found = inspect_text(LAB, "tricast.yml").cluster
    assert found is not None

    def never() -> Any:
        raise AssertionError("nothing is to be built")

    auditor: Any = Notes()
    async with asyncio.TaskGroup() as tasks:
        door = tasks.create_task(answer_over_tls(found, DC2, SystemClock(), auditor, never))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not door.done()
        door.cancel()
