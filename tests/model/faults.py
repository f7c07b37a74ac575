"""Crashes, torn tails, a wiped keeper, and acknowledgements that arrive late."""

from collections.abc import Iterator

from tests.model.moves import Move, heard, reported
from tests.model.space import Family, Space
from tests.model.state import DATABASES, NOBODY, Copy, State, replaced


def crash_database(state: State, space: Space) -> Iterator[Move]:
    """A server falls. It comes back closed, following nobody; who waited is never answered."""
    for site in DATABASES:
        copy = state.copies[site]
        if not copy.writable and (not space.has(Family.TORN) or copy.upstream == NOBODY):
            continue
        log = copy.log[: copy.durable]
        if copy.writable and not space.protocol.cut_tail_is_kept and log and log[-1] & 15:
            log = log[:-1]
        yield _fallen("crash database", state, site, copy, log)


def crash_keeper(state: State, space: Space) -> Iterator[Move]:
    """A keeper falls. It comes back with what it had flushed and with its seal."""
    for site, copy in enumerate(state.copies):
        if site in DATABASES or not (copy.upstream != NOBODY or copy.durable < len(copy.log)):
            continue
        if not space.protocol.seal_survives_restart:
            copy = copy._replace(promised=1)  # noqa: PLW2901
        yield _fallen("crash keeper", state, site, copy, copy.log[: copy.durable])


def crash_sealed_keeper(state: State, space: Space) -> Iterator[Move]:
    """One that follows nobody falls: only a seal that is not durable makes a difference."""
    if space.protocol.seal_survives_restart:
        return
    for site, copy in enumerate(state.copies):
        if site not in DATABASES and copy.upstream == NOBODY and copy.promised > 1:
            yield _fallen("crash keeper", state, site, copy._replace(promised=1), copy.log)


def _fallen(kind: str, state: State, site: int, copy: Copy, log: bytes) -> Move:
    after = copy._replace(
        log=log,
        durable=min(copy.durable, len(log)),
        upstream=NOBODY,
        under=0,
        writable=0,
        waiting=0,
        quiesced=0,
    )
    return Move(kind, state._replace(copies=replaced(state, site, after)), site)


def wipe_keeper(state: State, space: Space) -> Iterator[Move]:
    """A keeper loses its log, not its promise. It may begin again; it holds nothing until then."""
    for site, copy in enumerate(state.copies):
        if site not in DATABASES and copy.missing == 0 and copy.log:
            after = copy._replace(log=b"", durable=0, missing=1, upstream=NOBODY, under=0)
            yield Move("wipe", state._replace(copies=replaced(state, site, after)), site)


def flush(state: State, space: Space) -> Iterator[Move]:
    """A follower makes durable what it has received, and says so."""
    for site, copy in enumerate(state.copies):
        if copy.durable == len(copy.log):
            continue
        after = copy._replace(durable=len(copy.log))
        flushed = state._replace(copies=replaced(state, site, after))
        if copy.upstream != NOBODY:
            flushed = reported(flushed, site, after.durable, space)
        yield Move("flush", flushed, site)


def arrive(state: State, space: Space) -> Iterator[Move]:
    """An acknowledgement arrives, whatever has become of its sender meanwhile."""
    for site, copy in enumerate(state.copies):
        if copy.flying:
            landed = state._replace(copies=replaced(state, site, copy._replace(flying=())))
            after = heard(landed, copy.flying, site, space)
            yield Move("arrive", after, site, copy.flying[0])
