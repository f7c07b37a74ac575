"""The manuals of the verbs about who votes."""

from collections.abc import Mapping
from typing import Final

from controller.cli.manual_page import ASKING, DONE, FAILED, TELLING, Manual

PROMOTING: Final = TELLING | {
    DONE: "every database there votes",
    FAILED: "tried, and it does not vote: why",
}

VOTERS: Final[Mapping[str, Manual]] = {
    "voters list": Manual(
        limits="It changes nothing. What counts now is what the answering site sees: ask the "
        "holder's daemon for what the primary itself sees. A witness does not know it.",
        examples=("tricast voters list", "tricast voters list --service wallet --json"),
        codes=ASKING,
    ),
    "voters demote": Manual(
        limits="Never the holder, not without a primary that serves, and not where the others "
        "could not acknowledge without it. It stops nothing there, and edits no server's own "
        "file: a commit needs as many copies as before, from fewer sites. It stands through role "
        "changes until the site is promoted, or holds the service. tricast decline gives it up "
        "until it is done.",
        examples=(
            "tricast voters demote witness --service wallet --reason 'new disk for the keeper'",
            "tricast voters demote dc2 --service wallet --reason 'left alone until Friday' --yes",
        ),
        codes=TELLING | {DONE: "it only learns", FAILED: "tried, and given up: why"},
    ),
    "voters promote": Manual(
        limits="It makes no copy and mends none: one that does not come back is mended with "
        "tricast rejoin or reinit. From the start a takeover asks for this site too, so it is "
        "refused for one that is not heard.",
        examples=("tricast voters promote witness --service wallet",),
        codes=PROMOTING,
    ),
    "voters add": Manual(
        limits="It edits no configuration and no server. It is refused for a site that votes "
        "already, as one that is new in the configuration does.",
        examples=("tricast voters add witness --service wallet --reason 'the new keeper'",),
        codes=PROMOTING,
    ),
}
