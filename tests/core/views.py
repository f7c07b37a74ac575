"""Views to start from: dc2 stands by, dc1 holds epoch 2 and serves."""

from bgp.policy import Stance
from controller.core.model import (
    DatabaseKind,
    DatabaseName,
    DatabaseReport,
    DatabaseState,
    Durability,
    Epoch,
    EpochRecord,
    Instant,
    Liveness,
    Role,
    Seen,
    ServiceName,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.position import LogFormat, Position
from controller.core.view import OtherSite, OwnSide, ServiceSpec, View

DC1, DC2, WITNESS = SiteName("dc1"), SiteName("dc2"), SiteName("witness")
LEDGER = DatabaseName("ledger")
WALLET = ServiceName("wallet")
HERE = Seen(control_s=0.05, front_s=0.05, data_s=0.05)
GONE = Seen(control_s=0.8, front_s=0.9, data_s=0.9)
END = Position(epoch=2, format=LogFormat.LSN, text="0/3000060")


def spec() -> ServiceSpec:
    """One service with one database."""
    return ServiceSpec(
        name=WALLET,
        durability=Durability.QUORUM,
        data_sites=(DC1, DC2),
        witnesses=(WITNESS,),
        databases=(LEDGER,),
        initial_holder=DC1,
    )


def standby_state() -> DatabaseState:
    """dc2's copy, following as a voter."""
    return DatabaseState(
        name=LEDGER,
        kind=DatabaseKind.POSTGRES,
        liveness=Liveness.RUNNING,
        epoch=Epoch(2),
        position=END,
        upstream=DC1,
        receiving=True,
        streaming=True,
    )


def report_of_dc1(*, yielding: str = "") -> ServiceReport:
    """dc1 is primary."""
    state = DatabaseState(
        name=LEDGER,
        kind=DatabaseKind.POSTGRES,
        liveness=Liveness.RUNNING,
        writable=True,
        epoch=Epoch(2),
        position=END,
        gate_open=True,
        admitted=frozenset({DC2, WITNESS}),
    )
    voter = VoterState(database=LEDGER, promised=Epoch(2), sealed=False, position=END)
    return ServiceReport(
        service=WALLET,
        role=Role.PRIMARY,
        epoch=Epoch(2),
        stance=Stance.PREFERRED,
        rule=401,
        reason="",
        healthy=not yielding,
        eligible=True,
        yielding=yielding,
        databases=(DatabaseReport(state=state, voter=voter),),
    )


RECORD = EpochRecord(
    epoch=Epoch(2), holder=DC1, kind="bootstrap", reason="", asked_by="", at="", revision=7
)


def dc2_view(
    *,
    seen: Seen = HERE,
    told: Seen = HERE,
    witness: Seen = HERE,
    store_ok: bool = True,
    paused: str = "",
    promised: int = 2,
    changed_s: float = float("inf"),
    report: ServiceReport | None = None,
    record: EpochRecord = RECORD,
    stance: Stance = Stance.BACKUP,
    directed: str = "dc1",
) -> View:
    """dc2 stands by, but for what is turned."""
    return View(
        now=Instant(100.0),
        me=DC2,
        spec=spec(),
        own=OwnSide(
            databases=(standby_state(),),
            promised=Epoch(promised),
            apps_up=2,
            apps_total=2,
            directed_to=frozenset({SiteName(directed)}),
            stance=stance,
            stance_epoch=Epoch(promised),
            sessions_up=2,
            sessions_total=2,
        ),
        record=record,
        record_seen_s=0.1 if store_ok else 2.0,
        record_unchanged_s=50.0,
        store_ok=store_ok,
        others={
            DC1: OtherSite(
                report=report or report_of_dc1(),
                report_age_s=0.5,
                seen=seen,
                seen_by={WITNESS: told},
            ),
            WITNESS: OtherSite(report=None, seen=witness),
        },
        paused=paused,
        changed_s=changed_s,
    )
