"""GET /api/v1/config: the configuration that the answering daemon runs with."""

from typing import Final, Protocol

from aiohttp import web

from controller.web.config_schema import RunningConfig


class ConfigSource(Protocol):
    """What a daemon runs with, as far as it can be asked."""

    def told(self) -> RunningConfig:
        """All of it but secrets. From memory."""


CONFIGURATION: Final = web.AppKey("configuration", ConfigSource)


def add_config(app: web.Application, configuration: ConfigSource) -> None:
    """The application tells what its daemon runs with."""
    app[CONFIGURATION] = configuration
    app.router.add_get("/api/v1/config", _config)


async def _config(request: web.Request) -> web.Response:
    found = request.app[CONFIGURATION].told()
    return web.Response(text=found.model_dump_json(), content_type="application/json")
