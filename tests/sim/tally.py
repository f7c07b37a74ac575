"""What many histories gave together; goes through JSON, so that a long run can go on later."""

import json
from dataclasses import asdict, dataclass, field

from tests.sim.history import Told
from tests.sim.plan import Plan

KEPT = 20  # violations written down; the others are counted


@dataclass(slots=True)
class Found:
    """One violation, and the plan that brings it back."""

    checker: str
    text: str
    plan: str  # JSON


@dataclass(slots=True)
class Tally:
    """Sums."""

    histories: int = 0
    faults: int = 0
    role_changes: int = 0
    simulated_s: float = 0.0
    core_s: float = 0.0  # of processor time, all processes together
    violations: int = 0
    found: list[Found] = field(default_factory=list)
    rules: dict[int, int] = field(default_factory=dict)  # histories that reached it
    by_fault: dict[str, int] = field(default_factory=dict)

    def add(self, told: Told) -> None:
        """One more history."""
        self.histories += 1
        self.faults += told.faults
        self.role_changes += told.role_changes
        self.simulated_s += told.seconds
        for rule in told.rules:
            self.rules[rule] = self.rules.get(rule, 0) + 1
        for fault in told.plan.faults:
            self.by_fault[fault.name] = self.by_fault.get(fault.name, 0) + 1
        if told.violation is not None:
            self.violations += 1
            if len(self.found) < KEPT:
                violation = told.violation
                self.found.append(Found(violation.checker, str(violation), told.plan.to_json()))

    def join(self, other: "Tally") -> None:
        """Those of another process too."""
        self.histories += other.histories
        self.faults += other.faults
        self.role_changes += other.role_changes
        self.simulated_s += other.simulated_s
        self.core_s += other.core_s
        self.violations += other.violations
        self.found = [*self.found, *other.found][:KEPT]
        for rule, count in other.rules.items():
            self.rules[rule] = self.rules.get(rule, 0) + count
        for name, count in other.by_fault.items():
            self.by_fault[name] = self.by_fault.get(name, 0) + count

    @property
    def per_second_per_core(self) -> float:
        """Histories."""
        return self.histories / self.core_s if self.core_s else 0.0

    def plans(self) -> list[Plan]:
        """Those that broke something."""
        return [Plan.from_json(found.plan) for found in self.found]

    def to_json(self) -> str:
        """As a report, keys in order."""
        data = asdict(self)
        data["per_second_per_core"] = round(self.per_second_per_core, 2)
        data["simulated_s"], data["core_s"] = round(self.simulated_s), round(self.core_s, 1)
        data["rules"] = {str(rule): count for rule, count in sorted(self.rules.items())}
        data["by_fault"] = dict(sorted(self.by_fault.items()))
        return json.dumps(data, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Tally":
        """What `to_json` wrote."""
        data = json.loads(text)
        del data["per_second_per_core"]
        data["rules"] = {int(rule): count for rule, count in data["rules"].items()}
        data["found"] = [Found(**found) for found in data["found"]]
        return cls(**data)
