"""Who may log in to a MariaDB or MySQL server: clients (the gate) and voters.

Accounts are locked and unlocked on this server alone, never through replication. A locked account
keeps its open sessions, so locking ends with cutting them off: never the statement, because a
killed statement that waits for an acknowledgement answers "OK"; and never so that the wait itself
ends, because in MariaDB that answers "OK" to others who commit in the same group. A session whose
commit waits is gone only when the commit is acknowledged, or when the server is closed.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from controller.adapters.mysql_dialect import FORGET_GATED, NOTE_GATED, Dialect
from controller.adapters.mysql_look import (
    Account,
    Look,
    ServerSession,
    look,
    look_at_accounts,
    look_at_sessions,
)
from controller.adapters.mysql_replica import KILL, kill_sessions
from controller.adapters.mysql_report import MysqlSpec, gated
from controller.adapters.mysql_session import Session, quoted
from controller.core.model import SiteName
from controller.ports import Refused

# Most sessions end at once; one whose commit waits stays until the server is closed, and a site
# that takes over meanwhile may share the processors.
_FIRST_POLL_S: Final = 0.003
_LAST_POLL_S: Final = 0.05
_SLOWER: Final = 1.5


class Accounts:
    """The logins of one server."""

    def __init__(self, spec: MysqlSpec, session: Session, dialect: Dialect) -> None:
        self._spec = spec
        self._session = session
        self._dialect = dialect

    async def lock_clients(self, seen: Look | None = None) -> None:
        """No client may log in, and none is logged in; `seen` is a look of a moment ago."""
        seen = seen or await look(self._session, self._dialect)
        open_ones = [account for account in gated(self._spec, seen.accounts) if not account.locked]
        noted = [
            NOTE_GATED.format(user=quoted(account.user), host=quoted(account.host))
            for account in open_ones
        ]
        await self._locally((*noted, *_change(open_ones, "LOCK")))
        cut = self._dialect.kill_client
        sessions = await self._sessions() if open_ones else seen.sessions
        await self._kill_while(sessions, cut, lambda s: not self._spec.is_infrastructure(s.user))

    async def unlock_clients(self) -> None:
        """The clients that were locked by us may log in; those an operator locked may not."""
        rows = await self._session.rows("SELECT user, host FROM tricast.gated")
        noted = {(str(row["user"]), str(row["host"])) for row in rows}
        accounts = gated(self._spec, await look_at_accounts(self._session, self._dialect))
        clients = self._spec.clients
        chosen = [
            account
            for account in accounts
            if (account.user, account.host) in noted
            and account.locked
            and (not clients or account.user in clients)
        ]
        forget = [
            FORGET_GATED.format(user=quoted(account.user), host=quoted(account.host))
            for account in chosen
        ]
        await self._locally((*_change(chosen, "UNLOCK"), *forget))
        if not chosen and all(account.locked for account in accounts):
            names = ", ".join(clients) or "any client"
            raise Refused(f"{self._spec.name} has no account of {names} that it could let in")

    async def admit(self, voters: frozenset[SiteName], seen: Look | None = None) -> None:
        """Exactly the accounts of `voters` are unlocked; connections of the others are gone.
        `seen` is a look of a moment ago.
        """
        seen = seen or await look(self._session, self._dialect)
        others = {s: link for s, link in self._spec.voters.items() if s != self._spec.site}
        wanted = {others[site].user for site in voters if site in others}
        every = {link.user for link in others.values()}
        accounts = [account for account in seen.accounts if account.user in every]
        missing = wanted - {account.user for account in accounts}
        if missing:
            raise Refused(f"{self._spec.name} has no account {', '.join(sorted(missing))}")
        lock = [a for a in accounts if a.user not in wanted and not a.locked]
        unlock = [a for a in accounts if a.user in wanted and a.locked]
        await self._locally((*_change(lock, "LOCK"), *_change(unlock, "UNLOCK")))
        sessions = await self._sessions() if lock else seen.sessions
        await self._kill_while(sessions, KILL, lambda s: s.user in every - wanted)

    async def _sessions(self) -> tuple[ServerSession, ...]:
        return await look_at_sessions(self._session, self._dialect)

    async def _locally(self, statements: Iterable[str]) -> None:
        """The statements are not replicated; a connection that failed half-way is dropped."""
        todo = tuple(statements)
        if not todo:
            return
        try:
            await self._session.run(
                ("SET SESSION sql_log_bin=0", *todo, "SET SESSION sql_log_bin=1")
            )
        except BaseException:
            self._session.drop()
            raise

    async def _kill_while(
        self,
        sessions: Iterable[ServerSession],
        kill: str,
        unwanted: Callable[[ServerSession], bool],
    ) -> None:
        """None is left for which `unwanted` holds; `sessions` were seen after the locking."""
        pause_s = _FIRST_POLL_S
        while victims := [s.id for s in sessions if unwanted(s)]:
            await kill_sessions(self._session, victims, kill)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * _SLOWER, _LAST_POLL_S)
            sessions = await self._sessions()


def _change(accounts: list[Account], verb: str) -> tuple[str, ...]:
    """One statement for all of them, so that none is left behind half-way."""
    if not accounts:
        return ()
    names = ", ".join(f"{quoted(a.user)}@{quoted(a.host)}" for a in accounts)
    return (f"ALTER USER {names} ACCOUNT {verb}",)
