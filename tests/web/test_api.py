"""The API over real sockets: what it answers, to whom, and what it leaves behind."""

import asyncio
import json
import os
import socket
import stat
from pathlib import Path

import aiohttp
import pytest

from controller.web.app import build_app
from controller.web.schema import Explanation, History, Status, json_schema
from controller.web.serve import ListenError, serve
from controller.web.source import Pulse
from tests.web.sample import STEADY, TAKING_OVER, Told

SCHEMA = Path(__file__).parents[2] / "docs/api/status.v1.json"


async def get(port: int, path: str) -> tuple[int, str, str]:
    url = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        return answer.status, answer.content_type, await answer.text()


async def test_status_comes_back_whole(tmp_path: Path) -> None:
    async with serve(build_app(Told(TAKING_OVER)), tmp_path / "s", "127.0.0.1", 0) as port:
        code, kind, text = await get(port, "/api/v1/status")
    assert (code, kind) == (200, "application/json")
    assert Status.model_validate_json(text) == TAKING_OVER


async def test_explain_says_why_for_each_site(tmp_path: Path) -> None:
    async with serve(build_app(Told(TAKING_OVER)), tmp_path / "s", "127.0.0.1", 0) as port:
        _code, _kind, text = await get(port, "/api/v1/explain")
    found = Explanation.model_validate_json(text)
    [wallet] = found.services
    assert [(site.site, site.rule) for site in wallet.sites] == [
        ("dc1", 901), ("dc2", 301), ("witness", 903),
    ]  # fmt: skip
    assert wallet.sites[0].evidence == {"holds_the_epoch": "7", "acknowledged": "0.1 s ago"}
    assert wallet.open_change is not None
    assert wallet.open_change.step == "committing"


async def test_history_is_filtered_and_bounded(tmp_path: Path) -> None:
    async with serve(build_app(Told(STEADY)), tmp_path / "s", "127.0.0.1", 0) as port:
        _code, _kind, text = await get(port, "/api/v1/history?service=wallet")
        assert History.model_validate_json(text).changes == STEADY.history
        _code, _kind, text = await get(port, "/api/v1/history?service=lobby")
        assert History.model_validate_json(text).changes == ()
        for wrong in ("0", "-1", "1001", "x", "9" * 5000):
            code, _kind, text = await get(port, f"/api/v1/history?limit={wrong[:3000]}")
            assert code == 400
            assert "limit must be a number from 1 to 1000" in json.loads(text)["error"]


async def test_health_and_readiness_follow_the_source(tmp_path: Path) -> None:
    source = Told(STEADY)
    async with serve(build_app(source), tmp_path / "s", "127.0.0.1", 0) as port:
        assert (await get(port, "/healthz"))[0] == 200
        assert (await get(port, "/readyz"))[0] == 200
        source.well = Pulse(ok=False, detail="no turn for 12 s")
        source.judging = Pulse(ok=False, detail="has not seen dc2 yet")
        code, _kind, text = await get(port, "/healthz")
        assert (code, json.loads(text)) == (503, {"ok": False, "detail": "no turn for 12 s"})
        assert (await get(port, "/readyz"))[0] == 503


async def test_errors_are_sentences(tmp_path: Path) -> None:
    async with serve(build_app(Told(STEADY)), tmp_path / "s", "127.0.0.1", 0) as port:
        code, _kind, text = await get(port, "/api/v2/status")
        assert (code, json.loads(text)["error"]) == (
            404, "there is no /api/v2/status here; see /api/v1/status",
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}/api/v1/status"
        async with aiohttp.ClientSession() as client, client.post(url) as answer:
            assert answer.status == 405
            assert "only reads" in (await answer.json())["error"]


async def test_a_daemon_that_hangs_is_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.web.app.ANSWER_DEADLINE_S", 0.1)
    source = Told(STEADY)
    source.delay_s = 30
    async with serve(build_app(source), tmp_path / "s", "127.0.0.1", 0) as port:
        code, _kind, text = await get(port, "/api/v1/status")
    assert code == 503
    assert "did not answer within" in json.loads(text)["error"]


async def test_the_socket_is_closed_to_others_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "tricast.sock"
    async with serve(build_app(Told(STEADY)), path, None, 0):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert stat.S_ISSOCK(path.stat().st_mode)
        connector = aiohttp.UnixConnector(str(path))
        async with (
            aiohttp.ClientSession(connector=connector) as client,
            client.get("http://local/healthz") as answer,
        ):
            assert answer.status == 200
    assert not os.listdir(tmp_path)


async def test_the_socket_of_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tricast.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    async with serve(build_app(Told(STEADY)), path, None, 0):
        with socket.socket(socket.AF_UNIX) as client:
            assert client.connect_ex(str(path)) == 0


async def test_two_daemons_never_share_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "tricast.sock"
    async with serve(build_app(Told(STEADY)), path, None, 0):
        with pytest.raises(ListenError, match=r"another daemon answers on .*tricast.sock already"):
            async with serve(build_app(Told(STEADY)), path, None, 0):
                pass
        assert path.exists()


async def test_it_says_why_it_cannot_listen(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ListenError, match="is there and is no socket"):
        async with serve(build_app(Told(STEADY)), tmp_path / "file", None, 0):
            pass
    with pytest.raises(ListenError, match=r"cannot make the socket .*/none/s: No such file"):
        async with serve(build_app(Told(STEADY)), tmp_path / "none/s", None, 0):
            pass
    async with serve(build_app(Told(STEADY)), tmp_path / "a", "127.0.0.1", 0) as port:
        with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1 port {port}: Address"):
            async with serve(build_app(Told(STEADY)), tmp_path / "b", "127.0.0.1", port):
                pass
    assert not (tmp_path / "b").exists()


async def test_open_connections_do_not_keep_it_from_ending(tmp_path: Path) -> None:
    async with asyncio.timeout(5):
        async with serve(build_app(Told(STEADY)), tmp_path / "s", "127.0.0.1", 0) as port:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await writer.drain()
        writer.close()


def test_the_published_schema_is_the_one_in_force() -> None:
    assert SCHEMA.read_text() == json_schema(), "run: tricast schema > docs/api/status.v1.json"


def test_a_newer_daemon_is_still_read() -> None:
    text = json.loads(STEADY.model_dump_json())
    text["services"][0]["sites"][0]["weather"] = {"fine": True}
    text["moods"] = []
    assert Status.model_validate(text) == STEADY
