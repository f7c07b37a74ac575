"""Low-priority backends: read back from haproxy, switched once, not pressed after a failure."""

import asyncio
from dataclasses import dataclass, field, replace

from controller.core.model import Role, ServiceName, SiteName
from controller.core.shed import BEFORE, Look, ShedRule, When
from controller.core.view import View
from controller.ports import Refused, ShedGate, TimedOut, Unreachable
from controller.runtime.following import Following
from controller.runtime.shedding import LOOK_S, Shedding
from tests.contract.fakes.load_balancer import FakeLoadBalancer
from tests.contract.fakes.shed_gates import FakeShedGates
from tests.core.turned import own, serving
from tests.core.views import DC1, DC2, WALLET
from tests.runtime.clock import HandClock

LOBBY = ServiceName("lobby")
MOVING = frozenset({When.MOVING})
REPORTS = ShedRule(backends=("be_reports", "be_exports"), when=MOVING, calm_s=10.0)
EXPORTS = ShedRule(backends=("be_exports",), when=MOVING, calm_s=20.0)
SERVERS = {
    "be_wallet": ("dc1-app1", "dc2-app1"),
    "be_reports": ("dc1-app1", "dc2-app1"),
    "be_exports": ("dc1-app1",),
}
HELD = own(serving(), held=True)


