"""Daemons of the lab that run with a changed configuration file, and get the true one back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from lab.netns.lab import Lab
from lab.rehearsal.eyes import EDGE
from lab.scenario.matching import Phrase
from lab.scenario.places import DAEMON

TRUE: Final = "/etc/tricast/tricast.yml"
CHANGED: Final = "/etc/tricast/scenario.yml"
MARK: Final = "# changed for a scenario\n"
PAYMENTS_DOWN: Final = "/run/lab/payments.down"
Change = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Settings:
    """What was changed at which site; a later change is added to the earlier ones."""

    lab: Lab
    changes: dict[str, list[Change]] = field(default_factory=dict)

    async def change(self, change: Change, sites: Iterable[str]) -> None:
        """The daemons of these sites have been restarted with the change."""
        for site in sites:
            earlier = self.changes.get(site, [])
            await self.restore(site)
            self.changes[site] = [*earlier, change]
            await self._run_with(site, self.changes[site])

    async def restore(self, *sites: str) -> None:
        """These, or all, run with the file that everybody has."""
        for site in sites or tuple(self.changes):
            changes = self.changes.pop(site, ())
            if changes and await self._is_changed(site):
                await self.lab.run(EDGE[site], ["umount", TRUE])
                await self._restart(site, changes)

    async def _is_changed(self, site: str) -> bool:
        """A site that was without power has the true file again by itself."""
        return (await self.lab.run(EDGE[site], ["cat", TRUE])).stdout.startswith(MARK)

    async def _run_with(self, site: str, changes: Sequence[Change]) -> None:
        node = EDGE[site]
        whole: dict[str, Any] = yaml.safe_load((await self.lab.run(node, ["cat", TRUE])).stdout)
        for change in changes:
            change(whole)
        self.lab.path(node, CHANGED).write_text(MARK + yaml.safe_dump(whole), encoding="utf-8")
        await self.lab.run(node, ["mount", "--bind", CHANGED, TRUE])
        await self._restart(site, changes)

    async def _restart(self, site: str, changes: Iterable[Change]) -> None:
        programs = [DAEMON[site], *(["exabgp"] if SPOKEN & set(changes) else [])]
        for program in programs:
            self.lab.kill(EDGE[site], program)
            await self.lab.start(EDGE[site], program)


def needs_approval(move: str) -> Change:
    """Another operator has to agree to such moves."""

    def change(whole: dict[str, Any]) -> None:
        whole.setdefault("requests", {}).setdefault("approvals", {})[move] = 1

    return change


def depends_on_payments(scope: str) -> Change:
    """Every service's health chain has a link that fails while a file of the node says so."""
    link: Mapping[str, object] = {
        "name": "payments",
        "kind": "exec",
        "scope": scope,
        "target": "payments",
        "argv": ["/usr/bin/test", "!", "-e", PAYMENTS_DOWN],
        "interval_s": 0.3,
        "timeout_s": 0.3,
    }

    def change(whole: dict[str, Any]) -> None:
        for service in whole["services"]:
            service.setdefault("probes", []).append(dict(link))

    return change


def leased_wallet(whole: dict[str, Any]) -> None:
    """The wallet rests on a lease, says this file alone."""
    for service in whole["services"]:
        if service["name"] == "wallet":
            service["durability"] = "lease"


def more_specifics(whole: dict[str, Any]) -> None:
    """Halves go with `override`; the lab's providers take them (nodes/isp1/frr.conf)."""
    rules = {"when": "override", "max_length_ipv4": 25, "max_length_ipv6": 49, "take_back_s": 10}
    whole.setdefault("bgp", {})["more_specifics"] = rules


# The speaker reads its part of the file when ExaBGP starts it.
SPOKEN: Final[frozenset[Change]] = frozenset({more_specifics})

GIVEN: Final[Mapping[str, Callable[[Phrase], Change]]] = {
    "four_eyes": lambda phrase: needs_approval(phrase.text("MOVE")),
    "payments": lambda _: depends_on_payments("site"),
    "shared_payments": lambda _: depends_on_payments("shared"),
    "more_specifics": lambda _: more_specifics,
}
