"""What every checker is: a watcher of true events, asked once more at the end of a history."""

from typing import ClassVar, NoReturn

from tests.sim.checkers.violation import Violation
from tests.sim.truth import Event, Final


class Checker:
    """One promise of the design, watched from outside. A new one for each history."""

    name: ClassVar[str] = ""
    sees: tuple[type[Event], ...] = ()

    def see(self, event: Event) -> None:
        """One more event; raises a `Violation` as soon as the promise is broken."""

    def end(self, final: Final) -> None:
        """The history is over, every fault has been mended and the bound to settle is past."""

    def broken(self, at: float, text: str) -> NoReturn:
        """The promise is broken."""
        raise Violation(self.name, at, text)
