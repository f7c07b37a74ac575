"""Short plain histories whose every boundary is searched."""

from dataclasses import dataclass

from controller.core.requests import Kind
from tests.sim.plan import Fault, Mend, Plan

BEGINS_S = 5.0
ENDS_S = 8.0  # after the first fault: the ladders are climbed


@dataclass(frozen=True, slots=True)
class Scene:
    """A shape, the faults that set ladders going, and how much of it is searched."""

    name: str
    shape: str
    faults: tuple[Fault, ...]
    takeover: bool = False  # every set of links is cut in it, too
    begins_s: float = BEGINS_S
    most_of_a_kind: int = 2  # boundaries of one intent of one site

    def plan(self, seed: int) -> Plan:
        """The history without a crash."""
        return Plan(seed, self.shape, self.faults, self.begins_s + ENDS_S)


SCENES: tuple[Scene, ...] = (
    Scene(
        "dc1 is cut off and comes back",
        "postgres",
        (Fault("cut_site", ("dc1",), BEGINS_S, mend=Mend("heal_site", ("dc1",), 4.0)),),
        takeover=True,
    ),
    Scene(
        "the MariaDB of dc1 is killed",
        "mariadb",
        (Fault("crash", ("ledger", "dc1"), BEGINS_S),),
        takeover=True,
    ),
    Scene(
        "the PostgreSQL of dc1 is killed",
        "postgres",
        (Fault("crash", ("ledger", "dc1"), BEGINS_S),),
    ),
    Scene(
        "dc1 loses power and comes back",
        "mariadb",
        (Fault("power_off", ("dc1",), BEGINS_S, mend=Mend("power_on", ("dc1",), 3.0)),),
    ),
    Scene("the cluster starts", "both", (), begins_s=0.0),
    Scene(
        "a switchover",
        "postgres",
        (Fault("request", (Kind.SWITCHOVER.value, "wallet", "dc2"), BEGINS_S),),
        takeover=True,
    ),
    Scene(
        "an operator's failover",
        "mariadb",
        (Fault("request", (Kind.FAILOVER.value, "wallet", "dc2"), BEGINS_S),),
    ),
    Scene(
        "a copy is made anew",
        "postgres",
        (Fault("repair", (Kind.REINIT.value, "dc2", "ledger"), BEGINS_S),),
    ),
    Scene(
        "a MySQL copy is made anew",
        "mysql",
        (Fault("repair", (Kind.REINIT.value, "dc2", "ledger"), BEGINS_S),),
    ),
    Scene(
        "a lease is lost",
        "lease",
        (Fault("cut_site", ("dc1",), BEGINS_S, mend=Mend("heal_site", ("dc1",), 5.0)),),
    ),
)

# What crashes at a boundary: a process or a host of either side, or of the witness.
CRASHES: tuple[Fault, ...] = (
    Fault("crash", ("controller", "dc1")),
    Fault("crash", ("controller", "dc2")),
    Fault("crash", ("witness", "witness")),
    Fault("crash", ("ledger", "dc1")),
    Fault("crash", ("ledger", "dc2")),
    Fault("crash", ("ledger keeper", "witness")),
    Fault("freeze", ("ledger", "dc1"), mend=Mend("thaw", ("ledger", "dc1"), 3.0)),
    Fault("freeze", ("controller", "dc1"), mend=Mend("thaw", ("controller", "dc1"), 3.0)),
    Fault("freeze", ("controller", "dc2"), mend=Mend("thaw", ("controller", "dc2"), 3.0)),
    Fault("power_off", ("dc1",), mend=Mend("power_on", ("dc1",), 2.0)),
    Fault("power_off", ("dc2",), mend=Mend("power_on", ("dc2",), 2.0)),
    Fault("power_off", ("witness",), mend=Mend("power_on", ("witness",), 2.0)),
    Fault("cut_site", ("dc2",), mend=Mend("heal_site", ("dc2",), 3.0)),
)

# Every set of these is cut, each direction by itself.
_SITES = ("dc1", "dc2", "witness")
LINKS: tuple[Fault, ...] = tuple(
    Fault(
        "cut_one_way",
        (sender, receiver, "all"),
        mend=Mend("heal_one_way", (sender, receiver, "all"), 2.5),
    )
    for sender in _SITES
    for receiver in _SITES
    if sender != receiver
)
