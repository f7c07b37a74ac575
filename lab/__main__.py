"""`python -m lab VERB`: the three-site lab on this machine."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.verbs import load_verb, verb_names

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The verb has been carried out; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    leading: list[str] = []
    while given and given[0].startswith("--lab"):  # also understood in front of the verb
        leading += given[:1] if "=" in given[0] else given[:2]
        given = given[len(leading) :]
    if not given or given[0] not in verb_names():
        return _usage(given)
    verb = load_verb(given[0])
    parser = argparse.ArgumentParser(prog=f"lab {given[0]}", description=verb.HELP)
    parser.add_argument("--lab", default=None, metavar="NAME", help="which lab (default: tricast)")
    verb.add_arguments(parser)
    options = parser.parse_args([*leading, *given[1:]])
    try:
        return asyncio.run(verb.run(Lab(options.lab), options))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _usage(given: Sequence[str]) -> int:
    asked = not given or given[0] in ("-h", "--help", "help")
    stream = sys.stdout if asked and given else sys.stderr
    if not asked:
        print(f"lab: no verb {given[0]!r}", file=sys.stderr)
    print("usage: python -m lab VERB [--lab NAME] ...\n", file=stream)
    for name in verb_names():
        print(f"  {name:<10} {load_verb(name).HELP}", file=stream)
    return 0 if asked and given else 2


if __name__ == "__main__":
    sys.exit(main())
