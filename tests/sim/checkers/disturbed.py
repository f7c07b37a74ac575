"""Until when a site was disturbed by a fault, as far as the checks with a time limit excuse it."""

from collections.abc import Callable

from tests.sim.truth import AllHealed, Event, FaultBegan, FaultEnded


class Disturbed:
    """Faults by the site they name; one that names no site disturbs all of them; one that is
    `harmless` (its name, what it is done to) disturbs nobody.
    """

    def __init__(self, harmless: Callable[[str, str], bool] = lambda fault, what: False) -> None:
        self._harmless = harmless
        self._open: dict[tuple[str, tuple[str, ...]], float] = {}
        self._times: list[float] = []
        self._ended: dict[tuple[str, ...], float] = {}

    def see(self, event: Event) -> None:
        """Faults begin and end; everything else is ignored."""
        match event:
            case FaultBegan(fault=fault, args=args) | FaultEnded(fault=fault, args=args) if (
                args and self._harmless(fault, args[0])
            ):
                pass
            case FaultBegan(fault=fault, args=args, at=at):
                self._open[(fault, args)] = at
                self._touch(args, at)
            case FaultEnded(fault=fault, args=args, at=at):
                self._open.pop((fault, args), None)
                self._touch(args, at)
            case AllHealed(at=at):
                self._open.clear()
                self._touch((), at)
            case _:
                pass

    def _touch(self, args: tuple[str, ...], at: float) -> None:
        self._ended[args] = at
        self._times.append(at)

    def until(self, site: str, now: float) -> float:
        """`now` while a fault is open that names `site`; else when the last one ended."""
        if any(_names(args, site) for _, args in self._open):
            return now
        return max((at for args, at in self._ended.items() if _names(args, site)), default=0.0)

    def quiet(self) -> bool:
        """No fault is open anywhere."""
        return not self._open

    def times(self, until: float) -> list[float]:
        """When anything was broken or mended."""
        return [at for at in self._times if at <= until]


def _names(args: tuple[str, ...], site: str) -> bool:
    return not args or any(site in arg for arg in args)
