"""What a ladder is: a rung whose goal holds is skipped, the intent of another is asked for.

Check and verify are the same goal read twice; no "current step" is stored, so a ladder resumes
from wherever the world is, after a crash, by a restarted daemon, or after an operator's own work.
A goal is always something observed: a gone receiver, a timeline, a follower, a route read back.
"""

from collections.abc import Callable, Sequence
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
    done: dict[str, list[bool]] = {}  # of a step: once for the service, or for each database
    for step in ladder:
        name, needs = step.name, step.needs
        if isinstance(step, Step):
            reached = step.goal(view)
            ready = not reached and all(all(done[need]) for need in needs)
            intent = step.apply(view) if ready else None
            done[name] = [reached]
            rungs.append(_done(name, None) if reached else _rung(name, None, intent))
            continue
        done[name] = stands = []
        for place, state in enumerate(view.own.databases):
            reached = step.goal(view, state)
            ready = not reached and all(_stands(done[need], place) for need in needs)
            intent = step.apply(view, state) if ready else None
            stands.append(reached)
            rungs.append(_done(name, state.name) if reached else _rung(name, state.name, intent))
    return tuple(rungs)


def _stands(done: Sequence[bool], place: int) -> bool:
    """A database's rung needs its own lower rungs; a service's rung needs every database's."""
    return done[place] if place < len(done) else all(done)


def _rung(step: str, database: DatabaseName | None, intent: Intent | None) -> Rung:
    return Rung(step=step, database=database, done=False, intent=intent)


@cache
def _done(step: str, database: DatabaseName | None) -> Rung:
    """Most rungs are done most of the time: one value serves them all."""
    return Rung(step=step, database=database, done=True, intent=None)


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
