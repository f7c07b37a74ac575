"""Promises only rise, are on disk before they count, and are never guessed at."""

import json
from pathlib import Path

import pytest

from controller.core.model import Epoch, ServiceName
from controller.runtime.promises import PromiseLost, Promises

WALLET, LOBBY = ServiceName("wallet"), ServiceName("lobby")


async def test_a_promise_survives_a_restart(tmp_path: Path) -> None:
    await Promises(tmp_path).raise_to(WALLET, Epoch(7))
    again = Promises(tmp_path)
    assert again.of(WALLET) == 7
    assert again.of(LOBBY) == 0


async def test_a_promise_never_falls(tmp_path: Path) -> None:
    promises = Promises(tmp_path)
    await promises.raise_to(WALLET, Epoch(7))
    await promises.raise_to(WALLET, Epoch(3))
    assert promises.of(WALLET) == 7
    assert json.loads((tmp_path / "promises.json").read_text()) == {"wallet": 7}


async def test_what_could_not_be_written_is_not_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promises = Promises(tmp_path)
    await promises.raise_to(WALLET, Epoch(2))

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        await promises.raise_to(WALLET, Epoch(3))
    assert promises.of(WALLET) == 2
    assert Promises(tmp_path).of(WALLET) == 2


def test_a_damaged_file_stops_the_daemon_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "promises.json").write_text('{"wallet": ')
    with pytest.raises(PromiseLost, match="highest epoch"):
        Promises(tmp_path)
