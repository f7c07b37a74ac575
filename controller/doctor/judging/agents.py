"""Host agents: reached as a takeover would reach them."""

from typing import Final

from controller.doctor.judging.row import Row, bad, ok, warn

CHECK: Final = "agents"


def version(host: str, mine: str, told: str | None, why: str = "") -> Row:
    """It is let in, its host key is pinned, and it is of our version; None: it cannot say."""
    install = f"install tricast {mine} at {host}"
    if told is None:
        return warn(CHECK, host, f"answers, and cannot tell its version: {why}", install)
    if told != mine:
        return warn(CHECK, host, f"its version is {told}, this is {mine}", install)
    return ok(CHECK, host, f"key accepted, host key pinned, version {told}")


def refused(host: str, why: str) -> Row:
    """It, or ssh, said no."""
    mend = f"ssh.key_file, ssh.known_hosts_file, and the forced command at {host}: SECURITY.md"
    return bad(CHECK, host, why, mend)


def silent(host: str, why: str) -> Row:
    """Nothing answers."""
    return bad(CHECK, host, why, f"is {host} up, and its sshd reached from here?")


def verb(host: str, database: str, answered: str) -> Row:
    """It knows the database, and looked at it."""
    return ok(CHECK, f"{host}: {database}", answered)


def verb_failed(host: str, database: str, why: str) -> Row:
    """It could not look at the database."""
    mend = f"the database in the agent's settings at {host}: /etc/tricast/hostagent.json"
    return bad(CHECK, f"{host}: {database}", why, mend)
