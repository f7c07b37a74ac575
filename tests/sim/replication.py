"""Copies of a log, and the streams between them: received, made durable, confirmed.

A stream is a TCP connection. A cut in the middle leaves it open at both ends until their patience
is over; each end says meanwhile that it streams. The end of a process is seen at once where a
reset can arrive. Only what the sender has durable is sent; only what the receiver has durable is
confirmed (`confirmed_end`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.core.model import SiteName
from tests.sim.engine import Engine, Process
from tests.sim.log import Log
from tests.sim.network import Network, Traffic

if TYPE_CHECKING:
    from tests.sim.server import Server

RECEIVER_PATIENCE_S = 3.0
SENDER_PATIENCE_S = 5.0
FAST_S = 0.01
FULL_AGAIN_S = 1.0  # until a receiver tries again to write what a full disk did not take


@dataclass(slots=True)
class Disk:
    """Where one copy's log is."""

    fsync_s: tuple[float, float] = (0.0003, 0.002)
    full: bool = False

    def sync_s(self, engine: Engine) -> float:
        """How long making something durable takes this time."""
        low, high = self.fsync_s
        return low + (high - low) * engine.dice.random()

    def at_once(self, engine: Engine) -> bool:
        """Too fast, this time, for anything to come between."""
        return self.fsync_s[1] < FAST_S and not self.full and engine.dice.random() < 0.9


class Copy:
    """One copy of a database's log, at one site: what is written, and how much of it is durable."""

    def __init__(self, engine: Engine, process: Process, site: SiteName, log: Log) -> None:
        self.engine, self.process, self.site = engine, process, site
        self.log, self.flushed = log, log.end
        self.disk = Disk()
        self.oldest = 0  # records before this are not held
        self.stream: Stream | None = None
        self._flushing = False

    @property
    def durable(self) -> Log:
        """What a crash of the host leaves."""
        return self.log if self.flushed >= self.log.end else self.log.cut_to(self.flushed)

    def write(self, log: Log) -> None:
        """The log goes on to the end of `log`; it will be durable."""
        self.log = log
        if self._flushing:
            return
        if self.disk.at_once(self.engine):
            self.flushed = log.end
            self.grew()
        else:
            self._flushing = True
            self.process.after(self.disk.sync_s(self.engine), self._flush, log.end)

    def _flush(self, end: int) -> None:
        self._flushing = False
        if self.disk.full:
            self.ran_full()
            if self.process.alive:
                self._flushing = True
                self.process.after(FULL_AGAIN_S, self._flush, end)
            return
        self.flushed = max(self.flushed, min(end, self.log.end))
        if self.flushed < self.log.end:
            self._flushing = True
            self.process.after(self.disk.sync_s(self.engine), self._flush, self.log.end)
        self.grew()

    def confirmed_end(self) -> int:
        """What is told to the sender: durable, never merely received."""
        return self.flushed

    def receive(self, log: Log) -> None:
        """Records have come over the stream."""
        if log.end > self.log.end:
            self.write(log)

    def lose_memory(self) -> None:
        """The process or its host fell: what was not durable is gone."""
        self.log = self.durable
        self._flushing = False

    def replace(self, log: Log) -> None:
        """Its files are these now, durably."""
        self.log, self.flushed = log, log.end

    def grew(self) -> None:
        """More of it is durable."""
        if self.stream is not None:
            self.stream.confirm()

    def ran_full(self) -> None:
        """The disk took nothing."""

    def stream_lost(self) -> None:
        """Its stream has ended."""


@dataclass(slots=True, eq=False)
class Stream:
    """One replication connection."""

    receiver: Copy
    sender: "Server"
    network: Network
    voter: bool  # its confirmations count
    sender_life: int
    receiver_life: int
    sent: int = 0
    confirmed: int = 0
    open_here: bool = True  # as the receiver sees it
    open_there: bool = True  # as the sender sees it
    torn: bool = False  # a cut or a freeze is noticed by patience only
    told_at: float = 0.0  # when the newest confirmation that has arrived had left

    @property
    def alive(self) -> bool:
        """Both ends exist."""
        return self.open_here and self.open_there

    @property
    def connected(self) -> bool:
        """Packets pass now, and somebody works at both ends."""
        receiver, sender = self.receiver, self.sender
        here, there = receiver.process, sender.process
        return (
            self.open_here
            and self.open_there
            and here.alive
            and there.alive
            and not (here.frozen or there.frozen)
            and self.network.path(receiver.site, sender.site, Traffic.REPLICATION)
        )

    def pump(self) -> None:
        """What the sender has durable beyond what was sent is on its way."""
        sender = self.sender
        if sender.flushed > self.sent and self.connected:
            self.sent = sender.flushed
            delay = self.network.delay(sender.site, self.receiver.site)
            self.receiver.process.after(delay, self._arrive, sender.durable)

    def _arrive(self, log: Log) -> None:
        if not self.open_here:
            return
        if not self.connected:
            self.sent = min(self.sent, self.receiver.log.end)  # sent again when it goes on
            return
        if self.receiver.log.begins(log):
            self.receiver.receive(log)

    def confirm(self) -> None:
        """The receiver tells how far it is."""
        end = self.receiver.confirmed_end()
        if self.connected:
            delay = self.network.delay(self.receiver.site, self.sender.site)
            left = self.receiver.engine.now
            self.sender.process.after(delay, self._confirmed, end, left)

    def _confirmed(self, end: int, left: float) -> None:
        if self.open_there and self.network.hears(
            self.sender.site, self.receiver.site, Traffic.REPLICATION
        ):
            self.told_at = left
            self.sender.heard_confirmation(self, end)

    def go_on(self) -> None:
        """After a cut: what was lost on the way is sent and confirmed again."""
        self.sent = min(self.sent, self.receiver.log.end)
        self.pump()
        self.confirm()

    def close_here(self) -> None:
        """The receiver has let go."""
        if self.open_here:
            self.open_here = False
            if self.receiver.stream is self:
                self.receiver.stream = None
                self.receiver.stream_lost()

    def close_there(self) -> None:
        """The sender has let go."""
        if self.open_there:
            self.open_there = False
            self.sender.streams.discard_one(self)
