"""What must hold between the keys of `notifications`."""

from controller.config.cluster import Cluster
from controller.config.findings import Distinct, Findings
from controller.config.notifications import Body, TargetConf, at_target, ways_given
from controller.config.problem import did_you_mean


def check_notifications(cluster: Cluster, findings: Findings) -> None:
    """Each target has its own name, exactly one way, and tells of services that there are."""
    names = Distinct(findings, "each target has its own name")
    known = [service.name for service in cluster.services]
    for number, target in enumerate(cluster.notifications.targets):
        names.add(at_target(number, "name"), target.name)
        _check_way(number, target, findings)
        for index, name in enumerate(target.services):
            if name not in known:
                hint = did_you_mean(name, known)
                path = (*at_target(number, "services"), index)
                findings.add(path, name, f"must be one of the services: {', '.join(known)}{hint}")


def _check_way(number: int, target: TargetConf, findings: Findings) -> None:
    ways = ways_given(target)
    if len(ways) != 1:
        said = f"has {' and '.join(ways)}" if ways else "has no way"
        sentence = f"{said}; give exactly one of url, url_file and command"
        findings.add(("notifications", "targets", number), None, sentence)
    if target.command and not target.command[0].startswith("/"):
        sentence = "is a list that begins with an absolute path; no shell reads it"
        findings.add((*at_target(number, "command"), 0), target.command[0], sentence)
    if target.command and target.headers_file is not None:
        path = at_target(number, "headers_file")
        findings.add(path, target.headers_file, "is for a url; a command reads its own secrets")
    if target.body is Body.TEXT and target.template is None:
        findings.add(at_target(number, "body"), "text", "needs a template, which is the text")
