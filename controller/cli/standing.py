"""`tricast pause`, `resume`, `drain`, `undrain`, `ack`: orders that stand, and their ends."""

import click

from controller.cli import options
from controller.cli.endpoint import tell
from controller.cli.moves import PATH
from controller.cli.names import SITE
from controller.cli.options import Asked
from controller.cli.progress import confirm, ended, follow
from controller.web.schema import Ask, RequestAnswer, RequestView, Status, Verdict


@click.command()
@options.telling
@options.breaking_glass
@click.option("--for", "lasts", type=click.FloatRange(min=1), help="Seconds; for ever otherwise.")
def pause(
    asked: Asked,
    *,
    lasts: float | None,
    break_glass: bool,
) -> int:
    """Stop all automation of a service.

    What serves goes on, and nothing takes over, until resume or the end of --for. Needs --reason.
    """
    order = Ask(
        kind="pause",
        service=asked.service,
        reason=asked.reason,
        lasts_s=lasts,
        break_glass=break_glass,
    )
    request = tell(asked.endpoint, PATH, order, RequestAnswer).request
    return follow(asked, request, lambda found, _status: found.state == "running")


@click.command()
@options.telling
@options.breaking_glass
def resume(
    asked: Asked,
    *,
    break_glass: bool,
) -> int:
    """End a pause.

    Automation goes on from what is there then, as if the daemon had just looked.
    """
    verdict = Verdict(
        kind="pause", service=asked.service, reason=asked.reason, break_glass=break_glass
    )
    return ended(asked, tell(asked.endpoint, f"{PATH}/decline", verdict, RequestAnswer).request)


@click.command()
@options.telling
@options.breaking_glass
def ack(
    asked: Asked,
    *,
    break_glass: bool,
) -> int:
    """Acknowledge the last role change.

    The next one may be automatic again. Within flap_window_s after a takeover the service does not
    move back by itself; somebody who looked at the cause ends that window.
    """
    order = Ask(kind="ack", service=asked.service, reason=asked.reason, break_glass=break_glass)
    request = tell(asked.endpoint, PATH, order, RequestAnswer).request
    return follow(asked, request, lambda _request, _status: False)


@click.command()
@options.telling
@options.breaking_glass
@click.argument("site", type=SITE)
def drain(
    asked: Asked,
    *,
    site: str,
    break_glass: bool,
) -> int:
    """Take every role away from SITE, then its routes.

    Services that it holds are handed over; its routes say graceful shutdown, and are withdrawn
    after withdraw_after_s while another site attracts. It is no candidate until it is undrained.
    """
    confirm(asked, f"Drain {site}?")
    order = Ask(kind="drain", target=site, reason=asked.reason, break_glass=break_glass)
    request = tell(asked.endpoint, PATH, order, RequestAnswer).request

    def holds_nothing(_request: RequestView, status: Status) -> bool:
        return all(found.holder != site for found in status.services)

    return follow(asked, request, holds_nothing)


@click.command()
@options.telling
@options.breaking_glass
@click.argument("site", type=SITE)
def undrain(
    asked: Asked,
    *,
    site: str,
    break_glass: bool,
) -> int:
    """End the drain of SITE: it may have roles and routes again.

    It announces as a standby, and is a candidate.
    """
    verdict = Verdict(kind="drain", target=site, reason=asked.reason, break_glass=break_glass)
    return ended(asked, tell(asked.endpoint, f"{PATH}/decline", verdict, RequestAnswer).request)
