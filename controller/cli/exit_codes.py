"""What a verb's exit code says. Scripts rely on these; they never change their meaning."""

from enum import IntEnum


class ExitCode(IntEnum):
    """0-9: how the verb itself ended. From 64: it could not be tried (as in sysexits)."""

    DONE = 0
    FAILED = 1  # it was tried, and its effect is not there
    UNKNOWN = 2  # it was tried, and nobody knows; look before trying again
    REFUSED = 3  # the answer was no; nothing was changed
    WAITING = 4  # it waits for an approval
    USAGE = 64
    UNAVAILABLE = 69  # no daemon answered
    CONFIG = 78
