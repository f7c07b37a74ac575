"""A drill as people read it: on a terminal, as Markdown, and as one page that stands alone."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from rich.text import Text

from controller.cli.diagrams import timeline
from controller.cli.status_view import BAD, DIM, GOOD, ODD, days
from controller.web.drill_schema import DrillMove, DrillPlan, DrillReport

STYLES: Final = {"passed": GOOD, "failed": BAD, "aborted": ODD}
DOING: Final = "intent "
Rows = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]  # heads, and rows

CSS: Final = """\
:root { color-scheme: light dark; --page: #fff; --ink: #17202c; --soft: #566476; --rule: #e3e8ef;
  --passed: #0b5c38; --failed: #96281b; --aborted: #7a4a06; --lane: #f5f7fa }
@media (prefers-color-scheme: dark) { :root { --page: #10151d; --ink: #e8edf4; --soft: #9dabbd;
  --rule: #2c3747; --passed: #a5e8c6; --failed: #f7b9ae; --aborted: #f3cf95; --lane: #171e29 } }
body { background: var(--page); color: var(--ink); max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; font: 15px/1.5 Inter, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
h1 { font-size: 1.5rem; margin: 0 0 .3rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
.verdict { font-weight: 600; text-transform: uppercase; letter-spacing: .04em }
.passed { color: var(--passed) } .failed { color: var(--failed) } .aborted { color: var(--aborted) }
.dim { color: var(--soft) } .wide { overflow-x: auto } svg { max-width: 100%; height: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: top } th { font-weight: 600; color: var(--soft) }
"""


def summary(report: DrillReport) -> str:
    """One sentence."""
    there = f"{report.home} to {report.target}" + (" and back" if report.goes_back else "")
    return f"drill of {report.service}, {there}: {report.verdict}"


def about(report: DrillReport) -> tuple[tuple[str, str], ...]:
    """Who, when, why."""
    approved = sorted({name for move in report.moves for name in move.approved_by})
    known = (
        ("began", report.began_at),
        ("took", f"{report.took_s:.1f} s"),
        ("asked by", f"{report.asked_by or 'nobody'} at {report.site}, cluster {report.cluster}"),
        ("approved by", ", ".join(approved)),
        ("reason", report.reason),
        ("ended early", report.aborted),
        ("is now at", report.holder),
        ("every site knows", "" if report.noted else "no: it is not noted in the store"),
    )
    return tuple((name, value) for name, value in known if value)


def objectives(report: DrillReport) -> Rows:
    """Each objective with what was measured."""
    rows = [
        (o.name, o.wanted, o.measured, "passed" if o.passed else "failed")
        for o in report.objectives
    ]
    return ("objective", "promised", "measured", "verdict"), rows


def moves(report: DrillReport) -> Rows:
    """Each move with its times."""
    heads = ("move", "request", "asked at", "served after", "epoch", "steps", "longest gap", "lost")
    return heads, [_move_row(move) for move in report.moves]


def _move_row(move: DrillMove) -> tuple[str, ...]:
    served = "-" if move.settled_s is None else f"{move.settled_s - move.asked_s:.1f} s"
    request = f"{move.request}, {move.state}" if move.request else move.state
    return (
        f"{move.source} to {move.target}",
        request,
        f"{move.asked_s:.1f} s",
        served,
        str(move.epoch or "-"),
        _seconds(move.took_s),
        _seconds(move.gap_s),
        "-" if move.lost is None else str(move.lost),
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} s"


def steps(move: DrillMove) -> Rows:
    """The goals of a move, in the order in which they were reached."""
    rows = [
        (step.name, step.database, f"{step.reached_s:.3f} s")
        for step in move.steps
        if not step.name.startswith(DOING)
    ]
    return ("step", "database", "reached after"), rows


def canary(report: DrillReport) -> str:
    """What the requests have shown."""
    seen = report.canary
    failed = seen.asked - seen.good
    why = ", ".join(f"{count} times {what}" for what, count in sorted(seen.failures.items()))
    shown = f"{seen.asked} requests to {seen.url}, one every {seen.every_s:g} s: "
    return shown + (f"{failed} failed ({why})" if failed else "all answered well")


# --- terminal ------------------------------------------------------------------------------------


def report_lines(report: DrillReport) -> Iterator[Text]:
    """The whole report, short."""
    yield Text(summary(report), style=STYLES.get(report.verdict, ""))
    for name, value in about(report):
        yield Text(f"  {name}: {value}")
    for row in objectives(report)[1]:
        yield Text(
            f"  {row[0]}: {row[2]}, promised {row[1]}: {row[3]}", style=STYLES.get(row[3], "")
        )
    for row in moves(report)[1]:
        said = f"  {row[0]}: request {row[1]}, served after {row[3]}, longest gap {row[6]}"
        yield Text(said)
    yield Text(f"  {canary(report)}")
    for trouble in report.troubles:
        yield Text(f"  {trouble}", style=BAD)


def plan_lines(plan: DrillPlan) -> Iterator[Text]:
    """Whether a drill may begin, and what it would do."""
    yield Text(
        f"drill of {plan.service}, {plan.holder or 'nobody'} to {plan.target or 'nobody'} and back "
        f"({plan.kind}), cluster {plan.cluster}, as {plan.site} sees it",
        style="bold",
    )
    for check in plan.checks:
        mark, style = ("ok", GOOD) if check.ok else ("NO", BAD)
        yield Text.assemble("  ", (f"{mark:<3}", style), f" {check.name}: {check.detail}")
    for warning in plan.warnings:
        yield Text(f"  warning: {warning}", style=ODD)
    for number, step in enumerate(plan.steps, 1):
        yield Text(f"  {number}. {step}")
    stall = "not known" if plan.stall_s is None else f"{plan.stall_s:.3f} s"
    yield Text(f"  requests wait at each move: {stall} ({plan.stall_from})")
    yield Text(
        f"  promised: no answer for at most {plan.rto_s:g} s, "
        f"at most {plan.rpo_transactions} transactions lost"
    )
    if plan.approvals_needed:
        yield Text(f"  approvals: {plan.approvals_needed} for each move", style=ODD)
    if plan.age_days is not None:
        yield Text(f"  the last one passed {days(plan.age_days)} ago")
    verdict = "it may begin now" if plan.may_run else "it must not begin now"
    yield Text(verdict, style=GOOD if plan.may_run else BAD)
    yield Text(f"{plan.now}", style=DIM)


# --- pages ---------------------------------------------------------------------------------------


def sections(report: DrillReport) -> Iterator[tuple[str, Rows]]:
    """Every table of a page, with its heading."""
    yield "Objectives", objectives(report)
    yield "Moves", moves(report)
    for move in report.moves:
        if steps(move)[1]:
            yield f"Steps: {move.source} to {move.target}, epoch {move.epoch}", steps(move)
    if report.canary.gaps:
        rows = [(f"{gap.began_s:.3f} s", f"{gap.took_s:.3f} s") for gap in report.canary.gaps]
        yield "Times without an answer", (("from", "for"), rows)
    checked = [(c.name, "ok" if c.ok else "no", c.detail) for c in report.checks]
    yield "Checks before", (("check", "", "found"), checked)
    happened = [(f"{event.at_s:.1f} s", event.sentence) for event in report.events]
    yield "What happened", (("at", ""), happened)


def markdown_page(report: DrillReport) -> str:
    """The report as Markdown."""
    sentence = summary(report)
    parts = [f"# {sentence[0].upper()}{sentence[1:]}\n"]
    parts.append("".join(f"* {name}: {_plain(value)}\n" for name, value in about(report)))
    parts.extend(f"**{_plain(trouble)}**\n" for trouble in report.troubles)
    parts.append(f"{_plain(canary(report))}.\n")
    for title, (heads, rows) in sections(report):
        parts.append(f"## {_plain(title)}\n\n{_markdown_table(heads, rows)}")
    return "\n".join(parts)


def _markdown_table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (heads, tuple("---" for _ in heads), *rows)
    return "".join(f"| {' | '.join(_plain(cell) or ' ' for cell in line)} |\n" for line in lines)


def _plain(text: str) -> str:
    """Text that opens no cell, line, link or tag of its own."""
    flat = " ".join(text.split())
    for sign in "\\`*_[]<>|":
        flat = flat.replace(sign, f"\\{sign}")
    return flat


def html_page(report: DrillReport) -> str:
    """The report as one file: no script, nothing that is loaded."""
    title = escape(f"Drill of {report.service}, {report.began_at}")
    kind = report.verdict if report.verdict in STYLES else "failed"
    head = (
        f"<h1>Drill of {escape(report.service)}: {escape(report.home)} to "
        f"{escape(report.target)}{' and back' if report.goes_back else ''}</h1>"
        f'<p class="verdict {kind}">{escape(report.verdict)}</p>'
    )
    known = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in about(report)
    )
    wrong = "".join(f'<p class="failed">{escape(each)}</p>' for each in report.troubles)
    parts = [
        head,
        f"<table>{known}</table>",
        wrong,
        f'<h2>Timeline</h2><div class="wide">{timeline.draw(report)}</div>',
        f'<p class="dim">{escape(canary(report))}.</p>',
        *(
            f'<h2>{escape(title)}</h2><div class="wide">{_html_table(*table)}</div>'
            for title, table in sections(report)
        ),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def _html_table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join("<tr>" + "".join(_html_cell(cell) for cell in row) + "</tr>\n" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table>"


def _html_cell(cell: str) -> str:
    style = f' class="{cell}"' if cell in ("passed", "failed") else ""
    return f"<td{style}>{escape(cell)}</td>"
