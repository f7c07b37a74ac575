"""`tricast`: the verbs, and how each ending becomes an exit code and a sentence."""

import os
import sys
from collections.abc import Sequence

import click

from controller.cli.audit import audit
from controller.cli.completion import completed, completion
from controller.cli.config import config
from controller.cli.docs import docs
from controller.cli.doctor import doctor
from controller.cli.drill import drill
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.explain import explain
from controller.cli.fencing import fence, unfence
from controller.cli.history import history
from controller.cli.manual import attach
from controller.cli.moves import failover, force_single, switchover
from controller.cli.notify import notify
from controller.cli.plan import plan
from controller.cli.proposals import approve, decline, proposals, requests
from controller.cli.render import render
from controller.cli.repairs import reinit, rejoin
from controller.cli.run import run
from controller.cli.schema import schema
from controller.cli.speaker import speaker
from controller.cli.standing import ack, drain, pause, resume, undrain
from controller.cli.status import status
from controller.cli.topology import topology
from controller.cli.version import version
from controller.cli.voters import voters
from controller.cli.watch import watch
from controller.cli.weights import weights
from controller.cli.witness import witness
from controller.config import ConfigError, SecretError

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def tricast() -> None:
    """One service on one address when a datacenter dies.

    Ask: status, watch, topology, explain, requests, proposals. Look back: history, audit.
    Look ahead: plan. Move: switchover, failover, drain, undrain. Keep out: fence, unfence.
    Hold: pause, resume, ack. Prefer: weights. Count: voters. Mend: rejoin, reinit.
    Agree: approve, decline. The last survivor: force-single. Prepare: config, doctor, drill,
    notify, render, completion. Daemons: run, witness, speaker.

    Every verb has its own --help, with limits, examples and exit codes. In trouble at night:
    docs/runbook.md.
    """


for _verb in (
    run,
    witness,
    speaker,
    status,
    watch,
    topology,
    explain,
    history,
    audit,
    notify,
    plan,
    switchover,
    failover,
    force_single,
    pause,
    resume,
    drain,
    undrain,
    fence,
    unfence,
    ack,
    weights,
    voters,
    rejoin,
    reinit,
    requests,
    proposals,
    approve,
    decline,
    doctor,
    drill,
    config,
    render,
    completion,
    schema,
    docs,
    version,
):
    tricast.add_command(_verb)
attach(tricast)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb; the exit code says how it ended (controller/cli/exit_codes.py)."""
    try:
        # Not click's own main: it ends the process by itself when a pipe breaks.
        if arguments is None and (code := completed(tricast)) is not None:
            return code
        asked = list(sys.argv[1:] if arguments is None else arguments)
        with tricast.make_context("tricast", asked) as context:
            result = tricast.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except BrokenPipeError:
        # The reader of a pipe has had enough. Python would complain again while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except (click.ClickException, click.Abort, CliError, ConfigError, SecretError) as error:
        code, sentence = _outcome(error)
        if sentence:
            print(sentence, file=sys.stderr)
        return code
    return result if isinstance(result, int) else ExitCode.DONE


def _outcome(error: Exception) -> tuple[int, str]:
    """The exit code of an ending, and what is said of it."""
    code: int = ExitCode.FAILED
    sentence = str(error)
    match error:
        case click.Abort():
            return INTERRUPTED, ""
        case ConfigError():
            return ExitCode.CONFIG, error.render()
        case CliError():
            code = error.code
        case SecretError():
            code = ExitCode.CONFIG
        case click.exceptions.NoArgsIsHelpError():
            return ExitCode.USAGE, error.format_message()
        case click.UsageError():
            hint = f"; see {error.ctx.command_path} --help" if error.ctx else ""
            code, sentence = ExitCode.USAGE, f"{error.format_message().rstrip('.?')}{hint}"
        case click.ClickException():
            sentence = error.format_message()
    return code, f"tricast: {sentence}"


if __name__ == "__main__":
    sys.exit(main())
