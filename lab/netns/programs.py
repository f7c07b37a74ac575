"""The programs a node may run: how to recognise them, and what shows that they are ready.

A program is recognised by its command line, and only ever inside one node's process namespace, so
it does not matter who started it: the node's supervisor, the host agent, or a person by hand.
"""

import re
from dataclasses import dataclass, field

from lab.netns.error import LabError


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program of the lab."""

    name: str
    pattern: re.Pattern[str]
    port: int | None = None  # TCP, listening when ready
    socket: str = ""  # unix socket, there when ready
    network: bool = False  # part of the network itself, wanted even with `--only network`


def _program(
    name: str, pattern: str, *, port: int | None = None, socket: str = "", network: bool = False
) -> Program:
    return Program(
        name=name, pattern=re.compile(pattern), port=port, socket=socket, network=network
    )


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the programs named in the topology are to run."""

    only: frozenset[str] = field(default_factory=frozenset)  # empty: all
    without: frozenset[str] = field(default_factory=frozenset)

    def of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `names` that are wanted, in their order."""
        return tuple(name for name in names if self._wanted(name))

    def _wanted(self, name: str) -> bool:
        if name in self.without:
            return False
        network = "network" in self.only and program(name).network
        return not self.only or name in self.only or network


PROGRAMS = {
    entry.name: entry
    for entry in (
        _program("zebra", r"^\S*/frr/zebra ", socket="/run/frr/zserv.api", network=True),
        _program("bgpd", r"^\S*/frr/bgpd ", socket="/run/frr/bgpd.vty", network=True),
        _program("etcd", r"^(\S*/)?etcd ", port=2379),
        _program("haproxy", r"^(\S*/)?haproxy ", port=8404),
        _program(
            "exabgp", r"^\S*python\S* .*\bexabgp\S* server ", socket="/run/tricast/speaker.sock"
        ),
        _program("speaker", r"^\S*python\S* .*\bbgp\.speaker\b"),
        _program("controller", r"^\S*python\S* .*\bcontroller\.cli\.main run ", port=7800),
        _program("witness", r"^\S*python\S* .*\bcontroller\.cli\.main witness ", port=7800),
        _program("postgres", r"^postgres: |^\S*/postgres( |$)", port=5432),
        _program("mariadb", r"^(\S*/)?(mariadbd|mysqld)( |$)", port=3306),
        _program("keeper-mariadb", r"^(\S*/)?(mariadbd|mysqld)( |$)", port=3306),
        _program("keeper-postgres", r"^(\S*/)?pg_receivewal "),
        _program("sshd", r"^sshd: |^\S*/sshd ", port=22),
        _program("wallet", r"^\S*python\S* .*\blab\.(peer\.)?wallet .*:8080\b", port=8080),
        _program("lobby", r"^\S*python\S* .*\blab\.wallet .*:8081\b", port=8081),
        # of the stack in lab/peer
        _program("patroni", r"^\S*python\S* \S*/patroni \S*\.yml", port=8008),
        _program("announcer", r"^\S*python\S* .*\bexabgp\S* server "),
    )
}


def program(name: str) -> Program:
    """The program called `name`."""
    if name not in PROGRAMS:
        raise LabError(f"no program {name!r} in the lab; there are: {', '.join(PROGRAMS)}")
    return PROGRAMS[name]
