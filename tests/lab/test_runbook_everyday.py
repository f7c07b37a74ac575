"""Every other line of the runbook that is for `tricast`, typed at a terminal of a healthy lab."""

import re

import pytest

from tests.lab.desk import Desk, everyday
from tests.lab.system import System

pytestmark = [pytest.mark.lab, pytest.mark.runbook, pytest.mark.timeout(900)]

ELSEWHERE = {
    "From your own machine": "tests/lab/test_remote.py has the certificates for it",
    "Two sites are lost": "tests/lab/test_serving_alone.py loses them first",
    "etcd came back with an old record": "scenarios of row 37 restore the store first",
}
# What stands in the page for a name, a number, a folder or a time of the reader's own.
STANDS_FOR = {
    "wallet/7": "wallet/2",
    "/mnt/worm": "/tmp/desk",
    "/srv/www": "/tmp/desk",
    "--hold 300": "--hold 2",
    "--since 2026-11-21T10:00": "--since 2026-01-01T10:00",
}
LIVE = "tricast watch"  # until somebody ends it
# Exit codes other than 0, and why.
CODES = {
    "tricast doctor": {0, 1},  # what it finds of this machine: its clock, its memory
    "tricast plan failover": {0, 3},
    "tricast drill plan": {0, 3},
    "tricast config edit": {0, 64, 78},  # no editor here, or nothing was changed
    "tricast approve": {3, 64},  # nothing waits
    "tricast decline": {3, 64},
    "tricast ack": {0, 3},  # only what moved by itself
    "tricast failover --service wallet --to dc2 --break-glass": {3, 64},  # no policy here
    "tricast audit verify --dir": {0, 1},  # no file of it is closed yet: nothing was archived
    LIVE: {0, 124, 130},
}
# What has to be typed once more.
NAMES = {"tricast voters demote witness": "witness", "tricast reinit dc2": "dc2"}
# Before a line, so that it is not refused for what an earlier one has done.
HOLDER = {
    "tricast plan switchover --service wallet --to dc2": "dc1",
    "tricast plan failover": "dc1",
    "tricast switchover --service wallet --to dc2": "dc1",
    "tricast failover": "dc1",
    "tricast drain dc1": "dc2",
    "tricast fence dc1": "dc2",
    "tricast voters demote": "dc1",
    "tricast drill plan": "dc1",
    "tricast drill run": "dc1",
    "tricast rejoin dc2": "dc1",
    "tricast reinit dc2": "dc1",
}
LINES = [
    (title, line) for title, lines in everyday().items() for line in lines if title not in ELSEWHERE
]


def first(table: dict[str, object], line: str) -> object:
    """What the table has for the longest beginning of `line`; None for nothing."""
    found = [beginning for beginning in table if line.startswith(beginning)]
    return table[max(found, key=len)] if found else None


def test_what_is_played_elsewhere_stands_on_the_page() -> None:
    assert set(ELSEWHERE) <= set(everyday())


async def test_every_other_line_of_the_page_can_be_typed(system: System) -> None:
    await system.forget_flaps()  # the situations may have been played before
    desk = Desk(system, [])
    wrong = []
    for title, line in LINES:
        holder = first(dict(HOLDER), line)
        if holder is not None:
            await to(system, str(holder))
        words = line
        for said, meant in STANDS_FOR.items():
            words = words.replace(said, meant)
        if line.startswith(LIVE):
            words = f"timeout -s INT 4 {words}"
        at = "dc2" if "--to dc2" in line and "failover" in line else "dc1"
        answer = first(dict(NAMES), line) or "y"
        done = await desk.enter(
            f"export EDITOR=true; {words}", at=at, answer=str(answer), patience_s=120
        )
        allowed = first(dict(CODES), line) or {0}
        if done.code not in allowed:  # type: ignore[operator]
            wrong.append(f"{title}: {words}: exit code {done.code}\n{done.stdout[-600:]}")
        if " --at " in line:  # it would stand until three in the morning
            asked = re.search(r"request (\d+)", done.stdout)
            assert asked is not None, done.stdout
            no = f"tricast decline {asked[1]} --service wallet --reason 'only tried'"
            assert (await desk.enter(no, at="dc1")).code == 0
    assert not wrong, "\n".join(wrong)


async def to(system: System, holder: str) -> None:
    """`holder` has the service, and everything is well."""
    held, _ = await system.settled()
    if held != holder:
        moving = f"tricast switchover --service wallet --to {holder} --yes"
        done = await Desk(system, []).enter(moving, at=held)
        assert done.code == 0, done.stdout
        await system.settled()
