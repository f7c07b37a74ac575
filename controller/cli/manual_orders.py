"""The manuals of orders that stand until they are ended, and of their ends."""

from collections.abc import Mapping
from typing import Final

from controller.cli.manual_page import ASKING, ENDING, ORDERING, TELLING, USAGE, Manual

SETTING: Final = ORDERING | {USAGE: "wrong option, service, site or weight, or no reason given"}

ORDERS: Final[Mapping[str, Manual]] = {
    "pause": Manual(
        limits="It stops nothing that serves. While it stands nobody takes over, not even from a "
        "dead holder: commits wait. A site that is cut off isolates itself all the same.",
        examples=("tricast pause --service wallet --reason 'disk work in dc1' --for 3600",),
        codes=TELLING,
    ),
    "resume": Manual(
        limits="If the holder is still dead, the other site takes over at once.",
        examples=("tricast resume --service wallet",),
        codes=ENDING,
    ),
    "drain": Manual(
        limits="It stops no database and no host. Nothing goes back by itself: tricast undrain.",
        examples=("tricast drain dc1 --reason 'new kernel'",),
        codes=TELLING,
    ),
    "undrain": Manual(
        limits="It moves no service back: tricast switchover does.",
        examples=("tricast undrain dc1",),
        codes=ENDING,
    ),
    "fence": Manual(
        limits="It takes no routes from the site: tricast drain does. It stops no host. "
        "What could not be closed from outside is named, and is closed by hand; no acknowledged "
        "write is at risk meanwhile. A pause comes first: nobody takes over.",
        examples=(
            "tricast fence dc1 --reason 'flooded: must not come back by itself'",
            "tricast fence dc1 --reason 'its disks lie' --url http://10.2.0.1:7800",
        ),
        codes=TELLING,
    ),
    "unfence": Manual(
        limits="It moves no service back: tricast switchover does. Closed databases are started, "
        "rewound or cloned by that site's own daemon, which has to run.",
        examples=("tricast unfence dc1 --reason 'pumped dry, disks checked'",),
        codes=ENDING,
    ),
    "ack": Manual(
        limits="It moves nothing. A move that an operator asked for needs none.",
        examples=("tricast ack --service wallet --reason 'looked at it: dc1 lost its power'",),
        codes=TELLING,
    ),
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
}
