"""A fence at the desk: who may be fenced, what is refused, how it ends, and how it is told."""

from dataclasses import replace
from pathlib import Path

import pytest

from controller.config import PolicyConf
from controller.core.model import Closing, Report, SiteName
from controller.core.requests import State, in_force
from controller.core.view import View
from controller.core.wire import encode_report, report_key
from controller.daemon.fences import fence_views
from controller.web.fence_schema import FenceView
from controller.web.schema import Ask, Verdict
from tests.core.turned import other, report, serving
from tests.core.views import DC1, DC2, GONE, WITNESS, report_of_dc1
from tests.web.eyes import ADA, BOB, ONE_DBA, office
from tests.web.office import Office
from tests.web.test_policies import EVE, refused

FENCE = Ask(kind="fence", target="dc1", reason="flooded")
UNFENCE = Verdict(kind="fence", target="dc1", reason="dry again")


async def test_a_fence_and_its_end(tmp_path: Path) -> None:
    there = Office(serving(), tmp_path)
    await refused(there.desk.decline(UNFENCE, ADA), 409, "^dc1 is not fenced$")
    told = await there.desk.ask(FENCE, ADA)
    assert (told.kind, told.target, told.service, told.state) == ("fence", "dc1", "", "open")
    assert in_force(there.records.requests.fences()[DC1])
    assert there.records.requests.drains() == {}
    await refused(there.desk.ask(FENCE, BOB), 409, "dc1 is fenced already: fence of dc1 asked by")
    ended = await there.desk.decline(UNFENCE, BOB)
    assert (ended.state, ended.state_why) == ("withdrawn", "dry again")
    assert not in_force(there.records.requests.fences()[DC1])
    await refused(there.desk.decline(UNFENCE, BOB), 409, "^dc1 is not fenced$")
    assert (await there.desk.ask(FENCE, ADA)).number == 2


REFUSED = [
    ({"target": "moon"}, 400, "'moon' is no data site; there are dc1, dc2"),
    ({"target": "witness"}, 400, "witness is a witness: it holds no service.*stop tricast-witness"),
    ({"reason": "  "}, 400, "a fence needs a --reason"),
]


@pytest.mark.parametrize(("changes", "status", "why"), REFUSED)
async def test_bad_input_is_named(
    tmp_path: Path, changes: dict[str, object], status: int, why: str
) -> None:
    there = Office(serving(), tmp_path)
    await refused(there.desk.ask(FENCE.model_copy(update=changes), ADA), status, why)
    assert there.records.requests.fences() == {}


ALONE = [
    (
        other(serving(), DC1, seen=GONE),
        "dc2",
        "dc2 is not fenced: wallet: no other data site could serve: dc1: not heard.*then fence "
        "again; there is no --force",
    ),
    (
        other(report(serving(), DC1, eligible=True), WITNESS, seen=GONE),
        "dc1",
        "without dc1 no majority of voters is left; missing: witness",
    ),
]


@pytest.mark.parametrize(("view", "target", "why"), ALONE)
async def test_where_nobody_else_could_serve_it_is_refused(
    tmp_path: Path, view: View, target: str, why: str
) -> None:
    there = Office(view, tmp_path)
    await refused(there.desk.ask(FENCE.model_copy(update={"target": target}), ADA), 409, why)
    assert there.records.requests.fences() == {}


