"""`tricast switchover`, `failover`, `force-single`: a service moves, or stays up alone."""

import sys
from dataclasses import replace

import click

from controller.cli import options
from controller.cli.arrival import arrive
from controller.cli.endpoint import status_of, tell
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.moments import moment, seconds_until
from controller.cli.names import SITE
from controller.cli.options import Asked
from controller.cli.progress import confirm, finish, follow, past, typed
from controller.cli.status_view import age
from controller.web.schema import Ask, RequestAnswer, RequestView

PATH = "/api/v1/requests"
PLAN_OPTION = click.option(
    "--plan", "wanted", default="", help="Only if this is still the plan, as tricast plan said it."
)


def planned(asked: Asked, order: Ask, wanted: str = "") -> RequestView:
    """What would be asked; nothing is changed. Refused where it is not the plan that is wanted."""
    dry = order.model_copy(update={"dry": True})
    plan = tell(asked.endpoint, PATH, dry, RequestAnswer).request
    if wanted and wanted != plan.plan:
        raise CliError(
            ExitCode.REFUSED,
            f"the plan is {plan.plan} by now, not {wanted}: it would move {plan.service} from "
            f"{plan.holder or 'nobody'}, who holds epoch {plan.epoch}, to {plan.target}"
            f"{': ' + plan.statement if plan.statement else ''}; look again: tricast plan "
            f"{plan.kind} --service {plan.service} --to {plan.target}",
        )
    return plan


def told_to(asked: Asked, order: Ask, plan: RequestView) -> RequestView:
    """It is asked now, exactly as it was planned."""
    chosen = order.model_copy(update={"target": plan.target, "plan": plan.plan})
    return tell(asked.endpoint, PATH, chosen, RequestAnswer).request


@click.command()
@options.telling
@options.breaking_glass
@click.option(
    "--to", type=SITE, default="", help="Which site takes over (default: the best candidate)."
)
@click.option("--in", "not_before", type=click.FloatRange(0), default=0.0, help="Seconds from now.")
@click.option(
    "--at", "then", metavar="TIME", default="", help="Not before 03:00, or an ISO 8601 time."
)
@PLAN_OPTION
def switchover(
    asked: Asked,
    *,
    to: str,
    not_before: float,
    then: str,
    wanted: str,
    break_glass: bool,
) -> int:
    """Hand a service over to another site.

    Nothing is lost. New requests wait at haproxy while those under way end; then the gates are
    closed, the other log is equal, and the epoch is handed over. Each step is printed with its
    time, and what it took once the new holder has verified that it serves.
    """
    when = ""
    if then:
        not_before, when = _from_now(asked, then, not_before)
    order = Ask(
        kind="switchover",
        service=asked.service,
        target=to,
        reason=asked.reason,
        not_before_s=not_before,
        break_glass=break_glass,
    )
    plan = planned(asked, order, wanted)
    confirm(asked, f"Move {plan.service} from {plan.holder} to {plan.target}{when}{past(plan)}?")
    later = replace(asked, timeout=asked.timeout + not_before)
    return follow(later, told_to(asked, order, plan), lambda _request, _status: False, arrive)


def _with_advice(asked: Asked, order: Ask, wanted: str) -> RequestView:
    """As `planned`; where nobody answers, with what is to be done first."""
    try:
        return planned(asked, order, wanted)
    except CliError as error:
        if error.code is not ExitCode.UNAVAILABLE:
            raise
        raise CliError(
            error.code,
            f"{error.sentence}\ntricast: a failover is carried out by the daemon of the site that "
            f"takes over: start it at {order.target} (systemctl start tricast) and ask there, or "
            f"from any machine with --server https://ADDRESS-OF-{order.target}:7802. "
            "Who holds what stands in etcd meanwhile: tricast status",
        ) from None


def _from_now(asked: Asked, then: str, not_before: float) -> tuple[float, str]:
    """The seconds until `then` by the daemon's clock, and how it is said in a question."""
    if not_before:
        raise CliError(ExitCode.USAGE, f"either --in {not_before:g} or --at {then}")
    now = status_of(asked.endpoint).now
    at = moment(then, now)
    left = seconds_until(at, now)
    return left, f" at {at.isoformat(timespec='seconds')}, in {age(left)}"


@click.command()
@options.telling
@options.breaking_glass
@click.option("--to", type=SITE, required=True, help="Which site takes over.")
@click.option("--allow-data-loss", is_flag=True, help="Do without voters that cannot be reached.")
@PLAN_OPTION
def failover(
    asked: Asked,
    *,
    to: str,
    allow_data_loss: bool,
    wanted: str,
    break_glass: bool,
) -> int:
    """Let a site take over, whatever the holder does.

    For a holder that is dead, or must be assumed to be ill. Refused where it cannot be excluded
    that an acknowledged transaction is lost. It ends when the new holder has verified that it
    serves.
    """
    order = Ask(
        kind="failover",
        service=asked.service,
        target=to,
        reason=asked.reason,
        allow_data_loss=allow_data_loss,
        break_glass=break_glass,
    )
    plan = _with_advice(asked, order, wanted)
    if plan.statement:
        print(plan.statement, file=sys.stderr)
    question = f"Let {plan.target} take {plan.service} over from {plan.holder}{past(plan)}?"
    confirm(asked, question)
    return follow(asked, told_to(asked, order, plan), lambda _request, _status: False, arrive)


@click.command(name="force-single")
@options.telling
@options.breaking_glass
@click.argument("site", type=SITE)
@click.option("--confirm", "phrase", help="The site's name once more, where nobody can type it.")
def force_single(
    asked: Asked,
    *,
    site: str,
    phrase: str | None,
    break_glass: bool,
) -> int:
    """Let SITE, the last survivor, serve without any other voter.

    Ask on its own node. It says what may be lost and what you assert, and wants the name of the
    site typed once more. From then on each commit exists once, until another voter follows.
    """
    order = Ask(
        kind="force-single",
        service=asked.service,
        target=site,
        reason=asked.reason,
        break_glass=break_glass,
    )
    plan = planned(asked, order)
    print(f"{plan.statement}{past(plan)}", file=sys.stderr)
    typed(asked, site, phrase)
    return finish(asked, told_to(asked, order, plan))
