"""What a scenario does to the lab: one function for each act of the vocabulary."""

import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from lab.netns.error import LabError
from lab.netns.inside import Finished, Running
from lab.netns.lab import Lab
from lab.netns.topology import Direction, Scope
from lab.rehearsal.eyes import EDGE
from lab.scenario.arguments import DATA_SITES, WITNESS
from lab.scenario.audits import Audits
from lab.scenario.matching import Phrase
from lab.scenario.places import (
    ADDRESS,
    DAEMON,
    DATABASE_ADDRESS,
    HEARTBEAT_PORT,
    everywhere,
    keeper,
    program_at,
)
from lab.scenario.play import NotDone, StageError
from lab.scenario.providers import Providers
from lab.scenario.settings import PAYMENTS_DOWN, Settings

PREFIX: Final = "/tricast/"
PYTHON: Final = "/opt/tricast/.venv/bin/python"
AGREED: Final = (0, 4)  # done or under way; waits for an approval
STEERED: Final = ("postgres", "mariadb", "keeper-mariadb")  # started by their own agent
WILLING_WITHIN_S: Final = 40.0  # who was heard a moment ago is not given up at once
SAID: Final = 600  # of an answer, from its end


class Refused(LabError):
    """No site agrees to what an operator types."""


@dataclass(slots=True)
class Hands:
    """Breaks and mends one lab; knows what it has done, so that all of it can be undone."""

    lab: Lab
    wait: Callable[[float], Awaitable[None]]
    tables: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)
    off: set[str] = field(default_factory=set)
    by_hand: list[Running] = field(default_factory=list)
    snapshot: dict[str, str] = field(default_factory=dict)
    standing: dict[str, tuple[str, ...]] = field(default_factory=dict)  # order -> what ends it
    refusal: str = ""  # of the last thing asked, when it became no request at all
    newest: dict[str, str] = field(default_factory=dict)  # before the snapshot was restored
    settings: Settings = field(init=False)
    providers: Providers = field(init=False)
    audits: Audits = field(init=False)
    objection: str = ""  # to the last verdict, withdrawal, fence or repair

    def __post_init__(self) -> None:
        self.settings = Settings(self.lab)
        self.providers = Providers(self.lab)
        self.audits = Audits(self.lab)

    async def mend(self) -> None:
        """Nothing is cut, frozen, switched off or paused any more."""
        for site in sorted(self.off):
            await self.lab.power_on(site)
        self.off.clear()
        for daemon in self.by_hand:
            daemon.signal(signal.SIGKILL)
            await daemon.finish(10)
        self.by_hand.clear()
        await self.lab.heal()
        for name in list(self.tables):
            await self.drop_table(name)
        for node in self.lab.topology.nodes:
            self.lab.thaw(node)
        record = self.lab.registry.read()
        if record is None:
            raise LabError(f"lab {self.lab.name} is not up")
        for node, programs in record.programs.items():
            for name in programs:
                switch = self.lab.path(node, f"/run/lab/{name}.off")
                if switch.exists() and name not in STEERED:
                    await self.lab.start(node, name)
        for site in DATA_SITES:
            self.set_payments(site, up=True)
        await self.providers.restore()
        await self.settings.restore()
        await self.audits.restore()
        for order in list(self.standing):
            await willing(partial(self.end_order, order))

    async def end_order(self, order: str) -> None:
        """It does not stand any more."""
        if order not in self.standing:
            raise NotDone(f"{order} does not stand: it was refused, or has been ended")
        await self.tricast(*self.standing[order])
        del self.standing[order]

    async def allow_moves(self) -> None:
        """The flap window of every service is over."""
        await self.etcdctl("del", "--prefix", f"{PREFIX}recent/")

    def set_payments(self, site: str, *, up: bool) -> None:
        """Whether the payment provider answers, as seen from the site."""
        down = self.lab.path(EDGE[site], PAYMENTS_DOWN)
        if up:
            down.unlink(missing_ok=True)
        else:
            down.touch()

    async def etcdctl(self, *words: str, stdin: str = "") -> str:
        """The store's answer."""
        done = await self.lab.run(
            WITNESS, ["env", "ETCDCTL_API=3", "etcdctl", *words], stdin=stdin, check=False
        )
        if done.code:
            raise LabError(f"etcdctl {words[0]}: {done.stderr.strip()[-200:]}")
        return done.stdout

    async def tricast(self, *words: str, at: str = "", by: str = "root") -> Finished:
        """What an operator types, at `at` or at the first data site that agrees."""
        command = ["env", "PYTHONPATH=/opt/tricast", PYTHON, "-m", "controller.cli.main"]
        if by != "root":
            command = [*_as_operator(by), *command]
        said: list[str] = []
        for site in (at,) if at else DATA_SITES:
            try:
                done = await self.lab.run(EDGE[site], [*command, *words], check=False)
            except LabError as error:  # the node is off
                said.append(f"{site}: {error}")
                continue
            if done.code in AGREED:
                return done
            said.append(f"{site}: {(done.stderr or done.stdout).strip()[-SAID:]}")
        raise Refused(f"tricast {' '.join(words)}: {'; '.join(said)}")

    async def add_table(self, name: str, node: str, chains: str, sites: frozenset[str]) -> None:
        """The packet filter of the node has these chains, under a name of their own."""
        await self.lab.run(node, ["nft", "-f", "-"], stdin=f"table ip {name} {{\n{chains}\n}}\n")
        self.tables[name] = (node, sites)

    async def drop_table(self, name: str) -> None:
        """The chains of that name are gone."""
        node, _ = self.tables.pop(name)
        await self.lab.run(node, ["nft", f"add table ip {name}; delete table ip {name}"])


