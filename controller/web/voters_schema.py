"""Who votes on the commits of a service, and whose copy counts now."""

from pydantic import Field

from controller.web.answer import FORMAT, Answer


class SiteVote(Answer):
    """One site, for one service."""

    site: str
    kind: str  # data | witness
    votes: str  # voter | learner: what the epoch record says
    # By database, as seen here: primary, of the holder's that takes writes; acknowledges, of a
    # voter's that follows it; else no.
    counts: dict[str, str] = Field(default_factory=dict)


class ServiceVoters(Answer):
    """Every site of one service."""

    service: str
    holder: str = ""
    needed: int = 0  # copies that hold a commit before it is acknowledged; 0: no database
    guarantee: str = ""  # what the next failure would cost
    sites: tuple[SiteVote, ...] = ()


class Voters(Answer):
    """GET /api/v1/voters, and `tricast voters list --json`."""

    format: int = FORMAT
    cluster: str
    site: str  # who answers
    services: tuple[ServiceVoters, ...] = ()
