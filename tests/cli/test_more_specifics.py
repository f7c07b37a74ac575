"""More-specifics are shown wherever routes are: status, topology, plan, and the API behind them."""

from pathlib import Path

from controller.cli.plan_view import _routes
from controller.cli.status_view import status_lines
from controller.cli.topology import topology_lines, tree_of
from controller.core.decide import decide
from controller.core.model import SiteKind
from controller.daemon.status import site_view
from controller.runtime.publish import digest, service_report
from controller.web.plan_schema import PlanRoutes
from controller.web.schema import Ask
from tests.core.turned import own, serving, spec
from tests.web.sample import DC1, STEADY, WALLET
from tests.web.test_plan import foreseen

HALVES = ("198.51.100.0/25", "2001:db8:100::/49")
DRAWING = DC1.model_copy(update={"stance": "override", "more_specifics": HALVES})
STATUS = STEADY.model_copy(
    update={
        "services": (WALLET.model_copy(update={"sites": (DRAWING, *WALLET.sites[1:])}),),
    }
)


def test_the_status_names_them_and_is_silent_without() -> None:
    page = [line.plain for line in status_lines(STATUS, 80)]
    assert " Routes: dc1 announces more-specifics: 198.51.100.0/25, 2001:db8:100::/49" in page
    assert not any("more-specifics" in line.plain for line in status_lines(STEADY, 80))


def test_the_topology_has_them_beside_the_stance() -> None:
    page = " ".join(line.plain for line in topology_lines(tree_of(STATUS, None), 200))
    assert "announces override, and 198.51.100.0/25, and 2001:db8:100::/49, " in page


def test_a_plan_says_what_goes_with_override() -> None:
    routes = PlanRoutes(
        site="dc2", now="backup", after=("override", "preferred"), more_specifics=HALVES
    )
    assert _routes(routes) == (
        "backup now; override, then preferred after;"
        " 198.51.100.0/25 and 2001:db8:100::/49 beside override, should it last"
    )


def test_the_report_carries_them_and_what_the_other_site_decides_on() -> None:
    view = own(serving(), more_specifics=HALVES, sessions_up=1, sessions_total=2)
    report = service_report(view, decide(view))
    assert (report.more_specifics, report.sessions_down) == (HALVES, 1)
    shown = site_view(
        view.me, SiteKind.DATA, report, kinds={}, report_age_s=0.1, heartbeat_age_s=0.1
    )
    assert shown.more_specifics == HALVES
    whole = own(view, sessions_up=2)
    assert digest(service_report(whole, decide(whole))) != digest(report)  # told at once


async def test_a_plan_knows_which_they_would_be(tmp_path: Path) -> None:
    plan = await foreseen(spec(serving(), more_specifics=HALVES), tmp_path, Ask(kind="switchover"))
    routes = {found.site: found for found in plan.services[0].routes}
    assert routes["dc1"].after[0] == "override"
    assert routes["dc1"].more_specifics == HALVES
    assert routes["dc2"].more_specifics == ()
