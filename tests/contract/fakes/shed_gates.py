"""Gates of low-priority backends in memory, held to the same cases as haproxy's."""

from collections.abc import Iterable, Mapping

from controller.ports import PortError, Refused, ShedGate


class FakeShedGates:
    """Implements `ShedGates`; `broken`, when set, is raised by every call."""

    def __init__(self, backends: Iterable[str]) -> None:
        self.gates = {backend: ShedGate(off=False, for_s=0.0) for backend in backends}
        self.switched: list[tuple[str, bool]] = []
        self.looks = 0
        self.broken: PortError | None = None

    async def shed_gates(self, deadline_s: float) -> Mapping[str, ShedGate]:
        """Every gate, as the last `shed` left it."""
        del deadline_s
        self.looks += 1
        if self.broken is not None:
            raise self.broken
        return dict(self.gates)

    async def shed(self, backend: str, *, off: bool, deadline_s: float) -> None:
        """The gate of `backend` is turned."""
        del deadline_s
        if self.broken is not None:
            raise self.broken
        if backend not in self.gates:
            state = "ready" if off else "maint"
            raise Refused(f"haproxy: tricast_shed/{backend} is not {state}: No such server.")
        self.switched.append((backend, off))
        self.gates[backend] = ShedGate(off=off, for_s=0.0)
