"""Services, their app servers, probes, databases and voters."""

from collections.abc import Mapping

from controller.config.check_probes import check_probes
from controller.config.cluster import Cluster
from controller.config.findings import Distinct, Findings
from controller.config.problem import Path, did_you_mean
from controller.config.services import DatabaseConf, Service, VoterConf
from controller.core.model import DatabaseKind, Durability, ServiceName, SiteKind, SiteName
from controller.core.sightings import fit


def check_services(cluster: Cluster, findings: Findings) -> None:
    """Each service stands for itself: no database, backend or server serves two."""
    names = Distinct(findings, "each service has its own name")
    backends = Distinct(findings, "each service has its own haproxy backend")
    servers = Distinct(findings, "an app server belongs to one service")
    databases = Distinct(findings, "a database belongs to one service only")
    directories = Distinct(findings, "each keeper has its own directory")
    told = [ServiceName(service.name) for service in cluster.services]
    if not all(fit(cluster.others(site), told) for site in cluster.sites):
        text = "are too many: what a site sees of each does not fit into a heartbeat; run a second"
        findings.add(("services",), len(told), f"{text} cluster for some of them")
    for number, service in enumerate(cluster.services):
        at: Path = ("services", number)
        names.add((*at, "name"), service.name)
        backends.add((*at, "backend"), service.backend)
        _check_holder(cluster, findings, service, at)
        _check_apps(cluster, findings, service, at, servers)
        check_probes(cluster, findings, service, at)
        _check_durability(findings, service, at)
        _check_shed(cluster, findings, service, at)
        _check_objectives(findings, service, at)
        own_names = Distinct(findings, "each database of a service has its own name")
        for index, database in enumerate(service.databases):
            here: Path = (*at, "databases", index)
            own_names.add((*here, "name"), database.name)
            _check_voters(cluster, findings, database, here, service)
            for site, voter in database.voters.items():
                if voter.address is not None:
                    databases.add((*here, "voters", site, "address"), voter.address)
                if voter.directory is not None:
                    directories.add(
                        (*here, "voters", site, "directory"), f"{site}:{voter.directory}"
                    )


def _check_holder(cluster: Cluster, findings: Findings, service: Service, at: Path) -> None:
    if service.holder in cluster.data_sites:
        return
    known = ", ".join(cluster.data_sites)
    what = "is a witness; it must" if service.holder in cluster.sites else "must"
    findings.add(
        (*at, "holder"),
        service.holder,
        f"{what} be one of the data sites: {known}"
        f"{did_you_mean(service.holder, cluster.data_sites)}",
    )


def _check_apps(
    cluster: Cluster, findings: Findings, service: Service, at: Path, servers: Distinct
) -> None:
    for site, apps in service.apps.items():
        here: Path = (*at, "apps", site)
        if site not in cluster.data_sites:
            known = ", ".join(cluster.data_sites)
            findings.add(here, site, f"must be one of the data sites: {known}")
        names = Distinct(findings, "each app server of a site has its own name")
        for index, app in enumerate(apps):
            names.add((*here, index, "name"), app.name)
            servers.add((*here, index, "address"), app.address)
    if not service.apps:
        return
    for site in cluster.data_sites:
        count = len(service.apps_of(site))
        if count < service.min_healthy:
            findings.add(
                (*at, "min_healthy"),
                service.min_healthy,
                f"site {site} has only {count} app server(s): it could never hold the service",
            )


def _check_durability(findings: Findings, service: Service, at: Path) -> None:
    if service.durability is Durability.QUORUM and not service.databases:
        findings.add(
            (*at, "durability"),
            service.durability.value,
            "quorum needs a database; a service without one uses durability: lease",
        )


def _check_objectives(findings: Findings, service: Service, at: Path) -> None:
    days = service.objectives.drill_every_days
    if days and service.canary_url is None:
        findings.add(
            (*at, "objectives", "drill_every_days"),
            days,
            "needs a canary_url: a drill is measured by asking it all the time",
        )


def _check_shed(cluster: Cluster, findings: Findings, service: Service, at: Path) -> None:
    """What may be switched off is nobody's own backend."""
    owners = {other.backend: other.name for other in cluster.services}
    sharing = {
        name: other.name
        for other in reversed(cluster.services)
        for entry in other.shed
        for name in entry.backends
    }
    for number, entry in enumerate(service.shed):
        backends = Distinct(findings, "each backend of an entry stands in it once")
        for index, name in enumerate(entry.backends):
            here: Path = (*at, "shed", number, "backends", index)
            backends.add(here, name)
            if name in owners:
                findings.add(
                    here,
                    name,
                    f"is the backend of service {owners[name]}, which would be switched off; "
                    "give what can be spared a backend of its own",
                )
            if sharing[name] != service.name:
                sentence = f"is shed by service {sharing[name]}; it goes with one service only"
                findings.add(here, name, sentence)


