"""One verb's manual: what it does not do, how it is typed, and how it may end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller.cli.exit_codes import ExitCode

DONE, FAILED, UNKNOWN = ExitCode.DONE, ExitCode.FAILED, ExitCode.UNKNOWN
REFUSED, WAITING, USAGE = ExitCode.REFUSED, ExitCode.WAITING, ExitCode.USAGE
UNAVAILABLE, CONFIG = ExitCode.UNAVAILABLE, ExitCode.CONFIG

MEANINGS: Final[Mapping[ExitCode, str]] = {
    DONE: "done",
    FAILED: "tried, and its effect is not there",
    UNKNOWN: "tried, and nobody knows: look (tricast requests) before you try again",
    REFUSED: "the answer was no, with the reasons; nothing was changed",
    WAITING: "asked, and waits for another person's approval",
    USAGE: "wrong option, or no such site or service",
    UNAVAILABLE: "no daemon answers there",
    CONFIG: "the cluster file or a secret cannot be used",
}
Codes = dict[ExitCode, str]


def codes(*found: ExitCode) -> Codes:
    """What each of them means."""
    return {code: MEANINGS[code] for code in found}


NO_DAEMON: Final = {FAILED: "what answers there is no tricast daemon of this format"}
ASKING: Final = codes(DONE, FAILED, REFUSED, USAGE, UNAVAILABLE, CONFIG) | NO_DAEMON
TELLING: Final = codes(*ExitCode)
MOVING: Final = TELLING | {
    DONE: "moved, and the new holder has verified that clients reach it and that commits flow",
    UNKNOWN: "moved and not verified, or nobody knows: look (tricast requests, tricast explain) "
    "before you try again",
}
ENDING: Final = codes(DONE, FAILED, UNKNOWN, REFUSED, WAITING, USAGE, UNAVAILABLE, CONFIG)
ORDERING: Final = codes(DONE, UNKNOWN, REFUSED, WAITING, USAGE, UNAVAILABLE, CONFIG)
PLANNING: Final = ASKING | {
    DONE: "it would be accepted",
    REFUSED: "it would be refused, with the reasons; or you may not look",
}
WRITING: Final = codes(DONE, FAILED, USAGE, CONFIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manual:
    """What a verb does not do, how it is typed, and how it may end."""

    limits: str
    examples: tuple[str, ...]
    codes: Codes


def page(manual: Manual) -> str:
    """Limits as a paragraph; examples and exit codes line by line, as a backspace says to click."""
    examples = "\n".join(f"  {example}" for example in manual.examples)
    codes = "\n".join(f"  {code:>2}  {manual.codes[code]}" for code in sorted(manual.codes))
    return f"{manual.limits}\n\n\b\nExamples:\n{examples}\n\n\b\nExit codes:\n{codes}"
