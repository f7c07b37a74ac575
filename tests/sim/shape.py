"""How big a simulated cluster is, and what it is made of."""

from dataclasses import dataclass, replace

from controller.core.model import DatabaseKind, DatabaseName, Durability, ServiceName, SiteName
from controller.core.view import ServiceSpec, Timings

PG, MARIADB, MYSQL = DatabaseKind.POSTGRES, DatabaseKind.MARIADB, DatabaseKind.MYSQL


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceShape:
    """One service."""

    name: str
    databases: tuple[tuple[str, DatabaseKind], ...] = (("ledger", PG),)
    durability: Durability = Durability.QUORUM
    holder: int = 0  # which data site holds it first


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One cluster."""

    data_sites: int = 2
    witnesses: int = 1
    services: tuple[ServiceShape, ...] = (ServiceShape(name="wallet"),)
    clients_pace_s: float = 0.4
    calm: float = 6.0  # so many times slower do clients write while nothing happens
    delay_s: float = 0.001
    flap_window_s: float = 20.0

    @property
    def data_names(self) -> tuple[SiteName, ...]:
        """dc1, dc2, ..."""
        return tuple(SiteName(f"dc{n + 1}") for n in range(self.data_sites))

    @property
    def witness_names(self) -> tuple[SiteName, ...]:
        """witness, witness2, ..."""
        names = ["witness", *(f"witness{n + 1}" for n in range(1, self.witnesses))]
        return tuple(SiteName(name) for name in names[: self.witnesses])

    def specs(self) -> dict[ServiceName, ServiceSpec]:
        """What the deciding code is configured with."""
        timings = replace(Timings(), flap_window_s=self.flap_window_s)
        return {
            ServiceName(service.name): ServiceSpec(
                name=ServiceName(service.name),
                durability=service.durability,
                data_sites=self.data_names,
                witnesses=self.witness_names,
                databases=tuple(DatabaseName(name) for name, _ in service.databases),
                initial_holder=self.data_names[service.holder],
                weights=dict.fromkeys(self.data_names, 100),
                timings=timings,
            )
            for service in self.services
        }


SHAPES: dict[str, Shape] = {
    "postgres": Shape(),
    "mariadb": Shape(services=(ServiceShape(name="wallet", databases=(("ledger", MARIADB),)),)),
    "mysql": Shape(services=(ServiceShape(name="wallet", databases=(("ledger", MYSQL),)),)),
    "both": Shape(
        services=(ServiceShape(name="wallet", databases=(("ledger", PG), ("events", MARIADB))),)
    ),
    "two": Shape(
        services=(
            ServiceShape(name="wallet"),
            ServiceShape(name="shop", databases=(("stock", MARIADB),), holder=1),
        )
    ),
    "lease": Shape(
        clients_pace_s=0.1,
        services=(ServiceShape(name="gate", databases=(), durability=Durability.LEASE),),
    ),
    "three": Shape(data_sites=3),
    "five": Shape(data_sites=2, witnesses=3),
}
