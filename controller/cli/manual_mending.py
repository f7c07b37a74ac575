"""The manual of the verbs that prefer a site, or mend its copies."""

from collections.abc import Mapping
from typing import Final

from controller.cli.manual_page import ASKING, DONE, FAILED, ORDERING, TELLING, USAGE, Manual

SETTING: Final = ORDERING | {USAGE: "wrong option, service, site or weight, or no reason given"}

MENDING: Final[Mapping[str, Manual]] = {
    "weights show": Manual(
        limits="It changes nothing. Who would go first is judged from what the sites have said a "
        "moment ago; a drained site is no candidate.",
        examples=("tricast weights show", "tricast weights show --service wallet --json"),
        codes=ASKING,
    ),
    "weights set": Manual(
        limits="It moves nothing, now or later: it orders the sites that could take over. With two "
        "data sites there is one candidate at a time, so it matters from the third on. Sites that "
        "are not named stay as they are. It stands through restarts until it is set again or "
        "cleared; a daemon that starts without etcd has the configuration until etcd answers.",
        examples=(
            "tricast weights set --service wallet dc1=200 dc2=50 --reason 'dc2 has old disks'",
            "tricast weights set --service wallet dc3=0 --reason 'last of all' --yes",
        ),
        codes=SETTING,
    ),
    "weights clear": Manual(
        limits="It moves nothing. Every weight of the service that was set is given back at once.",
        examples=("tricast weights clear --service wallet --reason 'new disks in dc2'",),
        codes=SETTING,
    ),
    "rejoin": Manual(
        limits="It asks for nothing that the site would not do by itself: what fails again is "
        "told, and tried again later. A log keeper of a witness site mends itself. For a copy "
        "that is corrupt: tricast reinit.",
        examples=(
            "tricast rejoin dc2 --service wallet",
            "tricast rejoin dc2 --service wallet --database ledger --timeout 600",
        ),
        codes=TELLING
        | {DONE: "every database that was meant votes", FAILED: "tried, and it does not vote: why"},
    ),
    "reinit": Manual(
        limits="Never at the holder, not without a primary that serves, and not where the other "
        "voters could not acknowledge without this copy; while it copies, the loss of one more of "
        "them lets commits wait. One set of the old data (MariaDB, MySQL: of their logs) is kept "
        "aside. tricast decline gives it up; a copy that has begun goes on.",
        examples=(
            "tricast reinit dc2 --service wallet --database ledger --reason 'bad sectors'",
            "tricast reinit dc2 --database ledger --reason 'torn page' --yes --no-wait",
        ),
        codes=TELLING
        | {DONE: "it is a new copy, and votes", FAILED: "tried, and it does not vote: why"},
    ),
}