async def willing(ask: Callable[[], Awaitable[object]]) -> None:
    """It is asked again until it is not refused any more."""
    until = time.monotonic() + WILLING_WITHIN_S
    while True:
        try:
            await ask()
        except LabError:
            if time.monotonic() > until:
                raise
        else:
            return


def _as_operator(account: str) -> list[str]:
    """Another account, which may use the daemon's socket as the operators' group may."""
    may = "+dac_override"
    return ["setpriv", f"--reuid={account}", "--clear-groups", "--inh-caps", may,
            "--ambient-caps", may]  # fmt: skip


# --- links ---------------------------------------------------------------------------------------


async def _cut(hands: Hands, phrase: Phrase) -> None:
    await hands.lab.cut(phrase.text("SITE"))


async def _cut_wan(hands: Hands, phrase: Phrase) -> None:
    await hands.lab.cut(phrase.text("SITE"), Scope.WAN)


async def _cut_internet(hands: Hands, phrase: Phrase) -> None:
    await hands.lab.cut(phrase.text("SITE"), Scope.INTERNET)


async def _part(hands: Hands, phrase: Phrase) -> None:
    await hands.lab.part(phrase.text("SITE"), phrase.text("OTHER"))


async def _cut_in(hands: Hands, phrase: Phrase) -> None:
    await hands.lab.cut(phrase.text("SITE"), Scope.ALL, Direction.INBOUND)


async def _cut_out(hands: Hands, phrase: Phrase) -> None:
    await hands.lab.cut(phrase.text("SITE"), Scope.ALL, Direction.OUTBOUND)


async def _drop_log(hands: Hands, phrase: Phrase) -> None:
    source, target = phrase.text("DC"), phrase.text("SITE")
    hook = "input" if target == WITNESS else "forward"
    chain = (
        f"chain scenario {{ type filter hook {hook} priority -10;\n"
        f"ip saddr {DATABASE_ADDRESS[source]} tcp sport {{ 5432, 3306 }} drop\n}}"
    )
    name = f"scenario_log_{source}_{target}"
    await hands.add_table(name, EDGE[target], chain, frozenset({source, target}))


async def _drop_control(hands: Hands, phrase: Phrase) -> None:
    pair = (phrase.text("SITE"), phrase.text("OTHER"))
    for here, there in (pair, pair[::-1]):
        chain = (
            "chain scenario { type filter hook input priority -10;\n"
            f"ip saddr {ADDRESS[there]} udp dport {HEARTBEAT_PORT} drop\n}}"
        )
        name = f"scenario_control_{here}_{there}"
        await hands.add_table(name, EDGE[here], chain, frozenset(pair))


async def _lose(hands: Hands, phrase: Phrase) -> None:
    pair = (phrase.text("SITE"), phrase.text("OTHER"))
    for here, there in (pair, pair[::-1]):
        networks = ", ".join(hands.lab.topology.private_networks(there))
        chain = (
            "chain scenario { type filter hook prerouting priority -300;\n"
            f"ip saddr {{ {networks} }}"
            f" numgen random mod 100 < {phrase.number('PERCENT'):.0f} drop\n}}"
        )
        name = f"scenario_lossy_{here}_{there}"
        await hands.add_table(name, EDGE[here], chain, frozenset(pair))


async def _flap(hands: Hands, phrase: Phrase) -> None:
    site, every_s = phrase.text("SITE"), phrase.number("DURATION")
    for _ in range(int(phrase.number("COUNT"))):
        await hands.lab.cut(site, Scope.WAN)
        await hands.wait(every_s)
        await hands.lab.heal(site, Scope.WAN)
        await hands.wait(every_s)


async def _heal(hands: Hands, phrase: Phrase) -> None:
    site = phrase.text("SITE")
    await hands.lab.heal(site)
    for name in [name for name, (_, sites) in hands.tables.items() if site in sites]:
        await hands.drop_table(name)


async def _heal_all(hands: Hands, _: Phrase) -> None:
    await hands.lab.heal()
    for name in list(hands.tables):
        await hands.drop_table(name)


# --- processes -----------------------------------------------------------------------------------


def _one(phrase: Phrase) -> tuple[tuple[str, str], ...]:
    return (program_at(str(_name(phrase)), phrase.text("SITE")),)


