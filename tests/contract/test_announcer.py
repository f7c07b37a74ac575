"""The `Announcer` port: the fake and the real one, which is ExaBGP, our speaker and FRR."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from bgp.policy import Stance
from controller.adapters.speaker import Speaker
from controller.core.model import Epoch
from controller.ports import (
    AnnouncedService,
    Announcer,
    AnnouncerState,
    PortError,
    Refused,
    TimedOut,
    Unreachable,
)
from tests.bgp.fake_announcer import FakeAnnouncer
from tests.bgp.wire import (
    HOLD_S,
    LOBBY,
    PROVIDER,
    WALLET,
    Edge,
    Wire,
    laid_wire,
    make_spec,
    speaker_edge,
    until,
)

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

ONE, TWO = Epoch(1), Epoch(2)
PREFERRED = {"wallet": (Stance.PREFERRED, ONE), "lobby": (Stance.BACKUP, ONE)}
LONG_S = 60.0
LENGTHS = {Stance.OVERRIDE: 1, Stance.PREFERRED: 2, Stance.BACKUP: 4, Stance.ISOLATED: 6}


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with laid_wire() as laid:
        yield laid


class Rig:
    """An edge on the wire, and a controller's end of its speaker."""

    def __init__(
        self, wire: Wire, directory: Path, permit_s: float = 1.5, **changes: object
    ) -> None:
        self.wire = wire
        self.spec = make_spec(directory, permit_s=permit_s, **changes)
        self.edge: Edge = speaker_edge(wire, directory, self.spec)
        self.speaker = Speaker(Path(self.spec.socket_path))

    async def start(self) -> None:
        self.edge.start()
        await self.until(self._all_up, 15, "both sessions are up")

    async def _all_up(self) -> bool:
        return all((await self.look()).sessions.values())

    async def look(self) -> AnnouncerState:
        """What the speaker says of itself; while it is away, nothing."""
        try:
            return await self.speaker.observe(1.0)
        except PortError:
            return AnnouncerState(sessions={"": False}, services={}, permit_left_s=0.0)

    async def until(self, met: Callable[[], object], deadline_s: float, what: str) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    found = met()
                    if await found if asyncio.iscoroutine(found) else found:
                        return
                    await asyncio.sleep(0.005)
        except TimeoutError:
            log = self.edge.log.read_text()[-1500:]
            seen = await self.look()
            raise AssertionError(f"not within {deadline_s} s: {what}\n{seen}\n{log}") from None

    def held(self, prefixes: tuple[str, str], stance: Stance) -> bool:
        """The provider has both families of a service in this stance."""
        return all(self.wire.length(p) == LENGTHS.get(stance, 0) for p in prefixes)

    def lengths_logged(self, before: int) -> set[int]:
        """How long the paths were that the provider has received since."""
        logged = self.wire.updates_logged()[before:]
        return {len(path.split()) for path in re.findall(r"path ([0-9 ]+)", logged)}

    async def until_held(self, stance: Stance, deadline_s: float = 5.0) -> None:
        await self.until(
            lambda: self.held(WALLET, stance), deadline_s, f"the provider has wallet {stance}"
        )

    async def clear(self) -> None:
        await self.speaker.aclose()
        self.edge.stop()
        until(lambda: not self.wire.path(WALLET[0]), 10, "the provider has forgotten")
        until(
            lambda: not self.wire.established("ipv4") and not self.wire.established("ipv6"),
            10,
            "the provider's sessions are down",
        )


@pytest.fixture
async def rig(wire: Wire, tmp_path: Path) -> AsyncIterator[Rig]:
    started = Rig(wire, tmp_path)
    try:
        await started.start()
        yield started
    finally:
        await started.clear()


# --- the same for the fake and the real one -------------------------------------------------------


@pytest.fixture(params=["fake", "real"])
async def announcer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Announcer]:
    if request.param == "fake":
        yield FakeAnnouncer(
            frozenset(("wallet", "lobby")), dict.fromkeys(PROVIDER.values(), True), permit_s=1.0
        )
        return
    rig = Rig(request.getfixturevalue("wire"), tmp_path, permit_s=1.0)
    try:
        await rig.start()
        yield rig.speaker
    finally:
        await rig.clear()


