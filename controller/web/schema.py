"""What the API answers: the records that the daemon makes and the command line reads.

Format 1. Fields are only ever added; a reader ignores those it does not know, so that an old
`tricast status` reads a new daemon. Durations and ages are seconds; what is unknown is null.
"""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from controller.web.answer import FORMAT, Answer
from controller.web.audit_schema import (
    AuditAnchors,
    AuditArchive,
    AuditArchived,
    AuditArchiveDone,
    AuditFiles,
    AuditLog,
    AuditVerdict,
    AuditView,
)
from controller.web.config_schema import ConfigDiff, ConfigShown, ConfigView, RunningConfig
from controller.web.doctor_schema import Checkup
from controller.web.drill_schema import DrillNote, DrillNoted, DrillPlan, DrillReport, DrillView
from controller.web.fence_schema import FenceView
from controller.web.history_schema import HistoryLoss, HistoryOrder, HistoryOutside, HistorySite
from controller.web.notify_schema import Notifications, NotificationsView, NotifyAsk, NotifyTest
from controller.web.plan_schema import Plan
from controller.web.printed_schema import Event, Topology
from controller.web.record_schema import RecordView
from controller.web.voters_schema import Voters
from controller.web.weights_schema import Weights, WeightsView


class StoreView(Answer):
    """The store as the answering site sees it."""

    ok: bool
    detail: str = ""
    leader: str = ""  # site of the member that leads; "" for unknown


class StepView(Answer):
    """One rung of a ladder."""

    name: str
    database: str = ""
    done: bool = False
    took_s: float | None = None
    detail: str = ""
    began_s: float = 0.0  # of something done, in a finished change: since the change began


class OpenChange(Answer):
    """A ladder that is being climbed by the answering site."""

    ladder: str
    step: str  # the first rung that is not reached
    since_s: float = 0.0
    steps: tuple[StepView, ...] = ()


class Apps(Answer):
    """App servers of a site, as haproxy finds them."""

    up: int = 0
    total: int = 0


class RejoinView(Answer):
    """How far a returning database is: rewound or copied, then catching up with its primary."""

    phase: str  # as the work calls it: stop, rewind, base backup, copy, prepare, catching up...
    since_s: float = 0.0  # since the rejoin was first seen
    phase_s: float = 0.0  # since this phase began
    done_bytes: int | None = None
    total_bytes: int | None = None  # as far as it is known before the end
    bytes_s: float | None = None  # lately, per second
    left_s: float | None = None  # of this phase, at that rate
    age_s: float = 0.0  # since the answering site heard of it


class DatabaseView(Answer):
    """One database of a site, or the keeper of a witness site, and its voter."""

    name: str
    kind: str
    liveness: str = "unknown"  # running | starting | down | unknown
    writable: bool = False
    epoch: int = 0
    position: str = ""
    lag_bytes: int | None = None
    upstream: str | None = None
    streaming: bool = False
    gate_open: bool = False
    promised: int = 0
    sealed: bool = False
    problems: tuple[str, ...] = ()
    rejoin: RejoinView | None = None  # while it comes back


class SiteView(Answer):
    """One site, for one service, as the answering site knows it."""

    site: str
    kind: str  # data | witness
    role: str = "unknown"
    rule: int = 0
    reason: str = ""
    healthy: bool | None = None
    stance: str | None = None
    report_age_s: float | None = None
    heartbeat_age_s: float | None = None  # null for the answering site itself, or never heard
    eligible: bool = False
    not_eligible_because: tuple[str, ...] = ()
    evidence: dict[str, str] = Field(default_factory=dict)
    apps: Apps = Apps()
    databases: tuple[DatabaseView, ...] = ()
    lands_at: str = ""  # of a witness: which site answers on the service address
    more_specifics: tuple[str, ...] = ()  # announced beside the service's own prefixes
    # Of the answering site only; of another one its own daemon has to be asked.
    sessions_up: int | None = None
    sessions_total: int | None = None
    directed_to: tuple[str, ...] | None = None  # sites whose servers its haproxy sends to
    held: bool | None = None  # its haproxy lets new requests wait