def _check_voters(
    cluster: Cluster, findings: Findings, database: DatabaseConf, here: Path, service: Service
) -> None:
    quorum = service.durability is Durability.QUORUM
    at: Path = (*here, "voters")
    if quorum and (len(database.voters) < 3 or len(database.voters) % 2 == 0):
        findings.add(
            at,
            None,
            f"has {len(database.voters)} voter(s); durability quorum needs an odd number, "
            "3 or more: the commit quorum is the election quorum",
        )
    for site, voter in database.voters.items():
        if site not in cluster.sites:
            hint = did_you_mean(site, list(cluster.sites))
            findings.add(
                (*at, site), site, f"must be one of the sites: {', '.join(cluster.sites)}{hint}"
            )
            continue
        if cluster.sites[site].kind is SiteKind.DATA:
            _check_data_voter(findings, voter, (*at, site))
        else:
            _check_keeper(findings, database, voter, (*at, site))
        _check_credentials(findings, voter, (*at, site), quorum=quorum)
    for site in cluster.data_sites:
        if site not in database.voters:
            findings.add(at, None, f"has no voter at the data site {site}, which could never hold")
    if quorum and not any(site in database.voters for site in cluster.witnesses):
        findings.add(at, None, f"has no log keeper; add one at {_listed(cluster.witnesses)}")
    _check_login(findings, database, here)
    _check_accounts(findings, database, at)


def _listed(sites: tuple[SiteName, ...]) -> str:
    return " or ".join(sites) or "a witness site"


def _check_data_voter(findings: Findings, voter: VoterConf, at: Path) -> None:
    if voter.address is None:
        findings.add((*at, "address"), None, "is required at a data site: host:port of the server")
    if voter.agent is None:
        findings.add((*at, "agent"), None, "is required at a data site: host of the host agent")
    if voter.directory is not None:
        findings.add((*at, "directory"), voter.directory, "is only for a keeper at a witness site")
    if voter.rejoin_file is None and voter.rejoin_env is None:
        findings.add(
            at, None, "needs rejoin_file or rejoin_env: a returning database enters in quarantine"
        )


def _check_keeper(findings: Findings, database: DatabaseConf, voter: VoterConf, at: Path) -> None:
    wanted, unwanted = ("directory", "address")
    if database.kind is not DatabaseKind.POSTGRES:
        wanted, unwanted = unwanted, wanted
    values: Mapping[str, str | None] = {"directory": voter.directory, "address": voter.address}
    if values[wanted] is None:
        findings.add((*at, wanted), None, f"is required for a keeper of kind {database.kind}")
    if values[unwanted] is not None:
        findings.add(
            (*at, unwanted), values[unwanted], f"is not for a keeper of kind {database.kind}"
        )
    if database.kind is DatabaseKind.POSTGRES and voter.agent is None:
        findings.add(
            (*at, "agent"), None, "is required: a site that must catch up fetches the log there"
        )


def _check_credentials(findings: Findings, voter: VoterConf, at: Path, *, quorum: bool) -> None:
    if quorum and voter.credential_file is None and voter.credential_env is None:
        findings.add(
            at, None, "needs credential_file or credential_env: each voter has its own credential"
        )
    for key, file, env in (
        ("credential_env", voter.credential_file, voter.credential_env),
        ("rejoin_env", voter.rejoin_file, voter.rejoin_env),
    ):
        if file is not None and env is not None:
            findings.add((*at, key), env, f"{key.removesuffix('_env')}_file is given already")
    if voter.rejoin_file is not None and voter.rejoin_file == voter.credential_file:
        findings.add(
            (*at, "rejoin_file"),
            voter.rejoin_file,
            "must differ from credential_file: quarantine is a credential of its own",
        )


def _check_login(findings: Findings, database: DatabaseConf, here: Path) -> None:
    if (database.password_file is None) == (database.password_env is None):
        findings.add(here, None, "needs either password_file or password_env")


def _check_accounts(findings: Findings, database: DatabaseConf, at: Path) -> None:
    accounts = Distinct(findings, "no two voters share an account")
    for site in database.voters:
        accounts.add((*at, site, "user"), database.voter_user(site))
        accounts.add((*at, site, "rejoin_user"), database.rejoin_user(site))
