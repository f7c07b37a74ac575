"""From looks at a rejoin to how fast it goes, and when its phase ends: values in, values out."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from controller.core.model import Instant
from controller.ports import Work
from controller.web.schema import RejoinView

LATELY_S: Final = 20.0  # the rate is that of so long


@dataclass(slots=True)
class Pace:
    """One rejoin, from when it was first seen."""

    began: Instant
    phase: str = ""
    _seen: deque[tuple[Instant, int]] = field(default_factory=deque)

    def heard(self, work: Work, now: Instant) -> RejoinView:
        """How far it is, with what was heard of it before."""
        if work.phase != self.phase:
            self.phase = work.phase
            self._seen.clear()
        rate = None if work.done is None else self._rate(work.done, now)
        left = None
        if rate and work.done is not None and work.total is not None:
            left = round(max(0, work.total - work.done) / rate, 1)
        return RejoinView(
            phase=work.phase,
            since_s=round(now - self.began, 3),
            phase_s=round(work.for_s, 3),
            done_bytes=work.done,
            total_bytes=work.total,
            bytes_s=None if rate is None else round(rate, 1),
            left_s=left,
        )

    def _rate(self, done: int, now: Instant) -> float | None:
        """Bytes per second of late; None at the first look, and after it has begun anew."""
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > LATELY_S:
            self._seen.popleft()
        since, before = self._seen[0]
        return (done - before) / (now - since) if now > since else None


@dataclass(slots=True)
class CatchingUp:
    """What is left to be replayed once the copy follows."""

    began: Instant
    most: int = 0

    def work(self, lag_bytes: int | None, now: Instant) -> Work:
        """How far it is: of the most that it was ever seen to lack."""
        for_s = now - self.began
        if lag_bytes is None:
            return Work(phase=CATCHING_UP, for_s=for_s)
        self.most = max(self.most, lag_bytes)
        return Work(phase=CATCHING_UP, for_s=for_s, done=self.most - lag_bytes, total=self.most)


CATCHING_UP: Final = "catching up"