async def said(
    announcer: Announcer, name: str, stance: Stance, epoch: Epoch, deadline_s: float = 3.0
) -> None:
    """The service is seen to say this, and the neighbors to have heard it."""
    wanted = AnnouncedService(stance=stance, epoch=epoch, confirmed=True)
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                if (await announcer.observe(1.0)).services.get(name) == wanted:
                    return
                await asyncio.sleep(0.01)
    except TimeoutError:
        seen = await announcer.observe(1.0)
        raise AssertionError(f"{name} never said {stance} of {epoch}: {seen}") from None


async def test_the_port_keeps_its_promises(announcer: Announcer) -> None:
    # One long case: a real edge takes two seconds to come up.
    assert set((await announcer.observe(1.0)).sessions) == set(PROVIDER.values())

    await announcer.announce(PREFERRED, LONG_S, 1.0)
    await announcer.announce(PREFERRED, LONG_S, 1.0)
    await said(announcer, "wallet", Stance.PREFERRED, ONE)
    await said(announcer, "lobby", Stance.BACKUP, ONE)
    assert LONG_S - 5 < (await announcer.observe(1.0)).permit_left_s <= LONG_S

    # A higher epoch of one service leaves the other alone; from then on the lower is refused whole.
    await announcer.announce({**PREFERRED, "wallet": (Stance.OVERRIDE, TWO)}, LONG_S, 1.0)
    await said(announcer, "wallet", Stance.OVERRIDE, TWO)
    with pytest.raises(Refused, match="wallet: epoch 1 is below 2"):
        await announcer.announce({**PREFERRED, "lobby": (Stance.OVERRIDE, TWO)}, LONG_S, 1.0)
    await said(announcer, "lobby", Stance.BACKUP, ONE)

    with pytest.raises(Refused, match="no such service: 'shop'"):
        await announcer.announce({"shop": (Stance.BACKUP, ONE)}, LONG_S, 1.0)

    # What is left out of the whole set turns isolated, and what is withdrawn is gone.
    await announcer.announce({"lobby": (Stance.WITHDRAWN, ONE)}, 0.5, 1.0)
    await said(announcer, "wallet", Stance.ISOLATED, TWO)
    await said(announcer, "lobby", Stance.WITHDRAWN, ONE)

    # With the permit gone preferred turns isolated; withdrawn and drained stay what they are.
    wanted = {"wallet": (Stance.PREFERRED, TWO), "lobby": (Stance.DRAINED, ONE)}
    await announcer.announce(wanted, 0.5, 1.0)
    await said(announcer, "wallet", Stance.PREFERRED, TWO)
    await said(announcer, "wallet", Stance.ISOLATED, TWO)
    await said(announcer, "lobby", Stance.DRAINED, ONE)
    assert (await announcer.observe(1.0)).permit_left_s == 0.0


async def test_a_service_nobody_ever_spoke_for_is_isolated_not_absent(
    announcer: Announcer,
) -> None:
    await said(announcer, "wallet", Stance.ISOLATED, Epoch(0), deadline_s=10.0)
    await said(announcer, "lobby", Stance.ISOLATED, Epoch(0))


# --- the real one --------------------------------------------------------------------------------


async def test_every_stance_reaches_the_provider_in_both_families(rig: Rig) -> None:
    for stance in (*LENGTHS, Stance.DRAINED, Stance.WITHDRAWN, Stance.PREFERRED):
        wanted = {"wallet": (stance, ONE), "lobby": (Stance.BACKUP, ONE)}
        await rig.speaker.announce(wanted, LONG_S, 1.0)
        await said(rig.speaker, "wallet", stance, ONE)
        expected = Stance.ISOLATED if stance is Stance.DRAINED else stance
        await rig.until_held(expected)
        for prefix in WALLET:
            path = rig.wire.path(prefix) or {}
            community = path.get("community", {}).get("string", "")
            assert ("graceful" in community) is (stance is Stance.DRAINED), community
    assert rig.held(LOBBY, Stance.BACKUP)
    assert (await rig.look()).problems == ()


