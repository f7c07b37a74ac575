"""A promise of the design that was broken: who saw it, when, and what."""


class Violation(AssertionError):
    """Names the checker, the true time, and the things that break the promise."""

    def __init__(self, checker: str, at: float, text: str) -> None:
        super().__init__(f"{checker} at {at:.3f} s: {text}")
        self.checker = checker
        self.at = at
        self.text = text
