"""Role changes as people read them: a line each, and everything that is known of one."""

from collections.abc import Iterable, Iterator
from typing import Final

from rich.text import Text

from controller.cli.folded import folded
from controller.cli.status_view import BAD, DIM, ODD
from controller.cli.table import Cell, Column, Table
from controller.web.history_schema import (
    HistoryBeyond,
    HistoryLoss,
    HistorySite,
    HistoryStage,
    HistoryStep,
)
from controller.web.schema import History, HistoryEntry

COLUMNS: Final = (
    Column(title="Service"),
    Column(title="Epoch", right=True),
    Column(title="When", drop=1),
    Column(title="From -> to"),
    Column(title="Kind"),
    Column(title="Rule", right=True, drop=3),
    Column(title="Took", right=True, drop=5),
    Column(title="Out", right=True),
    Column(title="Lost"),
    Column(title="Outcome", drop=4),
    Column(title="Asked by", drop=2, cut=12),
    Column(title="Why", cut=12),
)
WORST: Final = ("possible", "unknown", "none")
LOST_STYLES: Final = {"possible": BAD, "unknown": ODD}
WIDTH_MAX: Final = 100  # of a pipe, too


def history_table(found: History) -> Table:
    """One row per role change."""
    table = Table(f"Cluster: {found.cluster} | role changes", COLUMNS)
    for change in found.changes:
        worst = lost(change)
        table.add(
            Cell(change.service),
            Cell(str(change.epoch)),
            Cell(change.began_at.replace("T", " ")),
            Cell(f"{change.previous_holder or '-'} -> {change.holder}"),
            Cell(change.kind, "yellow" if change.kind == "failover" else ""),
            Cell(str(change.rule) if change.rule else ""),
            Cell(_seconds(change.took_s)),
            Cell(_seconds(change.outage_s)),
            Cell(worst, LOST_STYLES.get(worst, "")),
            Cell(change.outcome, "" if change.outcome == "ok" else "bold red"),
            Cell(change.asked_by),
            Cell(change.reason),
        )
    return table


def lost(change: HistoryEntry) -> str:
    """The worst of its databases; "" where nothing was recorded."""
    said = {loss.acknowledged for loss in change.losses}
    return next((word for word in WORST if word in said), "")


def change_lines(change: HistoryEntry, width: int) -> Iterator[Text]:
    """Everything that is known of one role change."""
    width = min(width, WIDTH_MAX)
    title = (
        f"{change.service} epoch {change.epoch}, {change.previous_holder or '-'} -> "
        f"{change.holder}: {change.reason}"
    )
    yield Text("")
    yield from folded("", title, width, "bold")
    yield from folded("  ", _by(change), width)
    yield from _outage_lines(change, width)
    for loss in change.losses:
        yield from _loss_lines(loss, width)
    for site in change.sites:
        for gone in site.discarded:
            told = f"{site.site} brought {gone.database} back, and threw away: {gone.what}"
            yield from folded("  ", told, width)
    if change.order is not None and change.order.statement:
        yield from folded("  ", f"was said to be lost: {change.order.statement}", width, BAD)
    for site in change.sites:
        if site.routes:
            yield from folded("  ", f"routes of {site.site}: {_stages(site.routes)}", width)
    for outside in change.outside:
        lead = f"requests from {outside.vantage} entered at"
        yield from folded("  ", f"{lead} {_stages(outside.entered)}", width)
    for name, value in change.evidence.items():
        yield Text(f"  {name} = {value}")
    for step in change.steps:
        name = f"{step.name} ({step.database})" if step.database else step.name
        mark = "x" if step.done else " "
        detail = f"  {step.detail}" if step.detail else ""
        yield Text(f"  [{mark}] {name:<32} {_seconds(step.took_s):>9}{detail}")
    for site in change.sites:
        yield from climbed_lines(site, width)


def _by(change: HistoryEntry) -> str:
    parts = [f"{change.kind}, rule {change.rule}" if change.rule else change.kind]
    if change.asked_by:
        parts.append(f"asked by {change.asked_by}")
    if change.order is not None:
        where = f" at {change.order.asked_at}" if change.order.asked_at else ""
        parts.append(f"request {change.order.request} ({change.order.kind}){where}")
        if change.order.approved_by:
            parts.append(f"approved by {', '.join(change.order.approved_by)}")
    parts.append(f"{change.outcome} after {_seconds(change.took_s) or 'an unknown time'}")
    return ", ".join(parts)


def _outage_lines(change: HistoryEntry, width: int) -> Iterator[Text]:
    if change.outage_s is not None:
        told = f"no answer for {_seconds(change.outage_s)}, since {change.outage_from}"
        yield from folded("  ", told, width)
    held = [
        f"{_seconds(site.held_s)} at {site.site}"
        for site in change.sites
        if site.held_s is not None
    ]
    if held:
        yield from folded("  ", f"requests were held for {', '.join(held)}", width)


def _loss_lines(loss: HistoryLoss, width: int) -> Iterator[Text]:
    proof = f"{_and(loss.sealed)} sealed, {loss.needed} needed"
    if loss.excused:
        proof += f", without {_and(loss.excused)}"
    held = f", which {loss.source} held" if loss.source else ""
    said = {
        "none": "nothing acknowledged is lost",
        "possible": "some of what follows may have been acknowledged",
        "unknown": f"not known, for what {_and(loss.excused)} held was never seen",
    }.get(loss.acknowledged, loss.acknowledged)
    sentence = f"lost of {loss.database}: {said} ({proof}); goes on from {loss.begins}{held}"
    yield from folded("  ", sentence, width, LOST_STYLES.get(loss.acknowledged, ""))
    for beyond in loss.beyond:
        whose = "no client was told of" if beyond.site not in loss.excused else "it held alone"
        yield from folded("    ", f"{_beyond(beyond)}, which {whose}", width)


def _beyond(beyond: HistoryBeyond) -> str:
    size = "records that are in no one order" if beyond.size is None else ""
    size = size or f"{beyond.size} {beyond.unit}"
    return f"{beyond.site} threw away {size}: after {beyond.after} up to {beyond.up_to}"


def climbed_lines(site: HistorySite, width: int) -> Iterator[Text]:
    """What a site that is not the new holder has done for it, and when."""
    ladders: dict[str, list[HistoryStep]] = {}
    for step in site.steps:
        ladders.setdefault(step.ladder, []).append(step)
    for ladder, steps in ladders.items():
        reached = [(step.name, step.database, step.at_s) for step in steps]
        yield from folded("  ", climbed(site.site, ladder, reached), width, DIM)


def climbed(site: str, ladder: str, steps: Iterable[tuple[str, str, float | None]]) -> str:
    """Steps (name, database, seconds) in the order in which they were reached, in one sentence."""
    told = (
        (f"{name} ({database})" if database else name) + ("" if at_s is None else f" {at_s:+.3f} s")
        for name, database, at_s in steps
    )
    return f"{site} climbed {ladder}: {', '.join(told)}"


def _stages(stages: Iterable[HistoryStage]) -> str:
    first, *rest = stages
    return ", ".join([first.what, *(f"{s.what} after {s.at_s:.3f} s" for s in rest)])


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(names) or "nobody"


def _seconds(took_s: float | None) -> str:
    return "" if took_s is None else f"{took_s:.3f} s"
