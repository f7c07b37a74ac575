"""What a ladder is: a rung whose goal holds is skipped, the intent of another is asked for.

Check and verify are the same goal read twice; no "current step" is stored, so a ladder resumes
from wherever the world is, after a crash, by a restarted daemon, or after an operator's own work.
A goal is always something observed: a gone receiver, a timeline, a follower, a route read back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from controller.core.intents import Intent
from controller.core.model import DatabaseName, DatabaseState
from controller.core.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rung, per service or (the other class) per database."""

    name: str
    goal: Callable[[View], bool]
    apply: Callable[[View], Intent | None]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStep:
    """One rung that each database of the service climbs by itself, side by side."""

    name: str
    goal: Callable[[View, DatabaseState], bool]
    apply: Callable[[View, DatabaseState], Intent | None]
    needs: tuple[str, ...] = ()


AnyStep = Step | DatabaseStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step as it stands now."""

    step: str
    database: DatabaseName | None
    done: bool
    intent: Intent | None  # what would bring it about; None: done, not yet its turn, or waiting


def climb(ladder: tuple[AnyStep, ...], view: View) -> tuple[Rung, ...]:
    """Every rung as it stands now; those whose needs are met carry their intent."""
    rungs: list[Rung] = []
    done: dict[tuple[str, DatabaseName], bool] = {}
    whole: dict[str, bool] = {}  # of a step: done for the service, or for each database
    for step in ladder:
        if isinstance(step, Step):
            reached = step.goal(view)
            ready = not reached and all(whole[need] for need in step.needs)
            intent = step.apply(view) if ready else None
            whole[step.name] = reached
            rungs.append(_done(step.name, None) if reached else _rung(step.name, None, intent))
            continue
        for state in view.own.databases:
            reached = step.goal(view, state)
            intent = None
            if not reached and _ready(step, state.name, done, whole):
                intent = step.apply(view, state)
            done[(step.name, state.name)] = reached
            name = state.name
            rungs.append(_done(step.name, name) if reached else _rung(step.name, name, intent))
        whole[step.name] = all(done[(step.name, state.name)] for state in view.own.databases)
    return tuple(rungs)


def _rung(step: str, database: DatabaseName | None, intent: Intent | None) -> Rung:
    return Rung(step=step, database=database, done=False, intent=intent)


@cache
def _done(step: str, database: DatabaseName | None) -> Rung:
    """Most rungs are done most of the time: one value serves them all."""
    return Rung(step=step, database=database, done=True, intent=None)


def _ready(
    step: DatabaseStep,
    database: DatabaseName,
    done: Mapping[tuple[str, DatabaseName], bool],
    whole: Mapping[str, bool],
) -> bool:
    """A database's rung needs its own lower rungs; a service's rung needs every database's."""
    return all(done.get((need, database), whole[need]) for need in step.needs)


def unfinished(ladder: tuple[AnyStep, ...], view: View) -> bool:
    """A rung of it is not reached; as `climb` would say, without asking for anything."""
    for step in ladder:
        if isinstance(step, Step):
            if not step.goal(view):
                return True
        elif not all(step.goal(view, state) for state in view.own.databases):
            return True
    return False


def climbed(rungs: tuple[Rung, ...]) -> bool:
    """Every rung is done."""
    return all(rung.done for rung in rungs)
