"""The daemons of every site, as the cluster file names them: asked at once, each for itself."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from controller.cli.endpoint import Endpoint, status_of
from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.config import Cluster, ConfigError, inspect
from controller.web.schema import ServiceView, SiteView, Status

DEFAULT_CONFIG: Final = Path("/etc/tricast/tricast.yml")
DEADLINE_S: Final = 1.0
OWN_WORDS: Final = ("apps", "sessions_up", "sessions_total", "directed_to", "held")


def cluster_of(config: Path | None) -> Cluster | None:
    """The cluster file, or None when there is none. Raises ConfigError for a bad one by name."""
    if config is None and not DEFAULT_CONFIG.exists():
        return None
    found = inspect(config or DEFAULT_CONFIG)
    if found.cluster is None and config is not None:
        raise ConfigError(found.problems)
    return found.cluster


def endpoints(cluster: Cluster | None) -> Mapping[str, Endpoint]:
    """Where the daemon of each site answers over TCP."""
    if cluster is None:
        return {}
    return {
        site: Endpoint(url=_url(cluster.api_address(site), cluster.api.port), deadline_s=DEADLINE_S)
        for site in cluster.sites
    }


def _url(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}"


def told(
    first: Endpoint, sites: Mapping[str, Endpoint], *, alone: bool
) -> tuple[Status, tuple[str, ...]]:
    """What the first daemon says, else any other; completed with what each site says of itself,
    unless `alone`. Also one sentence for each that did not answer. Raises CliError when none did.
    """
    status, silent = _first(first, {} if alone else sites)
    missing = {site: where for site, where in sites.items() if site != status.site}
    if alone or not missing:
        return status, silent
    with ThreadPoolExecutor(max_workers=len(missing)) as pool:
        answers = dict(zip(missing, pool.map(_status, missing.values()), strict=True))
    own = {found.site: found for found in answers.values() if isinstance(found, Status)}
    lost = tuple(
        f"{site}: {found.sentence.partition('. ')[0]}"
        for site, found in answers.items()
        if isinstance(found, CliError)
    )
    return completed(status, own), (*silent, *lost)


def _first(first: Endpoint, sites: Mapping[str, Endpoint]) -> tuple[Status, tuple[str, ...]]:
    found = _status(first)
    if isinstance(found, Status):
        return found, ()
    if found.code is not ExitCode.UNAVAILABLE:
        raise found
    for where in sites.values():
        other = _status(where)
        if isinstance(other, Status):
            return other, (found.sentence.partition(". ")[0],)
    raise found


def _status(where: Endpoint) -> Status | CliError:
    try:
        return status_of(where)
    except CliError as error:
        return error


def completed(status: Status, own: Mapping[str, Status]) -> Status:
    """`status`, where each site of `own` says itself what nobody else knows of it."""
    services = tuple(
        service.model_copy(
            update={"sites": tuple(_itself(site, service, own) for site in service.sites)}
        )
        for service in status.services
    )
    return status.model_copy(update={"services": services})


def _itself(site: SiteView, service: ServiceView, own: Mapping[str, Status]) -> SiteView:
    if site.site not in own:
        return site
    for known in own[site.site].services:
        for seen in known.sites if known.name == service.name else ():
            if seen.site == site.site:
                return site.model_copy(update={word: getattr(seen, word) for word in OWN_WORDS})
    return site
