"""Collecting problems: a check says what is wrong with a key path; value and line are looked up."""

from dataclasses import dataclass, field

from controller.config.problem import Path, Problem, dotted, shown_value
from controller.config.yaml_lines import Document


@dataclass(slots=True)
class Findings:
    """What the checks of one document have found so far."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: Path, value: object, sentence: str) -> None:
        """One problem at `path`; `value` None means that there is nothing to show."""
        self.problems.append(
            Problem(
                file=self.document.file,
                line=self.document.line(path),
                key=dotted(path),
                value=None if value is None else shown_value(path, value),
                sentence=sentence,
            )
        )


@dataclass(slots=True)
class Distinct:
    """Refuses the second of two equal values; the sentence names where the first stands."""

    findings: Findings
    what: str
    seen: dict[object, Path] = field(default_factory=dict)

    def add(self, path: Path, value: object) -> None:
        """`value` stands at `path`, and nowhere else."""
        first = self.seen.setdefault(value, path)
        if first != path:
            line = self.findings.document.line(first)
            self.findings.add(
                path, value, f"{self.what}; {dotted(first)} (line {line}) has the same"
            )
