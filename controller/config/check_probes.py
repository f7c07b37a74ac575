"""The probes of a service: targets and options by kind."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final

from controller.config.cluster import Cluster
from controller.config.findings import Distinct, Findings
from controller.config.problem import Path, did_you_mean
from controller.config.scalars import host_port, http_url
from controller.config.services import ProbeConf, ProbeKind, Service

_WEB: Final = ("expect", "body", "host", "fresh", "connect", "ca_file")
_SQL: Final = ("user", "database", "password_file", "query")
OPTIONS: Final[Mapping[ProbeKind, tuple[str, ...]]] = {
    ProbeKind.HTTP: _WEB,
    ProbeKind.HAPROXY: _WEB,
    ProbeKind.POSTGRES: _SQL,
    ProbeKind.MYSQL: _SQL,
    ProbeKind.TCP: (),
    ProbeKind.BGP: (),
    ProbeKind.EXEC: (),
}


def _bgp_target(text: str) -> str:
    if text not in {"any", "all"}:
        try:
            ip_address(text)
        except ValueError:
            raise ValueError("must be any, all, or the address of a neighbor") from None
    return text


_TARGETS: Final[Mapping[ProbeKind, Callable[[str], str]]] = {
    ProbeKind.HTTP: http_url,
    ProbeKind.HAPROXY: http_url,
    ProbeKind.POSTGRES: host_port,
    ProbeKind.MYSQL: host_port,
    ProbeKind.TCP: host_port,
    ProbeKind.BGP: _bgp_target,
}


def check_probes(cluster: Cluster, findings: Findings, service: Service, at: Path) -> None:
    """Each probe has what its kind needs, and knows where it runs."""
    names = Distinct(findings, "each probe of a service has its own name")
    for index, probe in enumerate(service.probes):
        here: Path = (*at, "probes", index)
        names.add((*here, "name"), probe.name)
        for site in probe.targets:
            if site not in cluster.sites:
                known = ", ".join(cluster.sites)
                findings.add((*here, "targets", site), site, f"must be one of the sites: {known}")
        _check_target(findings, probe, here)
        _check_options(findings, probe, here)
        interval_s = probe.interval_s or cluster.timings.probe_s
        timeout_s = probe.timeout_s or cluster.timings.probe_timeout_s
        if timeout_s > 10 * interval_s:
            findings.add(
                (*here, "timeout_s"),
                timeout_s,
                f"must be at most 10 * interval_s = {10 * interval_s:g}: verdicts would come late",
            )


def _check_target(findings: Findings, probe: ProbeConf, here: Path) -> None:
    if probe.kind is ProbeKind.EXEC:
        if not probe.argv or not probe.argv[0].startswith("/"):
            findings.add(
                (*here, "argv"),
                list(probe.argv),
                "a probe of kind exec needs argv, a list that begins with an absolute path",
            )
        return
    if probe.argv:
        findings.add((*here, "argv"), list(probe.argv), "is only for probes of kind exec")
    if (probe.target is None) == (not probe.targets):
        findings.add(
            here,
            None,
            f"a probe of kind {probe.kind} needs either target (the same everywhere) or targets "
            "(one for each site)",
        )
        return
    single = () if probe.target is None else ((("target",), probe.target),)
    named = tuple((("targets", str(site)), text) for site, text in probe.targets.items())
    for key, text in (*single, *named):
        try:
            _TARGETS[probe.kind](text)
        except ValueError as error:
            findings.add((*here, *key), text, str(error))


def _check_options(findings: Findings, probe: ProbeConf, here: Path) -> None:
    known = OPTIONS[probe.kind]
    for name in probe.options:
        if name not in known:
            listed = ", ".join(known) or "none"
            findings.add(
                (*here, "options", name),
                None,
                f"a probe of kind {probe.kind} has the options: {listed}"
                f"{did_you_mean(name, known)}",
            )