async def test_a_change_of_stance_withdraws_nothing_and_loses_no_path(rig: Rig) -> None:
    await rig.speaker.announce(PREFERRED, LONG_S, 1.0)
    await rig.until_held(Stance.PREFERRED)
    await rig.until(lambda: all(map(rig.wire.best, WALLET)), 5, "both are best")
    before = len(rig.wire.updates_logged())
    for stance in (Stance.OVERRIDE, Stance.BACKUP, Stance.PREFERRED):
        wanted = {**PREFERRED, "wallet": (stance, ONE)}
        await rig.speaker.announce(wanted, LONG_S, 1.0)
        while not rig.held(WALLET, stance):
            assert all(map(rig.wire.best, WALLET))

    def three_of_each() -> bool:  # FRR writes its log a little later
        lines = rig.wire.updates_logged()[before:].splitlines()
        updates = [line for line in lines if "rcvd" in line and "UPDATE about" not in line]
        return all(sum(prefix in line for line in updates) == 3 for prefix in WALLET)

    await rig.until(three_of_each, 5, "three updates of each prefix are logged")
    assert "withdraw" not in rig.wire.updates_logged()[before:].lower()


async def test_without_a_controller_it_turns_isolated_in_time(rig: Rig) -> None:
    await rig.speaker.announce(PREFERRED, 1.0, 1.0)
    await rig.until_held(Stance.PREFERRED)
    await rig.speaker.aclose()
    start = time.monotonic()
    await rig.until_held(Stance.ISOLATED)
    assert time.monotonic() - start < 1.3
    assert rig.held(LOBBY, Stance.ISOLATED)


async def test_a_killed_speaker_comes_back_and_no_route_moves(rig: Rig) -> None:
    await rig.speaker.announce(PREFERRED, LONG_S, 1.0)
    await rig.until_held(Stance.PREFERRED)
    first = rig.edge.helper_pid()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await rig.until(lambda: rig.edge.helper_pid() not in (None, first), 5, "it is respawned")
    # What the old one announced stands until the new one has been told; then it says that.
    assert rig.held(WALLET, Stance.PREFERRED)
    await rig.until(rig._all_up, 5, "the new one knows the sessions")
    wanted = {"wallet": (Stance.OVERRIDE, TWO), "lobby": (Stance.WITHDRAWN, ONE)}
    await rig.speaker.announce(wanted, LONG_S, 1.0)
    await rig.until_held(Stance.OVERRIDE)
    await rig.until(lambda: rig.held(LOBBY, Stance.WITHDRAWN), 5, "lobby is gone")
    await said(rig.speaker, "wallet", Stance.OVERRIDE, TWO)


async def test_a_killed_speaker_without_a_controller_turns_isolated(rig: Rig) -> None:
    await rig.speaker.announce(PREFERRED, LONG_S, 1.0)
    await rig.until_held(Stance.PREFERRED)
    helper = rig.edge.helper_pid()
    assert helper is not None
    os.kill(helper, signal.SIGKILL)
    await rig.until_held(Stance.ISOLATED, 6.0)


async def test_a_killed_exabgp_started_again_says_what_is_wanted(rig: Rig) -> None:
    await rig.speaker.announce(PREFERRED, LONG_S, 1.0)
    await rig.until_held(Stance.PREFERRED)
    rig.edge.signal(signal.SIGKILL)
    await rig.until_held(Stance.WITHDRAWN)
    rig.edge.stop()
    rig.edge.start()

    async def announced() -> bool:
        try:
            await rig.speaker.announce(PREFERRED, LONG_S, 1.0)
        except PortError:
            return False
        return rig.held(WALLET, Stance.PREFERRED)

    await rig.until(announced, 15, "the routes are back")
    await said(rig.speaker, "wallet", Stance.PREFERRED, ONE)


