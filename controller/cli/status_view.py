"""A status as people read it: one table per service, and what it means below."""

from collections.abc import Iterator

from rich.text import Text

from controller.cli.table import Cell, Column, Table
from controller.notify.derive import LOUD
from controller.web.drill_schema import DrillView
from controller.web.fence_schema import ClosingView, FenceView
from controller.web.schema import (
    DatabaseView,
    OpenChange,
    RejoinView,
    RequestView,
    ServiceView,
    ShedView,
    SiteView,
    Status,
)
from controller.web.weights_schema import WeightsView

GOOD, BAD, ODD, DIM = "green", "bold red", "yellow", "dim"
REPAIRS = frozenset({"rejoin", "reinit"})
DEMOTION, PROMOTION = "demote-voter", "promote-voter"
OLD_HEARTBEAT_S = 3.0
OLD_REPORT_S = 15.0

COLUMNS = (
    Column(title="Site"),
    Column(title="Role"),
    Column(title="Health"),
    Column(title="Database"),
    Column(title="State", drop=5),
    Column(title="Position", cut=14, drop=1),
    Column(title="Lag", right=True, drop=4),
    Column(title="Voter"),
    Column(title="Stance"),
    Column(title="Heard", right=True, drop=2),
    Column(title="Rule", right=True, drop=6),
)


def status_lines(status: Status, width: int, only: str | None = None) -> Iterator[Text]:
    """The whole page; `only` names the one service that is wanted."""
    for service in status.services:
        if only in (None, service.name):
            yield from service_table(status, service).lines(width)
            yield from footer(service)
            yield Text("")
    yield from fence_lines(status.fences)
    yield from _store_lines(status)


def service_table(status: Status, service: ServiceView) -> Table:
    """One row per site and database."""
    title = (
        f"Cluster: {status.cluster} | service: {service.name} | epoch: {service.epoch}"
        f" | holder: {service.holder or 'nobody'}"
    )
    table = Table(title, COLUMNS)
    several = any(len(site.databases) > 1 for site in service.sites)
    for site in service.sites:
        answering = site.site == status.site
        rows: tuple[DatabaseView | None, ...] = site.databases or (None,)
        for number, database in enumerate(rows):
            head = _site_cells(site, answering=answering) if number == 0 else ((Cell(),) * 3, ())
            table.add(
                *head[0],
                *_database_cells(service, site, database),
                *(head[1] or (Cell(),) * 3),
                rule=several and number == 0,
            )
    return table


def _site_cells(site: SiteView, *, answering: bool) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    rule = Cell(str(site.rule) if site.rule else "", DIM)
    first = (Cell(site.site, "bold" if answering else ""), _role(site), _health(site))
    return first, (_stance(site), _heard(site, answering=answering), rule)


def _role(site: SiteView) -> Cell:
    styles = {"primary": GOOD, "standby": "", "witness": "", "isolated": BAD, "unknown": ODD}
    return Cell(site.role, styles.get(site.role, ODD))


def health_word(site: SiteView) -> str:
    """ok, ill, silent or unknown."""
    if site.report_age_s is not None and site.report_age_s > OLD_REPORT_S:
        return "silent"
    return {None: "unknown", True: "ok", False: "ill"}[site.healthy]


def _health(site: SiteView) -> Cell:
    if site.report_age_s is not None and site.report_age_s > OLD_REPORT_S:
        return Cell(f"silent {age(site.report_age_s)}", BAD)
    apps = f" {site.apps.up}/{site.apps.total}" if site.apps.total else ""
    if site.healthy is None:
        return Cell(f"unknown{apps}", ODD)
    short = site.apps.up < site.apps.total
    return Cell(
        f"{'ok' if site.healthy else 'ill'}{apps}",
        BAD if not site.healthy else (ODD if short else GOOD),
    )


def _stance(site: SiteView) -> Cell:
    if site.kind != "data":
        return Cell(f"sees {site.lands_at}" if site.lands_at else "", DIM)
    if site.stance is None:
        return Cell("unknown", ODD)
    styles = {"preferred": GOOD, "override": GOOD, "backup": "", "isolated": BAD}
    return Cell(site.stance, styles.get(site.stance, ODD))


def _heard(site: SiteView, *, answering: bool) -> Cell:
    if answering:
        return Cell("self", DIM)
    if site.heartbeat_age_s is None:
        return Cell("never", BAD)
    return Cell(age(site.heartbeat_age_s), BAD if site.heartbeat_age_s > OLD_HEARTBEAT_S else "")


def _database_cells(
    service: ServiceView, site: SiteView, database: DatabaseView | None
) -> tuple[Cell, Cell, Cell, Cell, Cell]:
    if database is None:
        return Cell(), Cell(), Cell(), Cell(), Cell()
    return (
        Cell(database.name, BAD if database.problems else ""),
        state_cell(database),
        Cell(database.position),
        _lag(database),
        voter_cell(service, site, database),
    )


