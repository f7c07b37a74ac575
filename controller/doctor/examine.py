"""Runs the checks side by side, each within its time, and puts their rows together."""

import asyncio
from collections.abc import Callable, Sequence

from controller.config import Inspection, SecretError
from controller.core.model import SiteName
from controller.doctor.around import Around
from controller.doctor.judging import configuration
from controller.doctor.judging.row import Grade, Row, unknown, worst
from controller.doctor.plan import CHECKS, Check
from controller.ports import PortError
from controller.version import VERSION
from controller.web.doctor_schema import Checkup, CheckupRow

Told = Callable[[Sequence[str]], None]  # the names of the checks that still run


def examine_file(file: str, found: Inspection) -> Checkup:
    """What is to be said of a file that cannot be used: nothing else can be looked at then."""
    return checkup("", "", _configuration(file, found))


async def examine(
    around: Around,
    found: Inspection,
    only: Sequence[str],
    told: Told,
    checks: Sequence[Check] = CHECKS,
) -> Checkup:
    """Every check in `only`, or all of them when it is empty."""
    chosen = [check for check in checks if not only or check.name in only]
    rows: dict[str, list[Row]] = {}

    async def run(check: Check) -> None:
        rows[check.name] = await _rows(check, around)
        told([each.name for each in chosen if each.name not in rows])

    told([check.name for check in chosen])
    for check in (each for each in chosen if each.first):
        await run(check)
    async with asyncio.TaskGroup() as tasks:
        for check in (each for each in chosen if not each.first):
            tasks.create_task(run(check))
    wanted = not only or configuration.CHECK in only
    first = _configuration(str(around.file), found) if wanted else []
    listed = [row for check in chosen for row in rows[check.name]]
    return checkup(around.cluster.cluster, around.site, [*first, *listed])


async def _rows(check: Check, around: Around) -> list[Row]:
    """What the check says; when it cannot say anything, why."""
    try:
        async with asyncio.timeout(check.deadline_s):
            return await check.look(around)
    except TimeoutError:
        why = f"no end of it within {check.deadline_s:g} s"
    except (PortError, SecretError, OSError) as error:
        why = str(error)
    except Exception as error:  # one check that breaks takes no other with it
        first = _first(error)
        why = f"the check itself failed: {type(first).__name__}: {first}"
    step = f"mend what it says, then: tricast doctor --only {check.name}"
    return [unknown(check.name, "", why, step)]


def _first(error: Exception) -> Exception:
    """The first of a group, however deep."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _configuration(file: str, found: Inspection) -> list[Row]:
    return configuration.loaded(
        file,
        [problem.render() for problem in found.problems],
        [warning.render() for warning in found.warnings],
    )


def checkup(cluster: str, site: SiteName | str, rows: Sequence[Row]) -> Checkup:
    """`rows` as they are printed."""
    counts = {grade.value: sum(row.grade is grade for row in rows) for grade in Grade}
    return Checkup(
        cluster=cluster,
        site=site,
        version=VERSION,
        verdict=worst(rows).value,
        counts=counts,
        rows=tuple(
            CheckupRow(
                check=row.check,
                subject=row.subject,
                grade=row.grade.value,
                seen=row.seen,
                next_step=row.next_step,
            )
            for row in rows
        ),
    )
