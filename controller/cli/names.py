"""Names that a shell can complete: of sites and services, from the cluster file."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from controller.cli.elsewhere import cluster_of
from controller.config import Cluster, ConfigError

if TYPE_CHECKING:
    _Text = click.ParamType[str]
else:
    _Text = click.ParamType


class _Name(_Text):
    """Any text; who answers says whether there is such a name."""

    def known(self, cluster: Cluster) -> Iterable[str]:
        """Every name there is."""
        raise NotImplementedError

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names that begin so; none when the cluster file cannot be read."""
        del param
        try:
            cluster = cluster_of(_config(ctx))
        except (ConfigError, OSError):
            return []
        names = () if cluster is None else self.known(cluster)
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _config(ctx: click.Context) -> Path | None:
    given: Any = ctx.params.get("config") or os.environ.get("TRICAST_CONFIG")
    return Path(given) if given else None


class SiteParam(_Name):
    """The name of any site."""

    name = "site"

    def known(self, cluster: Cluster) -> Iterable[str]:
        """Sites, in the order of the cluster file."""
        return cluster.sites


class ServiceParam(_Name):
    """The name of any service."""

    name = "service"

    def known(self, cluster: Cluster) -> Iterable[str]:
        """Services, in the order of the cluster file."""
        return [service.name for service in cluster.services]


SITE: Final = SiteParam()
SERVICE: Final = ServiceParam()
