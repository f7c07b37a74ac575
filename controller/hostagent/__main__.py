"""`python3 -m controller.hostagent VERB name=value ...`, or `--ssh` to read SSH_ORIGINAL_COMMAND.

Prints one JSON object. Exit code 0: done; 3: refused, nothing changed; 1: failed. Only verbs of
the table can be run, whatever the other side asks for: there is no shell and no path from outside.
"""

import importlib
import json
import os
import re
import shlex
import sys

from controller.hostagent.contract import Failed, Refused, Request, load_settings

# A verb is "<family>-<what>"; only the family's module is imported, so that a call starts fast.
FAMILIES = {
    "agent": "controller.hostagent.agent",
    "postgres": "controller.hostagent.postgres",
    "wal": "controller.hostagent.wal_transfer",
    "mysql": "controller.hostagent.mysql",
    "mariadb": "controller.hostagent.mysql",
}
KIND_FAMILY = {"postgres": "postgres", "mariadb": "mysql", "mysql": "mysql"}
_ARGUMENT = re.compile(r"([a-z][a-z0-9_]{0,40})=(.{0,2000})", re.DOTALL)

DONE, FAILED, REFUSED = 0, 1, 3


def words(argv: list[str]) -> list[str]:
    """What was asked for: our arguments, or the command the ssh client sent."""
    if argv[:1] != ["--ssh"]:
        return argv
    try:
        return shlex.split(os.environ.get("SSH_ORIGINAL_COMMAND", ""))
    except ValueError as error:
        raise Refused(f"the command cannot be read: {error}") from None


def parse(asked: list[str], settings: dict[str, object]) -> Request:
    """The request in `asked`; `safe-start` becomes the family's own preparation of a start."""
    if not asked:
        raise Refused("no verb was given")
    verb, *rest = asked
    args: dict[str, str] = {}
    for word in rest:
        match = _ARGUMENT.fullmatch(word)
        if match is None:
            raise Refused(f"not an argument of the form name=value: {word[:60]!r}")
        args[match[1]] = match[2]
    request = Request(verb, args, settings)
    if verb == "safe-start":
        kind = str(request.database().get("kind", ""))
        return Request(f"{KIND_FAMILY.get(kind, kind)}-prepare", args, settings)
    return request


def perform(request: Request) -> dict[str, str]:
    """The verb's answer."""
    family = request.verb.partition("-")[0]
    if family not in FAMILIES:
        raise Refused(f"no verb {request.verb!r}; families: {', '.join(FAMILIES)}")
    verbs = importlib.import_module(FAMILIES[family]).VERBS
    if request.verb not in verbs:
        raise Refused(f"no verb {request.verb!r}; there are: {', '.join(sorted(verbs))}")
    answer: dict[str, str] = verbs[request.verb](request)
    return answer


def main(argv: list[str]) -> int:
    """The exit code; the answer has been printed."""
    try:
        answer = perform(parse(words(argv), load_settings()))
    except Refused as refusal:
        answer, code = {"error": str(refusal)}, REFUSED
    except Failed as failure:
        answer, code = {"error": str(failure)}, FAILED
    except Exception as error:
        # The caller reads JSON; a traceback would be an answer it cannot read.
        answer, code = {"error": f"{type(error).__name__}: {error}"}, FAILED
    else:
        code = DONE
    sys.stdout.write(json.dumps(answer, sort_keys=True) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
