"""The roles of a site, the rules that lead to each, and how one becomes another.

Which rule leads to which role, its reason and its ladder are read from the table. Only where a role
stands in the picture is said here; a role that is not named here stands with those that wait.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from controller.cli.diagrams.svg import Drawing, sans_width, wrapped
from controller.core.model import Role
from controller.core.rule import Rule

MARGIN: Final = 28
GAP: Final = 64  # between the two columns
WIDTH: Final = 440  # of a column
PAD: Final = 16
BAND: Final = 176  # title, and the arrows from one owner of the epoch to another
BETWEEN: Final = 30  # between cards
ROW: Final = 17
TITLE: Final = 34
SIZE: Final = 13
TEXT: Final = 58  # where a line begins in its card


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Roles that belong together, from top to bottom, and how each becomes the next."""

    title: str
    colour: str
    roles: tuple[Role, ...]
    between: tuple[str, ...]  # down (or up and down, with <>) from each role to the next


OTHER: Final = Lane(
    title="another site owns the epoch",
    colour="other",
    roles=(Role.STEPPING_DOWN, Role.REJOINING, Role.STANDBY),
    between=("closed, and routes given up", "follows, and votes"),
)
OWN: Final = Lane(
    title="this site owns the epoch",
    colour="own",
    roles=(Role.TAKING_OVER, Role.PRIMARY, Role.HANDING_OVER),
    between=("every database open, traffic here", "<>asked to hand over; taken back"),
)
APART: Final = Lane(title="nothing to act on", colour="apart", roles=(), between=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One rule as it stands in a card."""

    number: int
    lines: tuple[str, ...]
    ladder: str
    raises: bool
    also: str  # another role that it may lead to

    @property
    def height(self) -> float:
        """Of the lines, and of the labels below them."""
        return len(self.lines) * ROW + (0 if self.beside else 22) + 9

    @property
    def beside(self) -> bool:
        """Whether the labels, if any, fit behind the last line."""
        room = WIDTH - 2 * PAD - TEXT - 20 - sans_width(self.lines[-1], SIZE)
        return sum(sans_width(words, 11) + 20 for words, _ in self.labels) <= room

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """Small labels: their words and their colour."""
        found = []
        if self.raises:
            found.append(("raises the epoch", "hot"))
        if self.ladder:
            found.append((self.ladder, "chip"))
        if self.also:
            found.append((f"or {self.also}", "chip"))
        return tuple(found)


Cards = Mapping[Role, tuple[Entry, ...]]


def draw(
    rules: tuple[Rule, ...],
    roles_of: Callable[[Rule], tuple[Role, ...]],
    raises: Callable[[Rule], bool],
) -> str:
    """The picture of `rules`; `roles_of` says where a rule leads, the usual one first."""
    cards = _cards(rules, roles_of, raises)
    left_over = tuple(role for role in cards if role not in (*OTHER.roles, *OWN.roles))
    columns = max(_lane_height(OTHER, cards), _lane_height(OWN, cards))
    below = max((_card_height(cards[role]) for role in left_over), default=0) + TITLE + 24
    total = 2 * MARGIN + 2 * WIDTH + GAP
    height = BAND + columns + 78 + below + MARGIN
    drawing = Drawing("Roles of a site, and the rules that lead to them", total, round(height))
    right = MARGIN + WIDTH + GAP
    drawing.text("ink bold", MARGIN, 40, 19, "Roles, and the rules that lead to them")
    _lane(drawing, OTHER, cards, MARGIN, columns)
    _lane(drawing, OWN, cards, right, columns)
    _crossing(drawing, _numbers(cards, OTHER.roles), right)
    _lower(drawing, cards, left_over, BAND + columns)
    return drawing.render()


def _cards(
    rules: tuple[Rule, ...],
    roles_of: Callable[[Rule], tuple[Role, ...]],
    raises: Callable[[Rule], bool],
) -> dict[Role, tuple[Entry, ...]]:
    found: dict[Role, list[Entry]] = {}
    for rule in rules:
        role, *others = roles_of(rule)
        entry = Entry(
            number=rule.number,
            lines=tuple(wrapped(rule.reason.value, SIZE, WIDTH - 2 * PAD - TEXT - 14)),
            ladder=rule.ladder_name,
            raises=raises(rule),
            also=" or ".join(other.value for other in others),
        )
        found.setdefault(role, []).append(entry)
    return {role: tuple(entries) for role, entries in found.items()}


def _numbers(cards: Cards, roles: tuple[Role, ...]) -> str:
    found = [entry.number for role in roles for entry in cards.get(role, ()) if entry.raises]
    return " ".join(map(str, sorted(found)))


# --- cards and lanes -----------------------------------------------------------------------------


def _card_height(entries: tuple[Entry, ...]) -> float:
    return TITLE + 14 + sum(entry.height for entry in entries)


def _lane_height(lane: Lane, cards: Cards) -> float:
    shown = [role for role in lane.roles if role in cards]
    return sum(_card_height(cards[role]) + BETWEEN for role in shown) + 46 + PAD - BETWEEN


def _lane(drawing: Drawing, lane: Lane, cards: Cards, x: float, height: float) -> None:
    drawing.box("lane", x, BAND, WIDTH, height, round_=12)
    drawing.text("soft bold", x + WIDTH / 2, BAND + 28, 14, lane.title, at="middle")
    y = BAND + 46.0
    shown = [role for role in lane.roles if role in cards]
    for number, role in enumerate(shown):
        _card(drawing, lane.colour, role, cards[role], (x + PAD, y), WIDTH - 2 * PAD)
        y += _card_height(cards[role])
        if number + 1 < len(shown):
            _step(drawing, x + 60, y, lane.between[lane.roles.index(role)])
        y += BETWEEN


def _step(drawing: Drawing, x: float, y: float, words: str) -> None:
    both = words.startswith("<>")
    drawing.line("line", ((x, y + (8 if both else 0)), (x, y + BETWEEN - 8)))
    drawing.tip(x, y + BETWEEN - 1, 0, 1)
    if both:
        drawing.tip(x, y + 1, 0, -1)
    drawing.text("soft", x + 14, y + BETWEEN / 2 + 4, 12, words.removeprefix("<>"))


def _card(
    drawing: Drawing,
    colour: str,
    role: Role,
    entries: tuple[Entry, ...],
    corner: tuple[float, float],
    width: float,
) -> None:
    x, y = corner
    drawing.box("card", x, y, width, _card_height(entries), round_=10)
    name = sans_width(role.value, 14) + 26
    drawing.box(colour, x + 12, y + 10, name, 24, round_=12)
    drawing.text(f"{colour}-ink bold", x + 12 + name / 2, y + 27, 14, role.value, at="middle")
    y += TITLE + 10
    for entry in entries:
        drawing.line("rule", ((x + 12, y), (x + width - 12, y)))
        drawing.text("ink bold mono", x + 16, y + 18, SIZE, str(entry.number))
        for number, line in enumerate(entry.lines):
            drawing.text("ink", x + TEXT, y + 18 + number * ROW, SIZE, line)
        _labels(drawing, entry, y, x + width - 12)
        y += entry.height


def _labels(drawing: Drawing, entry: Entry, y: float, end: float) -> None:
    """To the right, behind the last line or below it."""
    wide = sum(sans_width(words, 11) + 20 for words, _ in entry.labels) - 6
    at = end - wide
    y += len(entry.lines) * ROW + (-12 if entry.beside else 7)
    for words, style in entry.labels:
        ink = "hot-ink" if style == "hot" else "soft"
        at += drawing.chip(style, ink, at, y, words) + 6


# --- from one owner of the epoch to another ------------------------------------------------------


def _crossing(drawing: Drawing, numbers: str, right: float) -> None:
    """Above the columns: the epoch comes, and the epoch goes."""
    there, here = MARGIN + WIDTH / 2, right + WIDTH / 2
    middle = (there + here) / 2
    top, low = BAND - 84, BAND - 42
    drawing.line(
        "line", ((there - 30, BAND), (there - 30, top), (here + 30, top), (here + 30, BAND - 8))
    )
    drawing.tip(here + 30, BAND - 1, 0, 1)
    drawing.text(
        "hot-ink bold", middle, top - 10, 13, f"this site raises the epoch: {numbers}", at="middle"
    )
    drawing.line(
        "line", ((here - 30, BAND), (here - 30, low), (there + 30, low), (there + 30, BAND - 8))
    )
    drawing.tip(there + 30, BAND - 1, 0, 1)
    words = "another site has raised it, or it was handed over"
    drawing.text("soft bold", middle, low - 9, 13, words, at="middle")


def _lower(drawing: Drawing, cards: Cards, roles: tuple[Role, ...], top: float) -> None:
    """Below: the roles of a site that knows of no epoch to act on."""
    if not roles:
        return
    whole = 2 * WIDTH + GAP
    tallest = max(_card_height(cards[role]) for role in roles)
    y = top + 78
    drawing.box("lane", MARGIN, y, whole, TITLE + 12 + tallest + PAD, round_=12)
    drawing.text("soft bold", MARGIN + whole / 2, y + 27, 14, APART.title, at="middle")
    width = (whole - (len(roles) + 1) * PAD) / len(roles)
    for number, role in enumerate(roles):
        corner = (MARGIN + PAD + number * (width + PAD), y + TITLE + 12)
        _card(drawing, APART.colour, role, cards[role], corner, width)
    raised = _numbers(cards, roles)
    for x, words in (
        (MARGIN + WIDTH / 2, "the record is read: another site's"),
        (MARGIN + WIDTH + GAP + WIDTH / 2, f"the record is read, or made: {raised}"),
    ):
        drawing.line("line", ((x, y), (x, top + 9)))
        drawing.tip(x, top + 2, 0, -1)
        drawing.text("soft", x + 14, top + 44, 13, words)
