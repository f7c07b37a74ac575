"""`python -m lab.client write | check | whoami`: load, proof, and who answers."""

import argparse
import asyncio
import json
import math
import os
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from lab.client.attempts import acked_keys, missing, read, repeated, summarise
from lab.client.whoami import Changes, Prober
from lab.client.write import LogFile, Plan, Writer

_URL: Final = "http://198.51.100.10"
_URL_IPV6: Final = "http://[2001:db8:100::10]"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 when a check has found something."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def _write(options: argparse.Namespace) -> int:
    plan = Plan(
        url=_url(options),
        rate=options.rate,
        workers=options.workers,
        timeout_s=options.timeout,
        in_flight=options.in_flight,
        keepalive=options.keepalive,
        duration_s=options.duration,
        grace_s=options.grace,
        name=options.name or f"{os.getpid()}-{secrets.token_hex(3)}",
    )
    with LogFile(options.log) as log:
        _run(lambda: _writing(plan, log))
    _print(asdict(summarise(read(options.log))))
    return 0


async def _writing(plan: Plan, log: LogFile) -> None:
    writer = Writer(plan, log)
    with _stopped_by_signals(writer.stop):
        await writer.run()


def _whoami(options: argparse.Namespace) -> int:
    changes = Changes(everything=options.all)
    _run(lambda: _asking(options, changes))
    _print(changes.summary())
    return 0


async def _asking(options: argparse.Namespace, changes: Changes) -> None:
    prober = Prober(_url(options), options.every, options.timeout, changes.tell)
    with _stopped_by_signals(prober.stop):
        await prober.run(options.duration)


def _check(options: argparse.Namespace) -> int:
    acked = acked_keys(read(options.log))
    found: dict[str, Any] = {"acked": len(acked)}
    bad = False
    for name, path in (("postgres", options.postgres_keys), ("mysql", options.mysql_keys)):
        present = path.read_text().split()
        lost, doubled = missing(acked, present), repeated(present)
        found[f"missing_{name}"], found[f"repeated_{name}"] = lost, doubled
        found[f"present_{name}"] = len(present)
        bad = bad or bool(lost or doubled)
    _print(found)
    return 1 if bad else 0


def _summary(options: argparse.Namespace) -> int:
    _print(asdict(summarise(read(options.log), options.after, options.before)))
    return 0


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner() as runner:
        runner.run(work())


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    caught = (signal.SIGTERM, signal.SIGINT)
    for each in caught:
        loop.add_signal_handler(each, stop)
    try:
        yield
    finally:
        for each in caught:
            loop.remove_signal_handler(each)


def _url(options: argparse.Namespace) -> str:
    return str(options.url or (_URL_IPV6 if options.ipv6 else _URL)).rstrip("/")


def _print(words: dict[str, Any]) -> None:
    print(json.dumps(words), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.client", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    write = commands.add_parser("write", help="write until stopped; print a summary as JSON")
    write.set_defaults(command=_write)
    _add_address(write)
    write.add_argument(
        "--rate", type=float, default=40.0, help="transfers a second, of all workers"
    )
    write.add_argument("--workers", type=int, default=4)
    write.add_argument("--in-flight", type=int, default=16, help="transfers of a worker at a time")
    write.add_argument("--timeout", type=float, default=0.5, metavar="S", help="of one attempt")
    write.add_argument("--log", type=Path, required=True, help="one JSON line for every attempt")
    write.add_argument("--duration", type=float, default=math.inf, metavar="S")
    write.add_argument("--grace", type=float, default=5.0, metavar="S", help="after the stop")
    write.add_argument("--keepalive", action="store_true", help="keep connections between requests")
    write.add_argument("--name", default="", help="what the keys begin with; unique by default")

    whoami = commands.add_parser("whoami", help="ask who answers; print each change")
    whoami.set_defaults(command=_whoami)
    _add_address(whoami)
    whoami.add_argument("--every", type=float, default=0.02, metavar="S")
    whoami.add_argument("--timeout", type=float, default=0.3, metavar="S")
    whoami.add_argument("--duration", type=float, default=math.inf, metavar="S")
    whoami.add_argument("--all", action="store_true", help="print every answer")

    check = commands.add_parser("check", help="whether every acknowledged key is there, once")
    check.set_defaults(command=_check)
    check.add_argument("--log", type=Path, required=True)
    check.add_argument("--postgres-keys", type=Path, required=True, help="one key a line")
    check.add_argument("--mysql-keys", type=Path, required=True, help="one key a line")

    summary = commands.add_parser("summary", help="the figures of a log, or of a part of it")
    summary.set_defaults(command=_summary)
    summary.add_argument("--log", type=Path, required=True)
    summary.add_argument("--after", type=float, default=0.0, help="monotonic time")
    summary.add_argument("--before", type=float, default=math.inf, help="monotonic time")
    return parser


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default="", help=f"default: {_URL}")
    parser.add_argument("--ipv6", action="store_true", help=f"default: {_URL_IPV6}")


if __name__ == "__main__":
    sys.exit(main())
