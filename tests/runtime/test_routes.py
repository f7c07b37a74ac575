"""The wanted set: whole, on a permit, and careful with services nobody has spoken for yet."""

from collections.abc import Mapping

from bgp.policy import Stance
from controller.core.model import Epoch, ServiceName
from controller.ports import AnnouncedService, AnnouncerState
from controller.runtime.routes import Routes
from tests.runtime.clock import HandClock

WALLET, LOBBY = ServiceName("wallet"), ServiceName("lobby")
Set = Mapping[str, tuple[Stance, Epoch]]


class Recorder:
    """Implements `Announcer`; remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Set] = []

    async def observe(self, deadline_s: float) -> AnnouncerState:
        said = AnnouncedService(stance=Stance.PREFERRED, epoch=Epoch(4), confirmed=True)
        return AnnouncerState(sessions={}, services={"wallet": said}, permit_left_s=5.0)

    async def announce(self, wanted: Set, permit_s: float, deadline_s: float) -> None:
        self.told.append(wanted)


def routes(clock: HandClock) -> tuple[Routes, Recorder]:
    recorder = Recorder()
    return Routes(announcer=recorder, clock=clock, permit_s=6.0, deadline_s=1.0), recorder


async def test_a_restarted_daemon_leaves_alone_what_nobody_has_spoken_for_yet() -> None:
    clock = HandClock()
    wanted, recorder = routes(clock)
    await wanted.look()
    await wanted.announce(LOBBY, Stance.BACKUP, Epoch(2))
    assert recorder.told == [
        {"wallet": (Stance.PREFERRED, Epoch(4)), "lobby": (Stance.BACKUP, Epoch(2))}
    ]


async def test_but_not_for_longer_than_a_permit() -> None:
    clock = HandClock()
    wanted, recorder = routes(clock)
    await wanted.look()
    clock.now += 6.5
    await wanted.announce(LOBBY, Stance.BACKUP, Epoch(2))
    assert recorder.told == [{"lobby": (Stance.BACKUP, Epoch(2))}]


async def test_a_service_whose_loop_has_stopped_is_not_renewed() -> None:
    clock = HandClock()
    wanted, recorder = routes(clock)
    clock.now += 7
    wanted.stand_by(WALLET, Stance.PREFERRED, Epoch(4))
    clock.now += 3.5
    wanted.stand_by(LOBBY, Stance.BACKUP, Epoch(2))
    await wanted.renew()
    assert recorder.told == [{"lobby": (Stance.BACKUP, Epoch(2))}]


async def test_a_permit_is_renewed_when_a_third_of_it_is_used() -> None:
    clock = HandClock()
    wanted, recorder = routes(clock)
    wanted.stand_by(LOBBY, Stance.BACKUP, Epoch(2))
    await wanted.renew()
    await wanted.renew()
    assert len(recorder.told) == 1
    clock.now += 2.1
    wanted.stand_by(LOBBY, Stance.BACKUP, Epoch(2))
    await wanted.renew()
    assert len(recorder.told) == 2
