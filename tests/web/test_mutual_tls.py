"""The API over mutual TLS: who is let in, under which name, and that four eyes hold both ways."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controller.core.requests import Kind
from controller.daemon.deeds import AuditedDesk
from controller.web.schema import Verdict
from controller.web.source import Asker, NotAsked
from tests.core.views import WALLET
from tests.web.authority import LONG_AGO, Authority, Pair
from tests.web.mutual import Gate, authority, gate, office, opened
from tests.web.office import Office

__all__ = ["authority", "gate", "office"]

PATH = "/api/v1/requests"


class Caller:
    """A client with one certificate, or none; each call is a connection of its own."""

    def __init__(self, authority: Authority, port: int, person: Pair | None) -> None:
        self._context = ssl.create_default_context(cafile=str(authority.file))
        if person is not None:
            self._context.load_cert_chain(person.certificate, person.key)
        self._base = f"https://127.0.0.1:{port}"

    def at_most(self, version: ssl.TLSVersion) -> "Caller":
        self._context.maximum_version = version
        return self

    async def get(self, path: str = "/api/v1/status") -> tuple[int, dict[str, Any]]:
        async with self._session() as session, session.get(self._base + path) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, **body: object) -> tuple[int, dict[str, Any]]:
        async with self._session() as session, session.post(self._base + path, json=body) as answer:
            return answer.status, await answer.json()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(ssl=self._context, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield session


async def test_an_operator_asks_under_the_name_of_the_certificate(
    gate: Gate, office: Office, authority: Authority
) -> None:
    ada = authority.person("ada")
    async with opened(gate) as port:
        code, told = await Caller(authority, port, ada).post(PATH, kind="switchover", target="dc1")
    assert code == 200
    how = f"certificate {f'{ada.serial:X}'[:8]}"
    assert (told["request"]["asked_by"], told["request"]["asked_at"]) == ("ada", f"dc2 ({how})")
    seen = office.records.requests.newest(WALLET)
    assert seen is not None
    assert (seen.request.asked_by, seen.request.asked_at) == ("ada", f"dc2 ({how})")
    assert gate.refused == []


async def test_tls_1_2_is_enough_and_1_1_is_not(gate: Gate, authority: Authority) -> None:
    ada = authority.person("ada")
    async with opened(gate) as port:
        code, _ = await Caller(authority, port, ada).at_most(ssl.TLSVersion.TLSv1_2).get()
        assert code == 200
        context = ssl.create_default_context(cafile=str(authority.file))
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("which", ["none", "of another authority", "expired", "for servers"])
async def test_who_shows_no_good_certificate_gets_no_answer(
    gate: Gate, authority: Authority, tmp_path: Path, which: str, version: ssl.TLSVersion
) -> None:
    persons: dict[str, Callable[[], Pair | None]] = {
        "none": lambda: None,
        "of another authority": lambda: Authority(tmp_path, "other").person("ada"),
        "expired": lambda: authority.person("ada", until=LONG_AGO),
        "for servers": lambda: authority.person("ada", server=True),
    }
    async with opened(gate) as port:
        caller = Caller(authority, port, persons[which]()).at_most(version)
        with pytest.raises(aiohttp.ClientError):
            await caller.get()
        with pytest.raises(aiohttp.ClientError):
            await caller.post(PATH, kind="switchover", target="dc1")
    assert isinstance(gate.source, Office)
    assert gate.source.records.requests.newest(WALLET) is None


async def test_a_reader_may_look_and_change_nothing(
    gate: Gate, office: Office, authority: Authority
) -> None:
    async with opened(gate) as port:
        rita = Caller(authority, port, authority.person("rita"))
        code, told = await rita.get()
        assert (code, told["cluster"]) == (200, "tricast")
        for path in (PATH, f"{PATH}/approve", f"{PATH}/decline"):
            code, told = await rita.post(path, kind="switchover", target="dc1")
            assert code == 403
            assert "CN=rita" in told["error"]
            assert "is a reader and may change nothing: ask an operator" in told["error"]
    assert office.records.requests.newest(WALLET) is None
    assert [(who.name, asked) for who, asked, _ in gate.refused] == [
        ("rita", f"POST {PATH}"),
        ("rita", f"POST {PATH}/approve"),
        ("rita", f"POST {PATH}/decline"),
    ]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["eve"], "'eve' is in neither api.tls.operators nor api.tls.readers: add the name"),
        (["Ada"], "'Ada' is in neither"),
        (["ada", "eve"], "not exactly one common name"),
        ([], "not exactly one common name"),
    ],
)
async def test_an_unknown_name_is_told_what_was_shown(
    gate: Gate, authority: Authority, names: list[str], why: str
) -> None:
    eve = authority.person(*names)
    async with opened(gate) as port:
        caller = Caller(authority, port, eve)
        for code, told in (await caller.get(), await caller.post(PATH, kind="ack")):
            assert code == 403
            assert why in told["error"]
            assert f"{eve.serial:X}" in told["error"]
            assert "O=Example" in told["error"]
    assert len(gate.refused) == 1  # looking is not noted


# --- what was taken back --------------------------------------------------------------------------


async def test_a_revoked_certificate_is_refused_at_once_also_on_a_connection_that_stands(
    gate: Gate, authority: Authority
) -> None:
    ada, grace = authority.person("ada"), authority.person("grace")
    gate.crl = authority.revoked()
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(ada.certificate, ada.key)
    async with (
        opened(gate) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
    ):

        async def status() -> tuple[int, dict[str, Any]]:
            async with session.get(f"https://127.0.0.1:{port}/api/v1/status") as answer:
                return answer.status, await answer.json()

        assert (await status())[0] == 200
        authority.revoked(ada)
        async with asyncio.timeout(10):
            while (found := await status())[0] == 200:
                await asyncio.sleep(0.01)
        assert found[0] == 403
        assert "was revoked: use another one" in found[1]["error"]
        assert (await Caller(authority, port, grace).get())[0] == 200


async def test_a_list_that_cannot_be_relied_on_lets_nobody_in(
    gate: Gate, authority: Authority, tmp_path: Path
) -> None:
    gate.crl = authority.revoked(until=LONG_AGO)
    ada = authority.person("ada")
    async with opened(gate) as port:
        caller = Caller(authority, port, ada)

        async def until(code: int, word: str) -> None:
            async with asyncio.timeout(10):
                while True:
                    found, told = await caller.get()
                    if found == code and word in told.get("error", ""):
                        return
                    await asyncio.sleep(0.01)

        await until(403, "was good until 2021-01-01T00:00:00Z; nobody is let in")
        authority.revoked()
        await until(200, "")
        Authority(tmp_path, "other").revoked()
        await until(403, "is not signed by an authority of client_ca_file")
        gate.crl.write_text("nothing")
        await until(403, "holds no revocation list in PEM form")
        gate.crl.unlink()
        await until(403, "cannot be read: No such file or directory")
        authority.revoked()
        await until(200, "")


# --- renewal --------------------------------------------------------------------------------------


def shown_by(port: int, authority: Authority, person: Pair) -> int:
    """The serial number of what the server shows now."""
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(person.certificate, person.key)
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        found = tls.getpeercert()
        assert found is not None
        return int(str(found["serialNumber"]), 16)


async def test_renewed_files_are_used_without_a_restart(gate: Gate, authority: Authority) -> None:
    ada = authority.person("ada")
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(ada.certificate, ada.key)
    async with (
        opened(gate) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
    ):
        url = f"https://127.0.0.1:{port}/healthz"
        async with session.get(url) as answer:
            assert answer.status == 200
        first = await asyncio.to_thread(shown_by, port, authority, ada)
        assert first == gate.server.serial
        gate.server.key.write_text("half written")
        renewed = authority.server()
        async with asyncio.timeout(10):
            while await asyncio.to_thread(shown_by, port, authority, ada) != renewed.serial:
                await asyncio.sleep(0.01)
        async with session.get(url) as answer:  # on the connection that stood before
            assert answer.status == 200


async def test_another_authority_takes_the_place_of_the_first(
    gate: Gate, authority: Authority, tmp_path: Path
) -> None:
    ada, other = authority.person("ada"), Authority(tmp_path, "other")
    theirs = other.person("ada", file="their-ada")
    trusted = tmp_path / "trusted-by-us.crt"
    trusted.write_bytes(authority.file.read_bytes())
    async with opened(gate) as port:
        assert (await Caller(authority, port, ada).get())[0] == 200
        ours = Caller(authority, port, ada)
        new = Caller(authority, port, theirs)
        authority.file.write_bytes(other.file.read_bytes())
        async with asyncio.timeout(10):
            while True:
                try:
                    assert (await new.get())[0] == 200
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.01)
        with pytest.raises(aiohttp.ClientError):
            await ours.get()


async def test_files_that_cannot_be_used_are_waited_for(gate: Gate, authority: Authority) -> None:
    gate.server.certificate.unlink()
    door = gate.door()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(door.keep(port.set_result))
        async with asyncio.timeout(10):
            while "server.crt: No such file" not in door._said.get("files", ""):
                await asyncio.sleep(0.01)
            authority.server()
            code, _ = await Caller(authority, await port, authority.person("ada")).get()
        task.cancel()
    assert code == 200


# --- four eyes ------------------------------------------------------------------------------------


async def test_who_asked_on_the_node_cannot_approve_with_a_certificate(
    gate: Gate, office: Office, authority: Authority
) -> None:
    office.approvals[Kind.SWITCHOVER] = 1
    order = {"kind": "switchover", "target": "dc1"}
    async with opened(gate) as port:
        ada, grace = (Caller(authority, port, authority.person(n)) for n in ("ada", "grace"))
        code, _ = await grace.post(PATH, **order)
        assert code == 200
        await office.approve_as("ada")  # as if the account ada had asked on the node
        code, told = await ada.post(f"{PATH}/approve", number=1)
        assert code == 409
        assert told["error"].startswith("ada has asked for request 1 and cannot approve it")
        code, told = await grace.post(f"{PATH}/approve", number=1)
        assert (code, told["request"]["approved_by"]) == (200, ["grace"])
    seen = office.records.requests.newest(WALLET)
    assert seen is not None
    (approval,) = seen.request.approvals
    assert (approval.by, approval.site.startswith("dc2 (certificate ")) == ("grace", True)


async def test_who_asked_with_a_certificate_cannot_approve_on_the_node(
    gate: Gate, office: Office, authority: Authority
) -> None:
    office.approvals[Kind.SWITCHOVER] = 1
    async with opened(gate) as port:
        ada = Caller(authority, port, authority.person("ada"))
        assert (await ada.post(PATH, kind="switchover", target="dc1"))[0] == 200
    with pytest.raises(NotAsked, match="ada has asked for request 1 and cannot approve it"):
        await office.desk.approve(Verdict(number=1), Asker(name="ada"))
    told = await office.desk.approve(Verdict(number=1), Asker(name="grace"))
    assert told.approved_by == ("grace",)


async def test_the_audit_log_tells_both_ways_apart(
    gate: Gate, office: Office, authority: Authority
) -> None:
    noted: list[dict[str, Any]] = []

    class Auditor:
        def note(self, event: object, **fields: Any) -> None:
            noted.append({"event": event, **fields})

    audited: Any = AuditedDesk(desk=office.desk, auditor=Auditor())  # type: ignore[arg-type]
    gate.desk = audited
    ada = authority.person("ada")
    async with opened(gate) as port:
        assert (await Caller(authority, port, ada).post(PATH, kind="ack"))[0] == 200
    await audited.decline(Verdict(number=1), Asker(name="ada"))
    by_certificate, by_account = noted
    assert by_certificate["who"] == f"ada (certificate {f'{ada.serial:X}'[:8]})"
    assert by_certificate["facts"]["certificate"].startswith(
        f"serial {ada.serial:X}, subject CN=ada"
    )
    assert by_account["who"] == "ada"
    assert "certificate" not in by_account["facts"]