def state_cell(database: DatabaseView) -> Cell:
    """What a database lets in."""
    if database.liveness != "running":
        return Cell(database.liveness, BAD if database.liveness == "down" else ODD)
    if database.writable:
        return Cell("open", GOOD) if database.gate_open else Cell("gate closed", ODD)
    return Cell("streaming", GOOD) if database.streaming else Cell("read-only", ODD)


def _lag(database: DatabaseView) -> Cell:
    if database.writable or database.lag_bytes is None:
        return Cell()
    return Cell(size(database.lag_bytes), "" if database.lag_bytes < 16 * 1024 * 1024 else ODD)


def voter_cell(service: ServiceView, site: SiteView, database: DatabaseView) -> Cell:
    """What a copy does for the quorum."""
    if service.record is not None and site.site in service.record.learners:
        return Cell("learner", DIM)
    if database.sealed:
        return Cell(f"sealed@{database.promised}", ODD)
    if database.writable:
        own = site.site == service.holder and database.epoch == service.epoch
        return Cell("primary", GOOD) if own else Cell("deposed", BAD)
    if database.streaming:
        return Cell("following", GOOD)
    return Cell("waiting" if database.upstream else "idle", ODD)


def footer(service: ServiceView) -> Iterator[Text]:
    """Pauses, an open role change, the guarantee in force, warnings, alarms."""
    if service.paused:
        yield _line("Paused", f"{service.paused} (no automatic role change)", BAD)
    if service.request is not None:
        yield _line("Request", request_line(service.request), ODD)
    if service.open_change is not None:
        yield _line("Role change", _change(service.open_change), ODD)
    if service.guarantee:
        yield _line("Guarantee", service.guarantee, "")
    if service.drill is not None and (said := _drill(service.drill)):
        yield _line("Drill", said, "")
    for shed in service.shed:
        if shed.off:
            yield _line("Shed", shed_line(shed), ODD)
    yield from _under_way(service)
    for warning in service.warnings:
        yield _line("Warning", warning, BAD if LOUD in warning else ODD)
    for site in service.sites:
        for database in site.databases:
            for problem in database.problems:
                yield _line("Alarm", f"{site.site} {database.name}: {problem}", BAD)


def _under_way(service: ServiceView) -> Iterator[Text]:
    """What is different for now: weights that were set, routes, databases that come back."""
    if service.weights is not None and service.weights.order is not None:
        yield _line("Weights", weights_line(service.weights), ODD)
    for site in service.sites:
        if site.more_specifics:
            said = f"{site.site} announces more-specifics: {', '.join(site.more_specifics)}"
            yield _line("Routes", said, ODD)
        for database in site.databases:
            if database.rejoin is not None:
                said = f"{site.site} {database.name}: {rejoin_line(database.rejoin)}"
                yield _line("Rejoin", said, ODD)


def request_line(request: RequestView) -> str:
    """What an operator asks, and how far it is."""
    waits = f", waits for {request.waits_for}" if request.waits_for else ""
    why = f": {request.state_why or request.reason}" if request.state_why or request.reason else ""
    who = f"{request.asked_by} at {request.asked_at}"
    what = f"{request.number}, {request.kind}{aim(request)}"
    return f"{what}, asked by {who}, {request.state}{waits}{why}"


def aim(request: RequestView) -> str:
    """What a request is about, after its kind; "" for the service itself."""
    if request.kind in REPAIRS:
        return f" of {request.database or 'every database'} at {request.target}"
    link = "to" if request.service and request.kind not in (DEMOTION, PROMOTION) else "of"
    return f" {link} {request.target}" if request.target else ""


def weights_line(weights: WeightsView) -> str:
    """What an operator has set, who, and why."""
    was_set = " ".join(f"{site.site}={site.weight}" for site in weights.sites if site.was_set)
    order = weights.order
    if order is None:
        return was_set or "as configured"
    agreed = f", approved by {', '.join(order.approved_by)}" if order.approved_by else ""
    return f"{was_set} set by {order.by} at {order.at_site}, {order.at}{agreed}: {order.reason}"


def rejoin_line(rejoin: RejoinView) -> str:
    """How far a returning database is, how fast, and when this phase ends."""
    head = f"{rejoin.phase} for {age(rejoin.phase_s)}"
    if rejoin.done_bytes is None:
        return head
    done, total = rejoin.done_bytes, rejoin.total_bytes
    far = f", {_finely(done)}"
    if total is not None:
        far += f"/{_finely(total)}" + (f" ({100 * done // total}%)" if total else "")
    rate = "" if rejoin.bytes_s is None else f", {size(round(rejoin.bytes_s))}/s"
    left = "" if rejoin.left_s is None else f", {age(rejoin.left_s)} left"
    return f"{head}{far}{rate}{left}"


