"""Persons, groups and policies for desks in memory."""

from pathlib import Path

from controller.config import PolicyConf, Verb
from controller.core.view import View
from controller.daemon.policy import Group, Policies
from controller.web.source import Asker
from tests.contract.fakes.memory_store import MemoryCluster
from tests.core.turned import serving
from tests.core.views import WALLET
from tests.web.office import Office

ADA, BOB, CAROL = Asker(name="ada"), Asker(name="bob"), Asker(name="carol")
DAVE = Asker(name="dave", gids=frozenset({4242}))

GROUPS = {
    "dba": Group(members=("bob", "carol", "%dba"), gids=frozenset({4242})),
    "oncall": Group(members=("ada", "bob")),
    "lead": Group(members=("ada",)),
}
ONE_DBA = PolicyConf(
    approvals=1,
    groups=("dba",),
    proposers=("oncall",),
    break_glass=True,
    break_glass_groups=("lead",),
)


def policies(**verbs: PolicyConf) -> Policies:
    """Each verb's policy for every service; `force_single` for force-single."""
    everywhere = {Verb(name.replace("_", "-")): conf for name, conf in verbs.items()}
    return Policies(groups=GROUPS, everywhere=everywhere)


def office(
    tmp_path: Path,
    view: View | None = None,
    cluster: MemoryCluster | None = None,
    **verbs: PolicyConf,
) -> Office:
    """A daemon of dc2, which holds the wallet unless the view is another."""
    return Office(view or serving(), tmp_path, policies=policies(**verbs), cluster=cluster)


def state_of(there: Office) -> tuple[str, str]:
    """Of the newest request: its state and why."""
    seen = there.records.requests.newest(WALLET)
    assert seen is not None
    return seen.request.state.value, seen.request.state_why
