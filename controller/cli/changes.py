"""What happened between two looks at a cluster: values in, events out."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from controller.cli import status_view
from controller.cli.status_view import request_line, weights_line
from controller.web.printed_schema import Event
from controller.web.schema import HistoryEntry, OpenChange, ServiceView, SiteView, Status

_NUMBER = re.compile(r"\b\d[\w./:-]*")
_ALARMING = frozenset({"isolated", "unknown"})

Said = tuple[str, str, str, bool]  # kind, site, sentence, bad


def summary(status: Status) -> Iterator[Event]:
    """How things stand: one event per service, and what is wrong."""
    for service in status.services:
        yield from _standing(status, service)


def _standing(status: Status, service: ServiceView) -> Iterator[Event]:
    seen = (f"{site.site} {site.role}" for site in service.sites)
    roles = ", ".join(seen) or "the daemon has only just started"
    said = f"epoch {service.epoch}, holder {service.holder or 'nobody'}; {roles}"
    yield _event(status, service, ("now", "", said, False))
    for alarm in _alarming(service):
        yield _event(status, service, ("alarm", "", f"stands: {alarm}", True))


def settled(before: Status | None, after: Status) -> Status:
    """`after`, where what the daemon has not looked at since it started is as it was `before`."""
    if before is None:
        return after
    old = {service.name: service for service in before.services}
    services = tuple(s if s.sites else old.get(s.name, s) for s in after.services)
    kept: dict[str, object] = {"services": services}
    if not after.store.ok:
        kept |= {
            "drains": before.drains,
            "fences": before.fences,
            "history": after.history or before.history,
        }
    return after.model_copy(update=kept)


def events(before: Status, after: Status) -> Iterator[Event]:
    """Everything that changed, in the order in which a person wants to read it."""
    if before.store.ok != after.store.ok:
        said = "answers again" if after.store.ok else after.store.detail or "no majority answers"
        yield Event(at=after.now, kind="store", sentence=f"etcd: {said}", bad=not after.store.ok)
    yield from _drains(before, after)
    yield from _fences(before, after)
    old = {service.name: service for service in before.services}
    for service in after.services:
        known = old.get(service.name)
        if known is not None and known.sites:
            for change in _service(known, service):
                yield _event(after, service, change)
        elif service.sites:
            yield from _standing(after, service)
    yield from _moves(before, after)


def _event(status: Status, service: ServiceView, said: Said) -> Event:
    kind, site, sentence, bad = said
    return Event(
        at=status.now, service=service.name, kind=kind, site=site, sentence=sentence, bad=bad
    )


def _drains(before: Status, after: Status) -> Iterator[Event]:
    was, now = ({order.target for order in status.drains} for status in (before, after))
    for site in sorted(was ^ now):
        said = f"{site} is {'drained' if site in now else 'drained no more'}"
        yield Event(at=after.now, kind="drain", site=site, sentence=said)


def _fences(before: Status, after: Status) -> Iterator[Event]:
    """Who is kept out, and each try to close the databases there."""
    was, now = ({f.site: f for f in status.fences if f.in_force} for status in (before, after))
    for site, fence in now.items():
        old = was.get(site)
        if old is None:
            said = status_view.fence_line(fence)
            yield Event(at=after.now, kind="fence", site=site, sentence=said, bad=True)
        for closing in fence.closings:
            if old is None or closing not in old.closings:
                said = status_view.closing_line(fence, closing)
                bad = bool(closing.failed)
                yield Event(at=after.now, kind="fence", site=site, sentence=said, bad=bad)
    for site in was.keys() - now.keys():
        yield Event(at=after.now, kind="fence", site=site, sentence=f"{site} is fenced no more")


def _moves(before: Status, after: Status) -> Iterator[Event]:
    """Role changes that ended meanwhile, also those too short to be seen under way."""
    known = {(entry.service, entry.epoch, entry.began_at) for entry in before.history}
    shown = {service.name for service in after.services}
    for entry in reversed(after.history):
        if entry.service in shown and (entry.service, entry.epoch, entry.began_at) not in known:
            yield Event(
                at=after.now,
                kind="change",
                service=entry.service,
                site=entry.holder,
                sentence=_told(entry),
                bad=entry.outcome != "ok",
            )


def _told(entry: HistoryEntry) -> str:
    took = "" if entry.took_s is None else f" in {entry.took_s:.3f} s"
    steps = "; ".join(_step(step.name, step.database, step.took_s) for step in entry.steps)
    way = f"{entry.previous_holder or 'nobody'} -> {entry.holder}"
    head = f"{entry.kind} {way} under epoch {entry.epoch}{took}: {entry.outcome}"
    return f"{head} ({steps})" if steps else head


def _step(name: str, database: str, took_s: float | None) -> str:
    label = f"{name} {database}".rstrip()
    return label if took_s is None else f"{label} {took_s:.3f} s"


def _service(was: ServiceView, now: ServiceView) -> Iterator[Said]:
    if (was.epoch, was.holder) != (now.epoch, now.holder):
        why = f": {now.record.kind}, {now.record.reason}" if now.record else ""
        moved = f"epoch {was.epoch} -> {now.epoch}, holder {was.holder or 'nobody'}"
        yield "service", now.holder, f"{moved} -> {now.holder or 'nobody'}{why}", False
    if was.paused != now.paused:
        said = f"paused: {now.paused}" if now.paused else "no longer paused"
        yield "pause", "", said, bool(now.paused)
    yield from _request(was, now)
    yield from _weights(was, now)
    if was.guarantee != now.guarantee:
        bad = not now.guarantee.startswith("quorum") or "NEXT" in now.guarantee
        yield "guarantee", "", now.guarantee or "no guarantee is known", bad
    old = {site.site: site for site in was.sites}
    for site in now.sites:
        if site.site in old:
            yield from _site(old[site.site], site)
            yield from _voters((was, old[site.site]), (now, site))
            yield from _rejoins(old[site.site], site)
    yield from _alarms(_alarming(was), _alarming(now))
    yield from _ladder(was.open_change, now.open_change)


def _request(was: ServiceView, now: ServiceView) -> Iterator[Said]:
    before, after = (None if s.request is None else request_line(s.request) for s in (was, now))
    if after is not None and after != before:
        yield "request", "", f"request {after}", False
    elif was.request is not None and now.request is None:
        yield "request", "", f"request {was.request.number} ({was.request.kind}) is over", False


def _weights(was: ServiceView, now: ServiceView) -> Iterator[Said]:
    before, after = (None if s.weights is None else s.weights.order for s in (was, now))
    if was.weights is None or now.weights is None or before == after:
        return
    said = "as configured again" if after is None else weights_line(now.weights)
    yield "weights", "", f"weights {said}", False


def _apps(site: SiteView) -> str:
    return f"{site.apps.up} of {site.apps.total} app servers up" if site.apps.total else ""


def _sessions(site: SiteView) -> str:
    if site.sessions_up is None:
        return ""
    return f"{site.sessions_up} of {site.sessions_total} BGP sessions up"


def _direction(site: SiteView) -> str:
    if site.directed_to is None:
        return ""
    held = ", new requests wait" if site.held else ""
    return f"haproxy -> {' and '.join(site.directed_to) or 'nobody'}{held}"


_FACTS: Mapping[str, Callable[[SiteView], str]] = {
    "health": status_view.health_word,
    "apps": _apps,
    "sessions": _sessions,
    "traffic": _direction,
    "lands": lambda site: f"lands at {site.lands_at}" if site.lands_at else "",
}


def _site(was: SiteView, now: SiteView) -> Iterator[Said]:
    if was.role != now.role:
        why = f" (rule {now.rule}: {now.reason})" if now.rule else ""
        yield "role", now.site, f"{was.role} -> {now.role}{why}", now.role in _ALARMING
    elif was.rule != now.rule:
        yield "rule", now.site, f"rule {was.rule} -> {now.rule}: {now.reason}", False
    if was.stance != now.stance:
        said = f"routes {was.stance or 'unknown'} -> {now.stance or 'unknown'}"
        yield "stance", now.site, said, now.stance in {None, "isolated"}
    for kind, fact in _FACTS.items():
        before, after = fact(was), fact(now)
        if before != after and after:
            yield kind, now.site, after, kind == "health" and after != "ok"


def _voters(was: tuple[ServiceView, SiteView], now: tuple[ServiceView, SiteView]) -> Iterator[Said]:
    """Copies that changed what they do for the quorum, or what they let in."""
    before, after = _copies(*was), _copies(*now)
    for name, word in after.items():
        if name in before and before[name] != word:
            yield "voter", now[1].site, f"{name}: {before[name]} -> {word}", "deposed" in word


def _rejoins(was: SiteView, now: SiteView) -> Iterator[Said]:
    """Each phase that a returning database came to; how far it is in one, the page shows."""
    old = {copy.name: copy.rejoin for copy in was.databases}
    for copy in now.databases:
        before, after = old.get(copy.name), copy.rejoin
        if after is not None and (before is None or before.phase != after.phase):
            yield "rejoin", now.site, f"{copy.name}: {status_view.rejoin_line(after)}", False
        elif before is not None and after is None:
            said = f"{copy.name}: {before.phase} is over, {before.since_s:.0f} s after it began"
            yield "rejoin", now.site, said, False


def _copies(service: ServiceView, site: SiteView) -> dict[str, str]:
    return {
        copy.name: f"{status_view.voter_cell(service, site, copy).text}"
        f" ({status_view.state_cell(copy).text})"
        for copy in site.databases
    }


def _alarming(service: ServiceView) -> list[str]:
    problems = [
        f"{site.site} {copy.name}: {problem}"
        for site in service.sites
        for copy in site.databases
        for problem in copy.problems
    ]
    return [*service.warnings, *problems]


def _alarms(was: Sequence[str], now: Sequence[str]) -> Iterator[Said]:
    """What came and what went. A sentence of which only a number changed did neither."""
    came, gone = _beyond(now, was), _beyond(was, now)
    shapes = [_NUMBER.sub("#", sentence) for sentence in gone]
    for sentence in came:
        shape = _NUMBER.sub("#", sentence)
        if shape in shapes:
            gone.pop(shapes.index(shape))
            shapes.remove(shape)
        else:
            yield "alarm", "", f"came: {sentence}", True
    for sentence in gone:
        yield "alarm", "", f"went: {sentence}", False


def _beyond(some: Sequence[str], others: Iterable[str]) -> list[str]:
    known = set(others)
    return [sentence for sentence in dict.fromkeys(some) if sentence not in known]


def _ladder(was: OpenChange | None, now: OpenChange | None) -> Iterator[Said]:
    """A ladder that began, each step that was reached with its time, a ladder that ended."""
    if was is not None and (now is None or now.ladder != was.ladder):
        yield "ladder", "", f"{was.ladder} is over, last seen at {was.step}", False
    if now is None:
        return
    fresh = was is None or was.ladder != now.ladder
    if fresh:
        yield "ladder", "", f"{now.ladder} began {now.since_s:.1f} s ago, at {now.step}", False
    old = () if was is None or fresh else was.steps
    reached = {(step.name, step.database) for step in old if step.done}
    for step in now.steps:
        seen = step.took_s is not None or not fresh
        if seen and step.done and (step.name, step.database) not in reached:
            said = _step(step.name, step.database, step.took_s)
            yield "ladder", "", f"{now.ladder} [x] {said}", False
    if was is not None and not fresh and was.step != now.step:
        yield "ladder", "", f"{now.ladder} [>] {now.step}", False
