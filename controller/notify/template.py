"""Templates: the words for one audience, as `string.Template` with a section for each event.

No logic, no attribute and no call can be written in one, so a template can do nothing but speak;
and what it may name is known, so a wrong one is refused before it is used.

    == role_change_finished, voter_back
    $service is served by $to again.
    == any
    $what
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Final

from controller.notify.event import EventKind
from controller.notify.notice import Notice

ANY: Final = "any"
MARK: Final = "=="
FIELDS: Final = frozenset(
    {"event", "severity", "cluster", "site", "service", "epoch", "at", "title", "what", "next_step"}
)
FACTS: Final = frozenset(
    {
        *("kind", "from", "to", "asked", "asked_by", "began_at", "raised_at", "outcome", "request"),
        *("target", "since", "lost", "database", "copy", "detail", "dropped"),
    }
)


class BadTemplate(ValueError):
    """It cannot be used. The sentence names the line, the word and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A template that can be filled in for every event."""

    sections: Mapping[str, str]

    def render(self, notice: Notice) -> str:
        """The text for `notice`; a fact that it does not have is empty."""
        text = self.sections.get(notice.event.value, self.sections[ANY])
        values = dict.fromkeys(FACTS, "") | dict(notice.facts)
        values |= {name: str(getattr(notice, name)) for name in FIELDS}
        return Template(text).substitute(values)


PLAIN: Final = Words(sections={ANY: "[$severity] $cluster $title: $what"})


def read_template(text: str) -> Words:
    """The template that `text` is. Raises BadTemplate."""
    sections: dict[str, list[str]] = {}
    names: tuple[str, ...] = (ANY,)
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(MARK):
            names = _named(line, number, sections)
            continue
        if line.strip() or names[0] in sections:
            _check(line, number)
            for name in names:
                sections.setdefault(name, []).append(line)
    if ANY not in sections:
        raise BadTemplate(f"has no text for every other event: begin one with '{MARK} {ANY}'")
    return Words(sections={name: "\n".join(lines).strip() for name, lines in sections.items()})


def _named(line: str, number: int, sections: Mapping[str, object]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in line.removeprefix(MARK).split(","))
    known = {ANY, *(kind.value for kind in EventKind)}
    for name in names:
        if name not in known:
            allowed = ", ".join(sorted(known))
            raise BadTemplate(f"line {number}: there is no event {name!r}; there are {allowed}")
        if name in sections:
            raise BadTemplate(f"line {number}: {name} has a text already")
    return names


def _check(line: str, number: int) -> None:
    template = Template(line)
    if not template.is_valid():
        raise BadTemplate(f"line {number}: a $ that names nothing; write $$ for the sign itself")
    for name in template.get_identifiers():
        if name not in FIELDS | FACTS:
            allowed = ", ".join(sorted(FIELDS | FACTS))
            raise BadTemplate(f"line {number}: there is no ${name}; there are {allowed}")
