"""True time, the one die, and processes that see only their own clock.

An event is a call at an instant of true time; equal instants keep the order they were asked for in.
A process that is killed loses everything it had planned; one that is frozen does all of it, late,
when it is thawed.
"""

import heapq
import random
from collections.abc import Callable, Generator
from typing import Any

from controller.core.model import Instant

Call = Callable[..., None]
Steps = Generator["float | Signal", None, None]  # what a task waits for: seconds, or a signal


Planned = tuple[float, int, "Process | None", int, Call, tuple[Any, ...]]  # whose, in which life


class Engine:
    """The event heap. Nothing else moves time."""

    def __init__(self, dice: random.Random) -> None:
        self.now = 0.0
        self.dice = dice
        self.steps = 0
        self.heap: list[Planned] = []
        self.asked = 0

    def at(self, when: float, call: Call, *args: Any) -> None:
        """`call(*args)` at `when`, or now if that is over."""
        self.asked += 1
        heapq.heappush(self.heap, (max(when, self.now), self.asked, None, 0, call, args))

    def after(self, seconds: float, call: Call, *args: Any) -> None:
        """`call(*args)` in `seconds` of true time."""
        self.asked += 1
        heapq.heappush(self.heap, (self.now + seconds, self.asked, None, 0, call, args))

    def run_until(self, when: float) -> None:
        """Everything before `when` has happened."""
        heap, pop = self.heap, heapq.heappop
        while heap and heap[0][0] <= when:
            self.now, _, process, life, call, args = pop(heap)
            self.steps += 1
            if process is None:
                call(*args)
            elif life == process.life and process.alive:
                if process.frozen:
                    process.held.append((call, args))
                else:
                    call(*args)
        self.now = max(self.now, when)

    def draw(self, low: float, high: float) -> float:
        """A duration."""
        return low + (high - low) * self.dice.random()

    def chance(self, probability: float) -> bool:
        """Whether something happens that does so this often."""
        return probability > 0 and self.dice.random() < probability


class Clock:
    """A node's monotonic clock: any origin, a rate that may change, never a step."""

    def __init__(self, engine: Engine, origin: float) -> None:
        self._engine = engine
        self._true, self._local, self.rate = 0.0, origin, 1.0

    def now(self) -> float:
        """What the node reads."""
        return self._local + (self._engine.now - self._true) * self.rate

    def at(self, when: float) -> float:
        """What it reads, or has read, at `when` of true time (the rate of now)."""
        return self._local + (when - self._true) * self.rate

    def monotonic(self) -> Instant:
        """The same, as the runtime's parts ask for it."""
        return Instant(self.now())

    def stamp(self) -> str:
        """For humans; there are none."""
        return ""

    def set_rate(self, rate: float) -> None:
        """From now on it runs this much faster than true time."""
        self._local, self._true, self.rate = self.now(), self._engine.now, rate


class Signal:
    """Something that tasks wait for."""

    __slots__ = ("_waiting", "done")

    def __init__(self) -> None:
        self.done = False
        self._waiting: list[Callable[[], None]] = []

    def set(self) -> None:
        """It has happened; whoever waits goes on."""
        if not self.done:
            self.done = True
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                call()

    def then(self, call: Callable[[], None]) -> None:
        """`call` once it has happened."""
        if self.done:
            call()
        else:
            self._waiting.append(call)


class Process:
    """A program on a node: alive or not, frozen or not. What it plans is on its own clock."""

    def __init__(self, engine: Engine, clock: Clock, name: str) -> None:
        self.engine, self.clock, self.name = engine, clock, name
        self.alive, self.frozen = False, False
        self.life = 0
        self.held: list[tuple[Call, tuple[Any, ...]]] = []
        self._asked: list[Signal] = []  # whoever waits for it knows when it ends

    @property
    def works(self) -> bool:
        """It does something when asked."""
        return self.alive and not self.frozen

    def after(self, seconds: float, call: Call, *args: Any) -> None:
        """`call(*args)` in `seconds` of its own clock, if it lives that long."""
        engine = self.engine
        engine.asked += 1
        when = engine.now + seconds / self.clock.rate
        heapq.heappush(engine.heap, (when, engine.asked, self, self.life, call, args))

    def begin(self) -> None:
        """It runs, and remembers nothing."""
        self.alive, self.frozen, self.life, self.held = True, False, self.life + 1, []

    def end(self) -> None:
        """It is gone at once, whatever it was doing."""
        self.alive, self.frozen, self.life, self.held = False, False, self.life + 1, []
        asked, self._asked = self._asked, []
        for told in asked:
            told.set()

    def on_end(self, told: Signal) -> None:
        """`told` is set at the latest when the process ends: connections to it break."""
        self._asked = [signal for signal in self._asked if not signal.done]
        self._asked.append(told)

    def freeze(self) -> None:
        """It stands still."""
        self.frozen = self.alive

    def thaw(self) -> None:
        """It does what it should have done meanwhile, in order."""
        if self.frozen:
            self.frozen = False
            held, self.held = self.held, []
            for call, args in held:
                self.after(0.0, call, *args)

    def spawn(self, steps: Steps, ended: Callable[[], None] | None = None) -> "Task":
        """A task of this process has begun."""
        task = Task(self, steps, ended)
        task.step()
        return task


class Task:
    """A generator that is stepped when what it waits for has come: seconds, or a signal."""

    __slots__ = ("_ended", "_life", "_process", "_steps", "over")

    def __init__(
        self, process: Process, steps: Steps, ended: Callable[[], None] | None = None
    ) -> None:
        self._process, self._steps, self._ended = process, steps, ended
        self._life = process.life
        self.over = False

    def step(self) -> None:
        """The next piece of it is done."""
        if self.over or self._life != self._process.life:
            return
        try:
            wanted = next(self._steps)
        except StopIteration:
            self.over = True
            if self._ended is not None:
                self._ended()
            return
        if isinstance(wanted, Signal):
            wanted.then(self._told)
        else:
            self._process.after(wanted, self.step)

    def _told(self) -> None:
        """Frozen, it will know later."""
        if self._life == self._process.life:
            self._process.after(0.0, self.step)

    def cancel(self) -> None:
        """It is given up; what it has done stays."""
        self.over = True
