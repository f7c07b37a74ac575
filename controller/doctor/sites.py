"""Asks for what every site has to say alike."""

from controller.core.terms import own_terms
from controller.daemon.wiring import service_spec
from controller.doctor.around import Around, reports, store
from controller.doctor.judging import configuration as judging
from controller.doctor.judging.row import Row
from controller.version import VERSION


async def look(around: Around) -> list[Row]:
    """The terms and the version in each other site's report."""
    cluster = around.cluster
    mine = {str(s.name): own_terms(service_spec(cluster, s)) for s in cluster.services}
    async with store(around) as opened:
        found = await reports(opened, cluster.etcd.deadline_s)
    rows = []
    for site in around.others:
        report = found.get(site)
        told = None if report is None else {str(s.service): s.terms for s in report.services}
        rows.append(judging.terms(site, mine, told))
        rows.append(judging.version(site, VERSION, report.version if report else None))
    return rows
