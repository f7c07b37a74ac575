"""Mutual TLS of the API: nobody is two persons, and each port has one use."""

from controller.config.cluster import Cluster
from controller.config.findings import Distinct, Findings
from controller.config.problem import Path


def check_api(cluster: Cluster, findings: Findings) -> None:
    """What keeps `api.tls` from being used."""
    tls = cluster.api.tls
    at: Path = ("api", "tls")
    if tls is None:
        return
    for name, port in (("api.port", cluster.api.port), ("heartbeat.port", cluster.heartbeat.port)):
        if tls.port == port:
            findings.add((*at, "port"), port, f"must differ from {name}, for firewalls")
    if not tls.operators and not tls.readers:
        sentence = "lets nobody in: name persons in operators or readers, or leave it out"
        findings.add(at, None, sentence)
    # Four eyes compare names: an account "Ada" beside a certificate "ada" would be two persons.
    persons = Distinct(findings, "each person has one name, whatever its case, in one list")
    for role, names in (("operators", tls.operators), ("readers", tls.readers)):
        for number, name in enumerate(names):
            persons.add((*at, role, number), name.casefold())