class RequestView(Answer):
    """What an operator asked, and how far it is."""

    number: int
    kind: str  # that of Ask, or of what ends an order: resume, undrain, unfence
    service: str = ""  # "" for a whole site's
    target: str = ""
    reason: str = ""
    asked_by: str
    asked_at: str  # the site whose daemon was asked, and the certificate that was shown
    at: str
    state: str  # open | running | done | failed | refused | lapsed | withdrawn
    state_by: str = ""
    state_why: str = ""
    state_at: str = ""
    waits_for: str = ""
    epoch: int = 0
    holder: str = ""
    plan: str = ""
    statement: str = ""  # what may be lost
    approvals_needed: int = 0
    approved_by: tuple[str, ...] = ()
    age_s: float | None = None  # since the answering daemon first saw it
    approvers: tuple[str, ...] = ()  # groups that may approve; none: whoever may ask
    lapses_in_s: float | None = None  # while it waits for approvals
    broke_glass: str = ""  # the policy that was passed over
    database: str = ""  # of rejoin and reinit; "" for every one of the service


class RequestAnswer(Answer):
    """The answer to POST /api/v1/requests and to its verdicts."""

    format: int = FORMAT
    cluster: str
    site: str
    request: RequestView


class Requests(Answer):
    """GET /api/v1/requests: newest first, by service; drains last."""

    format: int = FORMAT
    cluster: str
    site: str
    requests: tuple[RequestView, ...] = ()


class Ask(BaseModel):
    """POST /api/v1/requests: who asks is told by the connection itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str  # switchover | failover | pause | ack | force-single | drain | weights
    service: str = ""
    target: str = ""
    reason: str = Field(default="", max_length=500)
    allow_data_loss: bool = False
    lasts_s: float | None = Field(default=None, gt=0, le=31_536_000)
    not_before_s: float = Field(default=0.0, ge=0, le=31_536_000)
    plan: str = ""  # as shown before; what is asked must still be the same
    dry: bool = False  # show what would be asked, and change nothing
    break_glass: bool = False  # at once, past the policy; needs a reason
    weights: dict[str, int] = Field(default_factory=dict)  # by site; none: as configured
    database: str = Field(default="", max_length=100)  # of rejoin and reinit


class Verdict(BaseModel):
    """POST /api/v1/requests/approve and .../decline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(default=0, ge=0)  # 0: the newest
    kind: str = ""  # when given, the request has to be of that kind
    service: str = ""
    target: str = ""  # of a drain or a fence: the site
    plan: str = ""  # of an approval
    reason: str = Field(default="", max_length=500)
    break_glass: bool = False  # of an end of a standing order, as in Ask


class ShedView(Answer):
    """A low-priority backend, at the answering site's haproxy."""

    backend: str
    off: bool | None = None  # null: haproxy does not answer, or has no gate for it
    for_s: float | None = None  # since it was switched, or haproxy was started
    why: str = ""  # while it is to be off
    calm_left_s: float | None = None  # until it is on again, if nothing happens


class ServiceView(Answer):
    """One service, all sites."""

    name: str
    durability: str
    epoch: int = 0
    holder: str = ""
    record: RecordView | None = None
    guarantee: str = ""
    paused: str = ""  # the operator's reason
    warnings: tuple[str, ...] = ()
    open_change: OpenChange | None = None
    request: RequestView | None = None  # the one that is open
    sites: tuple[SiteView, ...] = ()
    shed: tuple[ShedView, ...] = ()  # what may be switched off under strain
    drill: DrillView | None = None
    weights: WeightsView | None = None  # null from a witness


class HistoryEntry(Answer):
    """A finished role change."""

    service: str
    epoch: int
    previous_holder: str = ""
    holder: str
    kind: str
    reason: str
    rule: int = 0
    asked_by: str = ""
    began_at: str = ""
    took_s: float | None = None
    outcome: str = "ok"
    evidence: dict[str, str] = Field(default_factory=dict)
    steps: tuple[StepView, ...] = ()
    # What the sites have said of it since; empty where none has, as of changes by older versions.
    outage_s: float | None = None  # until the service address answered the new holder
    outage_from: str = ""  # since when that is counted
    order: HistoryOrder | None = None
    losses: tuple[HistoryLoss, ...] = ()  # one for each database; empty: nothing was recorded
    sites: tuple[HistorySite, ...] = ()
    outside: tuple[HistoryOutside, ...] = ()