async def test_orders_of_one_site_are_numbered_together(tmp_path: Path) -> None:
    there = office(tmp_path, fence=PolicyConf(approvals=1))
    drain = await there.desk.ask(Ask(kind="drain", target="dc1", reason="kernel"), ADA)
    fence = await there.desk.ask(FENCE, ADA)
    assert (drain.number, fence.number) == (1, 2)
    assert [seen.request.number for seen in there.records.requests.orders()] == [1, 2]
    assert (await there.desk.approve(Verdict(number=2, target="dc1"), BOB)).kind == "fence"
    assert in_force(there.records.requests.fences()[DC1])
    await refused(
        there.desk.decline(Verdict(number=3, target="dc1"), ADA), 409, "no request 3; the newest is"
    )
    await there.desk.decline(Verdict(number=1, target="dc1"), ADA)
    assert there.records.requests.drains()[DC1].request.state is State.WITHDRAWN
    assert in_force(there.records.requests.fences()[DC1])
    told = await there.desk.decline(Verdict(target="dc1"), ADA)
    assert (told.kind, told.state) == ("fence", "withdrawn")
    await refused(
        there.desk.decline(Verdict(target="dc1"), ADA), 409, "dc1 is not drained or fenced"
    )


async def test_both_verbs_have_policies(tmp_path: Path) -> None:
    there = office(tmp_path, fence=ONE_DBA, unfence=ONE_DBA)
    await refused(there.desk.ask(FENCE, EVE), 403, "eve may not ask for a fence of a site")
    await there.desk.ask(FENCE, ADA)
    assert not in_force(there.records.requests.fences()[DC1])
    await there.desk.approve(Verdict(number=1, target="dc1"), BOB)
    assert in_force(there.records.requests.fences()[DC1])
    wish = await there.desk.decline(UNFENCE, ADA)
    assert (wish.kind, wish.state, wish.approvals_needed) == ("unfence", "open", 1)
    assert in_force(there.records.requests.fences()[DC1])
    done = await there.desk.approve(Verdict(number=1, target="dc1"), BOB)
    assert (done.kind, done.state, done.state_why) == ("unfence", "done", "the fence is over")
    assert not in_force(there.records.requests.fences()[DC1])


# --- how it is told ------------------------------------------------------------------------------


async def told_by(
    there: Office,
    site: SiteName,
    *fenced: SiteName,
    closing: Closing | None,
    databases: bool = True,
) -> None:
    """The newest report of `site`."""
    said = replace(report_of_dc1(), fenced=fenced, closings=() if closing is None else (closing,))
    said = replace(said, databases=said.databases if databases else ())
    found = Report(site=site, boot="b", version="1", at="now", services=(said,))
    await there.store.put(f"/t/{report_key(site)}", encode_report(found), 1.0)
    assert await there.records.refresh()


async def test_what_has_no_database_is_not_told_to_be_closed(tmp_path: Path) -> None:
    there = Office(serving(), tmp_path)
    told = await there.desk.ask(FENCE, ADA)
    done = Closing(site=DC1, order=told.number)
    await told_by(there, DC2, DC1, closing=done, databases=False)
    assert fence_views(there.records)[0].closings == ()
    await told_by(there, DC2, DC1, closing=done)
    assert [c.by for c in fence_views(there.records)[0].closings] == ["dc2"]


async def test_it_is_told_until_every_daemon_has_forgotten_it(tmp_path: Path) -> None:
    there = Office(serving(), tmp_path)
    assert fence_views(there.records) == ()
    told = await there.desk.ask(FENCE, ADA)
    [found] = fence_views(there.records)
    assert (found.site, found.by, found.reason) == ("dc1", "ada", "flooded")
    assert (found.in_force, found.closings, found.told_by) == (True, (), ())
    await told_by(
        there, DC2, DC1, closing=Closing(site=DC1, order=told.number, failed=("no route",))
    )
    [found] = fence_views(there.records)
    [closing] = found.closings
    assert (closing.by, closing.service, closing.failed) == ("dc2", "wallet", ("no route",))
    assert found.told_by == ("dc2",)
    await told_by(there, DC2, DC1, closing=Closing(site=DC1, order=told.number - 1))
    assert fence_views(there.records)[0].closings == ()
    await there.desk.decline(UNFENCE, BOB)
    assert fence_views(there.records) == (FenceView(site="dc1", in_force=False, told_by=("dc2",)),)
    there.clock.now += 15.1
    assert fence_views(there.records) == ()
