"""A plan as people read it: the verdict first, then each service, then what would be typed."""

import shlex
from collections.abc import Iterator
from typing import Final

from rich.text import Text

from controller.cli.folded import folded
from controller.cli.status_view import BAD, DIM, GOOD, ODD
from controller.cli.table import Cell
from controller.cli.tree import Node, lines
from controller.web.plan_schema import Plan, PlanLadder, PlanRoutes, PlanService, PlanStep

WIDTH_MAX: Final = 100  # of a pipe, too
MARKS: Final = {True: ("x", GOOD), False: (" ", ""), None: ("?", ODD)}


def plan_lines(plan: Plan, width: int) -> Iterator[Text]:
    """The whole page."""
    width = min(width, WIDTH_MAX)
    yield from folded(
        "", f"{_asked(plan)}, cluster {plan.cluster}, as {plan.site} sees it", width, "bold"
    )
    yield from _verdict(plan, width)
    for service in plan.services:
        yield Text("")
        yield from _service_lines(plan, service, width)
    yield Text("")
    yield from _legend(plan, width)
    for sentence in plan.unanswered:
        yield from folded("", f"No answer: {sentence}", width, ODD)
    yield Text(plan.now, style=DIM)


def _asked(plan: Plan) -> str:
    if plan.kind == "drain":
        return f"drain of {plan.target}"
    moved = plan.services[0]
    return f"{plan.kind} of {moved.service}, {moved.holder or 'nobody'} to {moved.target}"


def _verdict(plan: Plan, width: int) -> Iterator[Text]:
    if plan.accepted:
        yield Text("  would be accepted", style=GOOD)
    for reason in plan.reasons:
        yield from folded("  ", f"would be refused: {reason}", width, BAD)
    if plan.statement:
        yield from folded("  ", f"what may be lost: {plan.statement}", width, BAD)
    if plan.approvals_needed and plan.accepted:
        persons = "another person" if plan.approvals_needed == 1 else "other persons"
        groups = f" of {' or '.join(plan.approvers)}" if plan.approvers else ""
        said = f"approvals: {plan.approvals_needed}, by {persons}{groups}, bound to the plan"
        yield from folded("  ", said, width, ODD)
    if plan.break_glass and plan.accepted:
        yield from folded("  ", f"--break-glass: {plan.break_glass}", width, ODD)
    if plan.plan:
        yield Text(f"  plan: {plan.plan}")


def _service_lines(plan: Plan, service: PlanService, width: int) -> Iterator[Text]:
    name = f"{service.service}: epoch {service.epoch}, held by {service.holder or 'nobody'}"
    after = _after(service)
    yield from folded("", f"{name}, {after}" if plan.accepted else name, width, "bold")
    if plan.accepted:
        yield from _beginning(plan, service, width)
    for ladder in service.ladders:
        yield from _ladder_lines(ladder, width)
    if service.stall_from:
        stall = "not known" if service.stall_s is None else f"{service.stall_s:.3f} s"
        yield from folded("  ", f"requests wait: {stall} ({service.stall_from})", width)
    for routes in service.routes:
        yield from folded("  ", f"routes of {routes.site}: {_routes(routes)}", width)


def _after(service: PlanService) -> str:
    return "stays there" if service.target == service.holder else f"then by {service.target}"


def _beginning(plan: Plan, service: PlanService, width: int) -> Iterator[Text]:
    if service.begins is None:
        said = f"whether it begins at once, only the daemon of {plan.judge} knows"
        yield from folded("  ", said, width, ODD)
    elif not service.begins:
        why = "; ".join(service.held_back) or "no reason is known"
        yield from folded("  ", f"would not begin now: {why}", width, BAD)


def _ladder_lines(ladder: PlanLadder, width: int) -> Iterator[Text]:
    once = f", {ladder.once}" if ladder.once else ""
    steps = tuple(_step(step) for step in ladder.steps)
    node = Node(head=Cell(f"{ladder.site} climbs {ladder.ladder}{once}:"), items=steps)
    yield from lines(node, width, lead="  ", under="  ")


def _step(step: PlanStep) -> Cell:
    mark, style = MARKS[step.met]
    database = f" ({step.database})" if step.database else ""
    return Cell(f"[{mark}] {step.name}{database}", style)


def _routes(routes: PlanRoutes) -> str:
    now, after = routes.now or "not known", ", then ".join(routes.after) or "not known"
    halves = " and ".join(routes.more_specifics)
    beside = f"; {halves} beside override, should it last" if halves else ""
    return (f"{now}, now and after" if now == after else f"{now} now; {after} after") + beside


def _legend(plan: Plan, width: int) -> Iterator[Text]:
    steps = [s for each in plan.services for ladder in each.ladders for s in ladder.steps]
    if steps:
        unknown = {ladder.site for each in plan.services for ladder in each.ladders
                   if any(step.met is None for step in ladder.steps)}  # fmt: skip
        who = f"; [?] only known at {' and '.join(sorted(unknown))}" if unknown else ""
        yield from folded("", f"[x] is so already, [ ] is not so yet{who}", width, DIM)
    if plan.accepted:
        yield from folded("", f"Nothing was asked. To ask: {command(plan)}", width)
    else:
        yield Text("Nothing was asked.")


def command(plan: Plan) -> str:
    """What would be typed to have it done."""
    if plan.kind == "drain":
        return f"tricast drain {shlex.quote(plan.target)}"
    (moved,) = plan.services
    loss = " --allow-data-loss" if plan.statement else ""
    return f"tricast {plan.kind} --service {moved.service} --to {plan.target}{loss}"
