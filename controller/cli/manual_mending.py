"""The manuals of the verbs that mend a site's copies."""

from collections.abc import Mapping
from typing import Final

from controller.cli.manual_page import DONE, FAILED, TELLING, Manual

MENDING: Final[Mapping[str, Manual]] = {
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
