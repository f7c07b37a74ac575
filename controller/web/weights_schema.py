"""In which order the eligible sites of a service go: configured, or set by an operator."""

from controller.web.answer import FORMAT, Answer


class SiteWeight(Answer):
    """The weight of one data site."""

    site: str
    weight: int  # in force
    configured: int
    was_set: bool = False  # by the order, whatever is configured


class WeightsOrder(Answer):
    """Who has set them, and why."""

    number: int
    by: str
    at_site: str
    at: str
    reason: str = ""
    approved_by: tuple[str, ...] = ()


class WeightsView(Answer):
    """The weights of one service."""

    sites: tuple[SiteWeight, ...] = ()  # data sites, the heaviest first
    first: str = ""  # of those that could take over now, the one that goes first; "" for none
    order: WeightsOrder | None = None  # null: as configured


class ServiceWeights(WeightsView):
    """The same, by name."""

    service: str
    holder: str = ""
    paused: str = ""  # the operator's reason: nobody takes over by itself


class Weights(Answer):
    """`tricast weights show --json`."""

    format: int = FORMAT
    cluster: str
    site: str
    services: tuple[ServiceWeights, ...] = ()
