"""Explore the design's deep spaces and every variant; a report for readers and for machines."""

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

import click

from tests.model import histories, report
from tests.model.search import Explored, explore
from tests.model.space import Space
from tests.model.spaces import DEEP, SMALL
from tests.model.variants import VARIANTS

SAY_EVERY_S = 10.0


@dataclass
class Progress:
    """Says now and then how far one space is."""

    name: str
    said: float = 0.0

    def __call__(self, states: int, left: int, depth: int) -> None:
        """One line, if the last one is a while ago."""
        now = monotonic()
        if not self.said:
            self.said = now
        if now - self.said >= SAY_EVERY_S:
            self.said = now
            line = (
                f"     {self.name:27} {states:>10,} states, {left:,} to visit, {depth} moves deep"
            )
            click.echo(line)


@click.command()
@click.option("--only", multiple=True, help="A space or a variant by name; may be given again.")
@click.option("--small", is_flag=True, help="The small spaces instead of the deep ones.")
@click.option("--jobs", default=2, show_default=True, help="Processes that search side by side.")
@click.option("--at-most", default=20_000_000, show_default=True, help="States a space may have.")
@click.option("--trace", is_flag=True, help="Print the losing histories.")
@click.option("--record", is_flag=True, help=f"Write the histories to {histories.FILE.name}.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A JSON report.")
def main(
    *,
    only: tuple[str, ...],
    small: bool,
    jobs: int,
    at_most: int,
    trace: bool,
    record: bool,
    out: Path | None,
) -> None:
    """Search the commit quorum exhaustively within bounds.

    The design has to lose nothing; every variant has to lose an acknowledged write.
    """
    spaces = [*(SMALL if small else DEEP), *(variant.space for variant in VARIANTS)]
    chosen = [space for space in spaces if not only or space.name in only]
    if not chosen:
        names = ", ".join(space.name for space in spaces)
        raise click.UsageError(f"nothing is called {', '.join(only)}; there are: {names}")
    found: list[Explored] = []
    for result in _results(chosen, jobs, at_most):
        found.append(result)
        click.echo(report.summary(result))
        if trace and result.history:
            click.echo("".join(f"       {line}\n" for line in result.history), nl=False)
    found.sort(key=lambda result: [space.name for space in chosen].index(result.space.name))
    if out is not None:
        report.write_json(found, out)
    if record:
        known = {result.space.name: result.history for result in found if result.history}
        histories.FILE.write_text(histories.render(known), encoding="utf-8")
    sys.exit(0 if report.as_json(found)["sound"] else 1)


def _results(chosen: list[Space], jobs: int, at_most: int) -> Iterator[Explored]:
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        search = partial(_search, at_most)
        yield from (
            future.result() for future in as_completed(map(partial(pool.submit, search), chosen))
        )


def _search(at_most: int, space: Space) -> Explored:
    return explore(space, at_most=at_most, progress=Progress(space.name))


if __name__ == "__main__":
    main()