class Status(Answer):
    """GET /api/v1/status."""

    format: int = FORMAT
    cluster: str
    site: str  # who answers
    version: str = ""
    now: str
    store: StoreView
    services: tuple[ServiceView, ...] = ()
    drains: tuple[RequestView, ...] = ()  # orders in force
    fences: tuple[FenceView, ...] = ()  # in force, or not over everywhere
    history: tuple[HistoryEntry, ...] = ()  # the last 20, newest first
    audit: AuditView | None = None
    notifications: NotificationsView | None = None
    configuration: ConfigView | None = None


class SiteExplanation(Answer):
    """Why one site does what it does."""

    site: str
    role: str
    rule: int
    reason: str
    evidence: dict[str, str] = Field(default_factory=dict)
    eligible: bool = False
    not_eligible_because: tuple[str, ...] = ()
    report_age_s: float | None = None


class ServiceExplanation(Answer):
    """Why a service is where it is."""

    name: str
    epoch: int
    holder: str
    record: RecordView | None = None
    paused: str = ""
    guarantee: str = ""
    warnings: tuple[str, ...] = ()
    open_change: OpenChange | None = None
    request: RequestView | None = None
    sites: tuple[SiteExplanation, ...] = ()


class Explanation(Answer):
    """GET /api/v1/explain."""

    format: int = FORMAT
    cluster: str
    site: str
    now: str
    store: StoreView
    services: tuple[ServiceExplanation, ...] = ()
    fences: tuple[FenceView, ...] = ()


class Move(RequestView):
    """What `tricast switchover` and `failover` print as JSON: the request, and what it took."""

    change: HistoryEntry | None = None  # null: not done, not waited for, or not verified in time


class History(Answer):
    """GET /api/v1/history."""

    format: int = FORMAT
    cluster: str
    site: str
    changes: tuple[HistoryEntry, ...] = ()  # newest first


def explain(status: Status) -> Explanation:
    """The part of a status that says why."""
    return Explanation(
        cluster=status.cluster,
        site=status.site,
        now=status.now,
        store=status.store,
        services=tuple(_explain_service(service) for service in status.services),
        fences=status.fences,
    )


def _explain_service(service: ServiceView) -> ServiceExplanation:
    return ServiceExplanation(
        name=service.name,
        epoch=service.epoch,
        holder=service.holder,
        record=service.record,
        paused=service.paused,
        guarantee=service.guarantee,
        warnings=service.warnings,
        open_change=service.open_change,
        request=service.request,
        sites=tuple(
            SiteExplanation(
                site=site.site,
                role=site.role,
                rule=site.rule,
                reason=site.reason,
                evidence=site.evidence,
                eligible=site.eligible,
                not_eligible_because=site.not_eligible_because,
                report_age_s=site.report_age_s,
            )
            for site in service.sites
        ),
    )


def json_schema() -> str:
    """The JSON schema of every answer and every body, as kept in docs/api/status.v1.json."""
    answers: tuple[type[Answer], ...] = (
        *(Status, Explanation, History, RequestAnswer, Requests, Move),
        *(
            AuditLog,
            AuditAnchors,
            AuditFiles,
            AuditArchive,
            AuditArchived,
            AuditArchiveDone,
            AuditVerdict,
        ),
        *(Notifications, NotifyTest),
        *(Topology, Event, Checkup, Voters, Weights),
        *(DrillNoted, DrillPlan, DrillReport),
        *(Plan, RunningConfig, ConfigShown, ConfigDiff),
    )
    schemas: dict[str, dict[str, Any]] = {
        answer.__name__: answer.model_json_schema(mode="serialization") for answer in answers
    }
    asked: tuple[type[BaseModel], ...] = (Ask, Verdict, NotifyAsk, DrillNote)
    schemas |= {body.__name__: body.model_json_schema(mode="validation") for body in asked}
    return json.dumps(schemas, indent=2, sort_keys=True) + "\n"
