"""Whoever cuts sessions off asks for those that will not go ever more seldom."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.adapters import mysql_accounts
from controller.adapters.mysql_accounts import Accounts
from controller.adapters.mysql_look import Account, ServerSession
from controller.core.model import SiteName

WITHIN_S = 0.4
STUCK = ServerSession(
    id=7, user="voter_dc2", host="", state="", info="", dumping=True, receiver=False
)


class Server:
    """One session of a locked voter, which ends when it has been looked for `lasts` times."""

    def __init__(self, lasts: float) -> None:
        self.lasts = lasts
        self.looks = 0
        self.cut: list[int] = []

    async def sessions(self, *_: object) -> tuple[ServerSession, ...]:
        self.looks += 1
        return (STUCK,) if self.looks <= self.lasts else ()

    async def kill(self, _: object, numbers: Iterable[int], __: str) -> None:
        self.cut += numbers

    async def run(self, _: object) -> None:
        """Statements change nothing here."""


def admitting(server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Nobody is let in, so the voter's session is cut."""
    monkeypatch.setattr(mysql_accounts, "look_at_sessions", server.sessions)
    monkeypatch.setattr(mysql_accounts, "kill_sessions", server.kill)
    other = SimpleNamespace(user=STUCK.user)
    spec = SimpleNamespace(site=SiteName("dc1"), voters={SiteName("dc2"): other})
    accounts = Accounts(cast("Any", spec), cast("Any", server), cast("Any", None))
    unlocked = Account(user=STUCK.user, host="%", locked=False)
    seen = SimpleNamespace(accounts=(unlocked,), sessions=(STUCK,))
    return accounts.admit(frozenset(), cast("Any", seen))


async def test_a_session_that_will_not_go_is_asked_for_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(lasts=float("inf"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(WITHIN_S):
            await admitting(server, monkeypatch)
    assert 2 <= server.looks <= 20, f"a look every 3 ms would be {WITHIN_S / 0.003:.0f}"


async def test_it_is_waited_for_until_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(lasts=3)
    async with asyncio.timeout(5):
        await admitting(server, monkeypatch)
    assert (server.looks, server.cut) == (4, [STUCK.id] * 3)
