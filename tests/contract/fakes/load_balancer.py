"""A haproxy in memory, held to the same cases as the real one."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from controller.core.model import SiteName
from controller.ports import BackendState, PortError, Refused


class FakeLoadBalancer:
    """Implements `LoadBalancer`; `broken`, when set, is raised by every call."""

    def __init__(self, servers: Mapping[str, tuple[str, ...]], sites: tuple[SiteName, ...]) -> None:
        """`servers`: the names of each backend's servers, "<site>-<name>"; all are closed."""
        self._sites = sorted(sites, key=len, reverse=True)
        self._servers = {backend: dict.fromkeys(names, False) for backend, names in servers.items()}
        self.down: set[tuple[str, str]] = set()  # (backend, server) found not healthy
        self.gates: dict[str, bool] = dict.fromkeys(self._servers, False)
        self.in_flight: dict[str, int] = {}  # what still runs, by backend
        self.directed: list[tuple[str, SiteName | None]] = []
        self.broken: PortError | None = None

    async def observe(self, deadline_s: float) -> Mapping[str, BackendState]:
        """Every backend, as the last `direct` left it."""
        del deadline_s
        self._raise()
        return {
            backend: replace(
                self._count(backend),
                can_hold=backend in self.gates,
                held=self.gates.get(backend, False),
                in_flight=self.in_flight.get(backend, 0) if self.gates.get(backend) else 0,
            )
            for backend in self._servers
        }

    async def hold(self, backend: str, deadline_s: float) -> None:
        """New requests wait."""
        del deadline_s
        self._raise()
        if backend not in self.gates:
            raise Refused(f"haproxy: the gate of {backend} is not ready: No such server.")
        self.gates[backend] = True

    async def direct(self, backend: str, site: SiteName | None, deadline_s: float) -> None:
        """Open to `site` only."""
        del deadline_s
        self._raise()
        if backend not in self._servers:
            known = ", ".join(sorted(self._servers)) or "none"
            raise Refused(f"haproxy: no backend {backend}; it has {known}")
        servers = self._servers[backend]
        if site is not None and site not in map(self._site_of, servers):
            known = ", ".join(servers)
            raise Refused(f"haproxy: {backend} has no server of site {site}; it has {known}")
        self.directed.append((backend, site))
        if backend in self.gates:
            self.gates[backend] = False
        for name in servers:
            servers[name] = site is not None and self._site_of(name) == site

    def _count(self, backend: str) -> BackendState:
        enabled, up, total = (Counter[SiteName]() for _ in range(3))
        for name, is_open in self._servers[backend].items():
            site = self._site_of(name)
            if site is not None:
                total[site] += 1
                enabled[site] += is_open
                up[site] += is_open and (backend, name) not in self.down
        return BackendState(enabled=dict(enabled), up=dict(up), total=dict(total))

    def _site_of(self, server: str) -> SiteName | None:
        return next((site for site in self._sites if server.startswith(f"{site}-")), None)

    def _raise(self) -> None:
        if self.broken is not None:
            raise self.broken