async def test_a_frozen_exabgp_thaws_without_its_old_routes(rig: Rig) -> None:
    await rig.speaker.announce(PREFERRED, 2.0, 1.0)
    await rig.until_held(Stance.PREFERRED)
    rig.edge.signal(signal.SIGSTOP)
    await rig.until_held(Stance.WITHDRAWN, HOLD_S + 3)
    before = len(rig.wire.updates_logged())
    rig.edge.signal(signal.SIGCONT)
    await rig.until_held(Stance.ISOLATED, 10)
    # Every path the provider heard of since is the long one.
    await rig.until(lambda: rig.lengths_logged(before), 5, "FRR writes its log")
    assert rig.lengths_logged(before) == {6}


async def test_a_frozen_edge_thaws_without_its_old_permit(rig: Rig) -> None:
    # Both processes stop, a renewal of the permit lies unread in the socket, then all goes on.
    await rig.speaker.announce(PREFERRED, 1.0, 1.0)
    await rig.until_held(Stance.PREFERRED)
    helper = rig.edge.helper_pid()
    assert helper is not None
    os.kill(helper, signal.SIGSTOP)
    rig.edge.signal(signal.SIGSTOP)
    try:
        with pytest.raises(TimedOut):
            await rig.speaker.announce(PREFERRED, 1.0, 0.2)
        await rig.until_held(Stance.WITHDRAWN, HOLD_S + 3)
        before = len(rig.wire.updates_logged())
    finally:
        os.kill(helper, signal.SIGCONT)
        rig.edge.signal(signal.SIGCONT)
    await rig.until_held(Stance.ISOLATED, 10)
    await rig.until(lambda: rig.lengths_logged(before), 5, "FRR writes its log")
    assert rig.lengths_logged(before) == {6}


async def test_a_silent_cut_ends_the_session_and_healing_brings_all_back(rig: Rig) -> None:
    await rig.speaker.announce(PREFERRED, LONG_S, 1.0)
    await rig.until_held(Stance.PREFERRED)
    with rig.wire.cut():
        await rig.until_held(Stance.WITHDRAWN, HOLD_S + 3)

        async def noticed() -> bool:
            state = await rig.look()
            return not any(state.sessions.values()) and len(state.problems) == 2

        await rig.until(noticed, HOLD_S + 3, "the speaker knows its sessions are down")
        assert not (await rig.look()).services["wallet"].confirmed
        wanted = {**PREFERRED, "wallet": (Stance.BACKUP, TWO)}
        await rig.speaker.announce(wanted, LONG_S, 1.0)
    await rig.until_held(Stance.BACKUP, 20)
    await said(rig.speaker, "wallet", Stance.BACKUP, TWO)


async def test_a_speaker_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    speaker = Speaker(tmp_path / "nobody.sock")
    with pytest.raises(Unreachable, match=r"nobody\.sock"):
        await speaker.observe(0.5)
    await speaker.aclose()


async def test_a_speaker_that_hangs_costs_a_deadline_and_no_more(tmp_path: Path) -> None:
    heard = asyncio.Event()
    hang_up = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        await hang_up.wait()
        writer.close()

    path = tmp_path / "deaf.sock"
    server = await asyncio.start_unix_server(serve, str(path))
    speaker = Speaker(path)
    async with server:
        start = time.monotonic()
        with pytest.raises(TimedOut):
            await speaker.announce(PREFERRED, LONG_S, 0.2)
        assert 0.15 < time.monotonic() - start < 1.0
        assert heard.is_set()
        hang_up.set()
        with pytest.raises(TimedOut, match="hung up"):
            await speaker.observe(1.0)
    await speaker.aclose()


@pytest.mark.parametrize("answer", [b"nonsense\n", b'{"id":99,"ok":true}\n', b'{"id":1}\n'])
async def test_a_speaker_that_talks_nonsense_is_an_error_of_the_port(
    tmp_path: Path, answer: bytes
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        writer.close()

    path = tmp_path / "odd.sock"
    server = await asyncio.start_unix_server(serve, str(path))
    speaker = Speaker(path)
    async with server:
        with pytest.raises(PortError):
            await speaker.observe(1.0)
    await speaker.aclose()
