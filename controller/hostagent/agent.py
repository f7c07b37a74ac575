"""Verbs about the agent itself: they touch no database."""

from controller.hostagent.contract import Request, Verb
from controller.version import VERSION


def version(request: Request) -> dict[str, str]:
    """What is installed here, and the databases it has settings for."""
    names: list[str] = []
    for group in ("databases", "keepers"):
        found = request.settings.get(group)
        names += [str(name) for name in found] if isinstance(found, dict) else []
    return {"version": VERSION, "databases": " ".join(sorted(names))}


VERBS: dict[str, Verb] = {"agent-version": version}
