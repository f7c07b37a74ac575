"""What the API answers about sites that an operator keeps out."""

from controller.web.answer import Answer


class ClosingView(Answer):
    """How one site's try to close the databases of the fenced one went."""

    service: str
    by: str  # the site that tried, over the host agents
    at: str = ""
    failed: tuple[str, ...] = ()  # none: all of them are closed


class FenceView(Answer):
    """A site that is kept out, or that a daemon still takes for kept out."""

    site: str
    in_force: bool = True  # false: it was ended, and `told_by` have not said so yet
    number: int = 0
    by: str = ""
    at: str = ""
    reason: str = ""
    closings: tuple[ClosingView, ...] = ()
    told_by: tuple[str, ...] = ()  # sites whose daemons say that they keep it out
