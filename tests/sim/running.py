"""One intent of a simulated daemon, from its beginning to its end."""

from controller.core.intents import Intent
from controller.core.model import Outcome
from tests.sim.engine import Task


class Run:
    """One intent at work."""

    __slots__ = ("began", "detail", "intent", "number", "outcome", "over", "rule", "task")

    def __init__(self, intent: Intent, rule: int, number: int, began: float) -> None:
        self.intent, self.rule, self.number, self.began = intent, rule, number, began
        self.outcome, self.detail, self.over = Outcome.OK, "", False
        self.task: Task | None = None
