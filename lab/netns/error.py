"""What the lab says when it cannot do what was asked."""


class LabError(Exception):
    """A sentence for the person at the terminal: the thing, the value, and what to try next."""
