"""What is said of a speaker: asked through the fake that is held to the real one's cases."""

from bgp.policy import Stance
from controller.core.model import Epoch
from controller.doctor.traffic import routes
from tests.bgp.fake_announcer import FakeAnnouncer

NEIGHBORS = ("203.0.113.1", "2001:db8::1")


async def said(port: FakeAnnouncer) -> list[tuple[str, str]]:
    rows = await routes(port, "/run/speaker.sock", NEIGHBORS)
    return [(row.subject, row.grade) for row in rows]


async def test_sessions_and_the_permit() -> None:
    time_s = 100.0
    port = FakeAnnouncer(
        frozenset({"wallet"}), dict.fromkeys(NEIGHBORS, True), permit_s=2.0, clock=lambda: time_s
    )
    first, second = (f"neighbor {address}" for address in NEIGHBORS)
    # Just started: no controller has spoken to it yet.
    assert await said(port) == [(first, "ok"), (second, "ok"), ("permit", "bad")]
    await port.announce({"wallet": (Stance.PREFERRED, Epoch(1))}, 2.0, 1.0)
    assert await said(port) == [(first, "ok"), (second, "ok"), ("permit", "ok")]
    port.sessions[NEIGHBORS[1]] = False
    assert await said(port) == [(first, "ok"), (second, "warn"), ("permit", "ok")]
    port.sessions[NEIGHBORS[0]] = False
    assert await said(port) == [(first, "bad"), (second, "bad"), ("permit", "ok")]
    del port.sessions[NEIGHBORS[1]]
    time_s += 3.0
    assert await said(port) == [(first, "bad"), (second, "bad"), ("permit", "bad")]
    port.reachable = False
    assert await said(port) == [("/run/speaker.sock", "bad")]
