"""What may be switched off at this site: built from the configuration, and told to who asks."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from controller.adapters.haproxy import Haproxy
from controller.config import Cluster
from controller.core.model import ServiceName
from controller.core.shed import Look
from controller.ports import Clock
from controller.runtime.following import Following
from controller.runtime.loop import ServiceLoop
from controller.runtime.shedding import Shedding
from controller.web.schema import ShedView


def build_shedding(cluster: Cluster, loops: Iterable[ServiceLoop], clock: Clock) -> Shedding | None:
    """The shedding of a data site; None where no service has anything to spare."""
    rules = {
        ServiceName(service.name): tuple(entry.rule for entry in service.shed)
        for service in cluster.services
        if service.shed
    }
    if not rules:
        return None
    leaders = {
        backend: service.backend
        for service in cluster.services
        for entry in service.shed
        for backend in entry.backends
    }
    conf = cluster.haproxy
    haproxy = Haproxy(
        Path(conf.socket),
        cluster.data_sites,
        {*leaders, *leaders.values()},
        None if conf.state_dir is None else Path(conf.state_dir),
    )
    return Shedding(
        gates=haproxy,
        rules=rules,
        looks=lambda: looks(loops),
        clock=clock,
        following=Following(
            balancer=haproxy,
            leaders=leaders,
            turned=lambda: tuple(
                loop.last_view.own.directed_to for loop in loops if loop.last_view is not None
            ),
            clock=clock,
        ),
    )


def looks(loops: Iterable[ServiceLoop]) -> Mapping[ServiceName, Look]:
    """The newest turn of each loop that has turned."""
    found = ((loop.hands.service, newest_look(loop)) for loop in loops)
    return {service: look for service, look in found if look is not None}


def newest_look(loop: ServiceLoop) -> Look | None:
    """What the loop saw and decided last, and the servers to which haproxy sends."""
    view, decision = loop.last_view, loop.decision
    if view is None or decision is None:
        return None
    backend = (loop.observer.looks.balancer.value or {}).get(loop.observer.backend)
    counted = view.own.directed_to if backend is not None else frozenset()
    return Look(
        view=view,
        role=decision.role,
        yielding=decision.yielding,
        servers_up=0 if backend is None else sum(backend.up.get(site, 0) for site in counted),
        servers_total=0 if backend is None else sum(backend.total.get(site, 0) for site in counted),
    )


def shed_views(shedding: Shedding | None, service: ServiceName) -> tuple[ShedView, ...]:
    """Each backend that `service` may shed, as it is here."""
    shown = () if shedding is None else shedding.shown(service)
    return tuple(
        ShedView(
            backend=found.backend,
            off=found.off,
            for_s=None if found.for_s is None else round(found.for_s, 3),
            why=found.why,
            calm_left_s=None if found.calm_left_s is None else round(found.calm_left_s, 3),
        )
        for found in shown
    )


def shed_warnings(shedding: Shedding | None, service: ServiceName) -> tuple[str, ...]:
    """What keeps a backend of `service` from being switched."""
    return () if shedding is None else shedding.warnings(service)