def _finely(count: int) -> str:
    """As `size`, with tenths of gigabytes: a long way, of which each look shows some."""
    gigabytes = count / (1 << 30)
    return size(count) if gigabytes < 1 else f"{gigabytes:.1f}GB"


def _drill(drill: DrillView) -> str:
    """When the service was last rehearsed; nothing where nobody does."""
    due = f"; one is due every {drill.every_days} days" if drill.every_days else ""
    if drill.last is None:
        return f"never{due}" if due and drill.known else ""
    passed = "" if drill.age_days is None else f"passed {days(drill.age_days)} ago"
    if drill.last.verdict == "passed":
        gap = "" if drill.last.gap_s is None else f", {drill.last.gap_s:.3f} s without an answer"
        return f"{passed}{gap}{due}"
    return f"the last one {drill.last.verdict} ({drill.last.at}), {passed or 'none passed'}{due}"


def days(count: float) -> str:
    """Days for people; hours while there are few."""
    return f"{count:.0f} days" if count >= 2 else f"{count * 24:.0f} h"


def shed_line(shed: ShedView) -> str:
    """What is switched off, since when, and why."""
    left = "" if shed.calm_left_s is None else f"; back on after {age(shed.calm_left_s)} of calm"
    since = "" if shed.for_s is None else f" for {age(shed.for_s)}"
    return f"{shed.backend} is off here{since}: {shed.why or 'nothing asks for it'}{left}"


def _change(change: OpenChange) -> str:
    done = sum(step.done for step in change.steps)
    steps = f", {done} of {len(change.steps)} steps done" if change.steps else ""
    return f"{change.ladder}: at {change.step} for {age(change.since_s)}{steps}"


def fence_lines(fences: tuple[FenceView, ...]) -> Iterator[Text]:
    """Who is kept out, by whom, since when and why; and how the closing went."""
    for fence in fences:
        yield _line("FENCED", fence_line(fence), BAD if fence.in_force else ODD)
        for closing in fence.closings:
            yield _line("FENCED", closing_line(fence, closing), BAD if closing.failed else "")


def fence_line(fence: FenceView) -> str:
    """One sentence."""
    if not fence.in_force:
        keep = "keeps" if len(fence.told_by) == 1 else "keep"
        return f"{fence.site} is unfenced; {', '.join(fence.told_by)} still {keep} it out"
    why = f"by {fence.by} since {fence.at}: {fence.reason}"
    tried = "" if fence.closings else "; no other site has tried to close its databases yet"
    return f"{fence.site} is kept out, {why}{tried}; tricast unfence {fence.site} ends it"


def closing_line(fence: FenceView, closing: ClosingView) -> str:
    """One sentence."""
    if not closing.failed:
        return f"{fence.site}: {closing.by} closed its databases of {closing.service}"
    failed = "; ".join(closing.failed)
    return f"{fence.site}: {closing.by} could not close all of {closing.service}: {failed}"


def _store_lines(status: Status) -> Iterator[Text]:
    if not status.store.ok:
        detail = status.store.detail or "no majority answers"
        yield _line("Store", f"{detail}; roles stay as they are, traffic goes on", BAD)
    elif status.store.detail:
        yield _line("Store", status.store.detail, "")
    yield from _configuration_lines(status)
    yield Text(f" {status.now} as seen by {status.site}", style=DIM)


def _configuration_lines(status: Status) -> Iterator[Text]:
    """The file of the answering daemon, when it no longer says what the daemon runs with."""
    found = status.configuration
    if found is None or found.disk == "same":
        return
    then = f"{status.site} goes on with what it read at {found.read_at}"
    if found.disk == "changed":
        sentence = f"{found.file} has changed, {then}; what differs: tricast config diff"
        yield _line("Configuration", sentence, ODD)
        return
    why = "cannot be used any more" if found.disk == "unusable" else "cannot be read any more"
    sentence = f"{found.file} {why} ({found.detail}): {then}, and would not start again"
    yield _line("Configuration", sentence, BAD)


def _line(label: str, text: str, style: str) -> Text:
    line = Text().append(f" {label}: ", style="bold")
    line.append(text, style=style)
    return line


def age(seconds: float) -> str:
    """Short, for tables: 0.1s, 12s, 5m, 3h."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 120:
        return f"{seconds:.0f}s"
    if seconds < 7200:
        return f"{seconds / 60:.0f}m"
    return f"{seconds / 3600:.0f}h"


def size(count: int) -> str:
    """Bytes for people: 0, 512B, 3kB, 16MB."""
    if count < 1024:
        return f"{count}B" if count else "0"
    for unit in ("kB", "MB", "GB"):
        count = (count + 512) // 1024
        if count < 1024:
            return f"{count}{unit}"
    return f"{count}GB"
