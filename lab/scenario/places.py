"""Where things are in the lab: which node runs what, and how the sites are reached."""

from typing import Final

from lab.rehearsal.eyes import EDGE
from lab.scenario.arguments import RUNS_AT, WITNESS

ADDRESS: Final = {"dc1": "10.1.0.1", "dc2": "10.2.0.1", WITNESS: "10.3.0.1"}
DATABASE_ADDRESS: Final = {"dc1": "10.1.0.20", "dc2": "10.2.0.20"}
DAEMON: Final = {"dc1": "controller", "dc2": "controller", WITNESS: "witness"}
URL: Final = {
    "wallet": "http://198.51.100.10/whoami",
    "lobby": "http://192.0.2.10/whoami",
}
KEEPER: Final = {"ledger": "keeper-postgres", "journal": "keeper-mariadb"}
HEARTBEAT_PORT: Final = 7801

_ON_DATABASE_HOST: Final = {"ledger": "postgres", "journal": "mariadb"}


def program_at(name: str, site: str) -> tuple[str, str]:
    """Node and program, as the lab calls them, of what a scenario calls `name`."""
    if name in _ON_DATABASE_HOST:
        return f"{site}-db", _ON_DATABASE_HOST[name]
    if name in ("app1", "app2"):
        return f"{site}-{name}", "wallet"
    return EDGE[site], {"daemon": "witness"}.get(name, name)


def everywhere(name: str) -> tuple[tuple[str, str], ...]:
    """Every node and program of that name."""
    return tuple(program_at(name, site) for site in RUNS_AT[name])


def keeper(database: str) -> tuple[str, str]:
    """Node and program of a log keeper."""
    return WITNESS, KEEPER[database]