def _all(phrase: Phrase) -> tuple[tuple[str, str], ...]:
    return everywhere(_name(phrase))


def _keeper(phrase: Phrase) -> tuple[tuple[str, str], ...]:
    return (keeper(phrase.text("DATABASE")),)


def _name(phrase: Phrase) -> str:
    return str(phrase.arguments.get("PROGRAM") or phrase.arguments["UNIT"])


Where = Callable[[Phrase], tuple[tuple[str, str], ...]]
Act = Callable[[Hands, Phrase], Awaitable[None]]


def _killing(where: Where, *, stay_down: bool = False) -> Act:
    async def act(hands: Hands, phrase: Phrase) -> None:
        for node, name in where(phrase):
            if not hands.lab.kill(node, name, stay_down=stay_down):
                raise NotDone(f"{name} on {node} does not run: there is nothing to kill")

    return act


def _starting(where: Where) -> Act:
    async def act(hands: Hands, phrase: Phrase) -> None:
        for node, name in where(phrase):
            await hands.lab.start(node, name)

    return act


def _freezing(where: Where) -> Act:
    async def act(hands: Hands, phrase: Phrase) -> None:
        for node, name in where(phrase):
            if not hands.lab.freeze(node, [name]):
                raise NotDone(f"{name} on {node} does not run: there is nothing to freeze")

    return act


def _thawing(where: Where) -> Act:
    async def act(hands: Hands, phrase: Phrase) -> None:
        for node, name in where(phrase):
            hands.lab.thaw(node, [name])

    return act


async def _freeze_site(hands: Hands, phrase: Phrase) -> None:
    hands.lab.freeze(phrase.text("SITE"))


async def _thaw_site(hands: Hands, phrase: Phrase) -> None:
    hands.lab.thaw(phrase.text("SITE"))


async def _power_off(hands: Hands, phrase: Phrase) -> None:
    hands.off.add(phrase.text("SITE"))
    await hands.lab.power_off(phrase.text("SITE"))


async def _power_on(hands: Hands, phrase: Phrase) -> None:
    await hands.lab.power_on(phrase.text("SITE"))
    hands.off.discard(phrase.text("SITE"))


async def _crash_after(hands: Hands, phrase: Phrase) -> None:
    site = phrase.text("DC")
    hands.lab.kill(EDGE[site], DAEMON[site], stay_down=True)
    program = f"/opt/tricast/lab/containerlab/programs/{DAEMON[site]}"
    shell = ["sh", "-c", f'exec "$0" >>/var/log/tricast/{DAEMON[site]}.log 2>&1', program]
    aid = f"TRICAST_CRASH_AFTER=wallet:{phrase.text('STEP')}"
    hands.by_hand.append(await hands.lab.start_process(EDGE[site], ["env", aid, *shell]))


def _payments(sites: Callable[[Phrase], tuple[str, ...]], *, up: bool) -> Act:
    async def act(hands: Hands, phrase: Phrase) -> None:
        for site in sites(phrase):
            hands.set_payments(site, up=up)

    return act


def _here(phrase: Phrase) -> tuple[str, ...]:
    return (phrase.text("DC"),)


def _anywhere(_: Phrase) -> tuple[str, ...]:
    return DATA_SITES


async def _second(hands: Hands, phrase: Phrase) -> None:
    site = phrase.text("DC")
    program = f"/opt/tricast/lab/containerlab/programs/{DAEMON[site]}"
    done = await hands.lab.run(EDGE[site], [program], check=False, deadline_s=20)
    said = (done.stdout + done.stderr).strip()
    if done.code == 0 or not re.search(r"\b\d+\b", said):
        raise StageError(f"the second controller ended with {done.code} and said {said[-200:]!r}")


LINKS_AND_PROCESSES: Final[Mapping[str, Act]] = {
    "cut": _cut,
    "cut_wan": _cut_wan,
    "cut_internet": _cut_internet,
    "part": _part,
    "cut_in": _cut_in,
    "cut_out": _cut_out,
    "drop_log": _drop_log,
    "drop_control": _drop_control,
    "lose": _lose,
    "flap": _flap,
    "heal": _heal,
    "heal_all": _heal_all,
    "kill": _killing(_one),
    "kill_all": _killing(_all),
    "stop": _killing(_one, stay_down=True),
    "stop_all": _killing(_all, stay_down=True),
    "start": _starting(_one),
    "start_all": _starting(_all),
    "freeze": _freezing(_one),
    "thaw": _thawing(_one),
    "freeze_site": _freeze_site,
    "thaw_site": _thaw_site,
    "kill_keeper": _killing(_keeper),
    "freeze_keeper": _freezing(_keeper),
    "thaw_keeper": _thawing(_keeper),
    "power_off": _power_off,
    "power_on": _power_on,
    "crash_after": _crash_after,
    "second": _second,
    "sicken": _payments(_here, up=False),
    "cure": _payments(_here, up=True),
    "sicken_all": _payments(_anywhere, up=False),
    "cure_all": _payments(_anywhere, up=True),
}