@dataclass
class Edge:
    """A site's shedding, in memory."""

    balancer: FakeLoadBalancer = field(
        default_factory=lambda: FakeLoadBalancer(SERVERS, (DC1, DC2))
    )
    gates: FakeShedGates = field(
        default_factory=lambda: FakeShedGates(("be_reports", "be_exports"))
    )
    clock: HandClock = field(default_factory=HandClock)
    views: dict[ServiceName, View] = field(default_factory=lambda: {WALLET: serving()})
    turned: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The daemon starts, and remembers nothing."""
        self.shedding = Shedding(
            gates=self.gates,
            rules={WALLET: (REPORTS,), LOBBY: (EXPORTS,)},
            looks=self._looks,
            clock=self.clock,
            following=Following(
                balancer=self.balancer,
                leaders={"be_reports": "be_wallet", "be_exports": "be_wallet"},
                turned=lambda: self.turned,
                clock=self.clock,
            ),
        )

    def _looks(self) -> dict[ServiceName, Look]:
        now = self.clock.monotonic()
        return {
            service: Look(view=replace(view, now=now), role=Role.PRIMARY)
            for service, view in self.views.items()
        }

    async def turns(self, seconds: float = 0.0) -> None:
        """`seconds` pass, and two turns after them."""
        self.clock.now += seconds
        for _ in range(2):
            await self.shedding.turn()

    def off(self) -> set[str]:
        return {backend for backend, gate in self.gates.gates.items() if gate.off}


def both(view: View) -> dict[ServiceName, View]:
    return {WALLET: view, LOBBY: view}


async def test_everything_of_a_rule_is_off_at_once_and_back_after_the_quiet_time() -> None:
    edge = Edge(views=both(serving()))
    await edge.turns()
    assert edge.gates.switched == []
    edge.views[WALLET] = HELD
    await edge.turns()
    assert edge.gates.switched == [("be_reports", True), ("be_exports", True)]
    edge.views[WALLET] = serving()
    await edge.turns(9.9)
    assert edge.off() == {"be_reports", "be_exports"}
    await edge.turns(0.2)
    assert edge.gates.switched[2:] == [("be_reports", False), ("be_exports", False)]


async def test_two_services_name_one_backend_and_the_longer_quiet_time_counts() -> None:
    edge = Edge(views=both(HELD))
    await edge.turns()
    edge.views = both(serving())
    await edge.turns(10.1)
    assert edge.off() == {"be_exports"}
    [_, exports] = edge.shedding.shown(WALLET)
    assert exports.off
    assert exports.calm_left_s is not None
    assert 9.8 < exports.calm_left_s < 10
    await edge.turns(10.0)
    assert edge.off() == set()


async def test_a_restarted_daemon_goes_on_from_what_haproxy_says() -> None:
    edge = Edge(views=both(HELD))
    await edge.turns()
    edge.views = {}
    edge.gates.gates["be_reports"] = ShedGate(off=True, for_s=40.0)
    edge.restart()
    await edge.turns(60)
    assert edge.off() == {"be_reports", "be_exports"}, "its loops have not turned yet"
    shown = edge.shedding.shown(WALLET)[0]
    why = f"{BEFORE}; left as it is: the loop of wallet has not turned yet"
    assert (shown.off, shown.for_s, shown.why) == (True, 40.0, why)
    edge.views = both(serving())
    await edge.turns(REPORTS.calm_s + 1)
    assert "be_reports" not in edge.off()


async def test_a_haproxy_that_forgot_is_told_again() -> None:
    edge = Edge(views=both(HELD))
    await edge.turns()
    edge.gates.gates["be_reports"] = ShedGate(off=False, for_s=0.0)
    await edge.turns(LOOK_S)
    assert edge.off() == {"be_reports", "be_exports"}


async def test_a_person_who_switches_by_hand_is_left_alone_only_in_a_pause() -> None:
    edge = Edge(views=both(replace(serving(), paused="by hand")))
    await edge.turns()
    edge.gates.gates["be_reports"] = ShedGate(off=True, for_s=0.0)
    await edge.turns(LOOK_S)
    assert edge.off() == {"be_reports"}
    edge.views = both(serving())
    await edge.turns(LOOK_S)
    assert edge.off() == set()


async def test_a_silent_haproxy_is_asked_once_a_second_and_switched_when_it_answers() -> None:
    edge = Edge(views=both(HELD))
    edge.gates.broken = TimedOut("haproxy: /run/a.sock: no answer within 1 s")
    for _ in range(10):
        await edge.turns(0.1)
    assert edge.gates.looks <= 2
    assert edge.shedding.warnings(WALLET) == ()
    assert [shown.off for shown in edge.shedding.shown(WALLET)] == [None, None]
    edge.gates.broken = None
    await edge.turns(LOOK_S)
    assert edge.off() == {"be_reports", "be_exports"}


async def test_a_missing_gate_is_said_and_the_others_are_switched() -> None:
    edge = Edge(gates=FakeShedGates(("be_exports",)), views=both(HELD))
    await edge.turns()
    assert edge.off() == {"be_exports"}
    [warning] = edge.shedding.warnings(WALLET)
    assert "be_reports cannot be switched off" in warning
    assert "tricast_shed/be_reports" in warning
    assert edge.shedding.warnings(LOBBY) == ()


class Stubborn(FakeShedGates):
    """Answers, and does not obey."""

    tries = 0

    async def shed(self, backend: str, *, off: bool, deadline_s: float) -> None:
        self.tries += 1
        raise Refused(f"haproxy: tricast_shed/{backend} is not ready: no effect")


async def test_a_refusal_is_said_and_not_asked_for_all_the_time() -> None:
    gates = Stubborn(("be_reports", "be_exports"))
    edge = Edge(gates=gates, views=both(HELD))
    for _ in range(20):
        await edge.turns(0.1)
    assert gates.tries <= 2 * (1 + 20 * 0.1 / LOOK_S)
    assert "no effect" in edge.shedding.warnings(LOBBY)[0]
    edge.views = both(serving())
    await edge.turns(EXPORTS.calm_s)
    assert edge.shedding.warnings(LOBBY) == (), "it is no longer asked for"


async def test_it_runs_until_it_is_cancelled_whatever_haproxy_does() -> None:
    edge = Edge(views=both(HELD))
    edge.gates.broken = Unreachable("haproxy: /run/a.sock: No such file or directory")
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(edge.shedding.run())
        while edge.gates.looks == 0:
            await asyncio.sleep(0)
        edge.gates.broken = None
        edge.clock.now += LOOK_S
        while edge.off() != {"be_reports", "be_exports"}:
            await asyncio.sleep(0.01)
        assert not running.done()
        running.cancel()


# --- where they send -----------------------------------------------------------------------------


async def directed(edge: Edge) -> dict[str, set[str]]:
    found = await edge.balancer.observe(1.0)
    return {
        backend: {site for site, count in state.enabled.items() if count}
        for backend, state in found.items()
    }


async def test_they_send_where_their_service_does_if_they_have_a_server_there() -> None:
    edge = Edge()
    await edge.balancer.direct("be_wallet", DC1, 1.0)
    await edge.shedding.following.turn()
    assert await directed(edge) == {name: {"dc1"} for name in SERVERS}
    await edge.balancer.direct("be_wallet", DC2, 1.0)
    edge.turned += 1  # as a loop sees it
    await edge.shedding.following.turn()
    expected = {"be_wallet": {"dc2"}, "be_reports": {"dc2"}, "be_exports": set[str]()}
    assert await directed(edge) == expected
    await edge.balancer.direct("be_wallet", None, 1.0)
    await edge.shedding.following.turn()
    expected["be_wallet"] = set()
    assert await directed(edge) == expected, "nothing has turned that is known of"
    edge.clock.now += LOOK_S
    await edge.shedding.following.turn()
    assert await directed(edge) == {name: set() for name in SERVERS}


async def test_what_is_right_already_or_not_there_is_left_alone() -> None:
    edge = Edge(balancer=FakeLoadBalancer({"be_wallet": ("dc1-app1",), "be_reports": ()}, (DC1,)))
    await edge.balancer.direct("be_wallet", DC1, 1.0)
    for _ in range(3):
        edge.clock.now += LOOK_S
        await edge.shedding.following.turn()
    assert edge.balancer.directed == [("be_wallet", DC1)]


async def test_where_two_sites_take_traffic_at_once_what_could_be_at_both_stays() -> None:
    edge = Edge()
    await edge.balancer.direct("be_wallet", DC1, 1.0)
    edge.balancer._servers["be_wallet"]["dc2-app1"] = True
    await edge.shedding.following.turn()
    followed = [("be_wallet", DC1), ("be_exports", DC1)]  # which has servers at one of them only
    assert edge.balancer.directed == followed


class Closed(FakeLoadBalancer):
    """Answers, and directs nothing."""

    async def direct(self, backend: str, site: SiteName | None, deadline_s: float) -> None:
        raise Refused(f"haproxy: {backend} to {site}: no effect")


async def test_a_direction_that_is_refused_is_said_until_it_is_not_wanted_any_more() -> None:
    balancer = Closed(SERVERS, (DC1, DC2))
    edge = Edge(balancer=balancer, views=both(serving()))
    balancer._servers["be_wallet"]["dc2-app1"] = True
    for _ in range(2):
        edge.clock.now += LOOK_S
        await edge.shedding.following.turn()
    await edge.turns()
    assert edge.shedding.warnings(WALLET) == ("be_reports: haproxy: be_reports to dc2: no effect",)
    balancer.broken = TimedOut("haproxy: no answer within 1 s")
    edge.clock.now += LOOK_S
    await edge.shedding.following.turn()
    balancer.broken = None
    balancer._servers["be_reports"]["dc2-app1"] = True
    edge.clock.now += LOOK_S
    await edge.shedding.following.turn()
    assert edge.shedding.warnings(WALLET) == ()


async def test_what_no_service_sheds_is_nothing_to_show() -> None:
    assert Edge().shedding.shown(ServiceName("other")) == ()
