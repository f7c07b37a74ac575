"""A PostgreSQL log keeper, by what its own site reports: it is no server that could be asked."""

from collections.abc import Sequence

from controller.doctor.judging.postgres import CHECK
from controller.doctor.judging.row import Row, bad, ok, unknown, warn


def unheard(where: str, site: str) -> Row:
    """Nobody tells of it."""
    why = f"{site} does not report it"
    return unknown(CHECK, where, why, f"at {site}: systemctl status tricast-witness")


def reported(where: str, *, streaming: bool, whole: bool, problems: Sequence[str]) -> list[Row]:
    """It receives the log, has no gap, and complains of nothing."""
    mend = "docs/runbook.md, warnings and alarms; look at the keeper's directory"
    rows = [bad(CHECK, where, problem, mend) for problem in problems]
    if not whole:
        rows.append(bad(CHECK, where, "its log has a gap: it does not vote", mend))
    if not streaming:
        rows.append(warn(CHECK, where, "it receives nothing now", "tricast status"))
    return rows or [ok(CHECK, where, "streams, without a gap")]
