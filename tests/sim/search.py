"""Where to look: drawn histories, a crash at every boundary of each ladder, each set of cut links.

A boundary is an intent: just before its effect, or when its effect is there and its daemon does not
know. Boundaries are taken from the history of a plain plan, so that a new rung is covered at once.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from controller.core.intents import name
from tests.sim.draw import drawn
from tests.sim.history import play
from tests.sim.plan import Fault, Moment, Plan
from tests.sim.scenes import CRASHES, LINKS, SCENES, Scene
from tests.sim.truth import IntentBegan

Links = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Boundary:
    """One place in a scene's history."""

    scene: Scene
    moment: Moment


def boundaries(scene: Scene, seed: int = 1) -> list[Boundary]:
    """Before and after each intent that follows the scene's first fault."""
    told = play(scene.plan(seed))
    counts: dict[tuple[str, str], int] = {}
    found: list[Boundary] = []
    for event in told.events:
        if not isinstance(event, IntentBegan) or event.at < scene.begins_s:
            continue
        key = (str(event.site), name(event.intent))
        counts[key] = counts.get(key, 0) + 1
        if counts[key] > scene.most_of_a_kind:
            continue
        for after in (False, True):
            found.append(Boundary(scene, Moment(*key, counts[key], after)))
    return found


def crashes(scene: Scene, seed: int = 1) -> Iterator[Plan]:
    """Each process of either side crashes at each boundary."""
    for boundary in boundaries(scene, seed):
        for crash in CRASHES:
            fault = replace(crash, at=scene.begins_s, on=boundary.moment)
            plan = scene.plan(seed)
            yield replace(plan, faults=(*plan.faults, fault))


def cuts(scene: Scene, seed: int = 1) -> Iterator[Plan]:
    """At each boundary every set of links, both directions apart, is cut."""
    sets = list(subsets(LINKS))
    for boundary in boundaries(scene, seed):
        for links in sets:
            faults = tuple(replace(link, at=scene.begins_s, on=boundary.moment) for link in links)
            plan = scene.plan(seed)
            yield replace(plan, faults=(*plan.faults, *faults))


def subsets(links: Sequence[Fault]) -> Iterator[tuple[Fault, ...]]:
    """Every one but the empty."""
    for size in range(1, len(links) + 1):
        yield from itertools.combinations(links, size)


def exhaustive(seed: int = 1) -> Iterator[Plan]:
    """All crashes of all scenes, then all cuts of the takeovers."""
    for scene in SCENES:
        yield from crashes(scene, seed)
    for scene in SCENES:
        if scene.takeover:
            yield from cuts(scene, seed)


def endless(seed: int) -> Iterator[Plan]:
    """Drawn histories, without end."""
    for number in itertools.count():
        yield drawn(seed * 10_000_000 + number)
