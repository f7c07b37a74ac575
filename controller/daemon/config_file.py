"""The cluster file a daemon has read: what it runs with, and whether the file has changed since.

A daemon never takes a changed file by itself: it runs with what it read until it is restarted.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from controller.adapters.clock import SystemClock
from controller.config import Cluster, ConfigError, inspect_text
from controller.config.yaml_lines import read_yaml
from controller.core.model import SiteName
from controller.ports import Clock
from controller.version import VERSION
from controller.web.config import add_config
from controller.web.config_schema import ConfigView, RunningConfig
from controller.web.config_shown import fingerprint, given_keys, tellable

LOOK_S: Final = 2.0

Stamp = tuple[int, int, int, int]


@dataclass(slots=True, kw_only=True)
class RunningFile:
    """Implements `web.config.ConfigSource`."""

    path: Path
    cluster: Cluster
    site: SiteName
    clock: Clock = field(default_factory=SystemClock)
    _known: ConfigView = field(init=False)
    _given: tuple[str, ...] = field(init=False, default=())
    _bytes: str = field(init=False, default="")  # of the file that is run with
    _stamp: Stamp | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.path = self.path.absolute()
        mine = fingerprint(self.cluster)
        self._known = ConfigView(
            file=str(self.path), read_at=self.clock.stamp(), hash=mine, disk_hash=mine
        )
        self.look()
        if self._known.disk == "same":
            self._learn()

    def _learn(self) -> None:
        """Which keys stand in the file that is run with."""
        try:
            raw = self.path.read_bytes()
            document = read_yaml(raw.decode(), str(self.path))
        except (OSError, UnicodeDecodeError, ConfigError):
            return
        self._bytes = hashlib.sha256(raw).hexdigest()
        self._given = given_keys(tellable(self.cluster)[0], document)

    def look(self) -> None:
        """How the file is on the disk now; it is read only when it was touched."""
        try:
            found = self.path.stat()
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if stamp == self._stamp:
                return
            raw = self.path.read_bytes()
        except OSError as error:
            self._stamp = None
            self._say("gone", "", error.strerror or str(error))
            return
        self._stamp = stamp
        if hashlib.sha256(raw).hexdigest() == self._bytes:
            self._say("same", self._known.hash, "")
            return
        self._judge(raw)

    def _judge(self, raw: bytes) -> None:
        try:
            found = inspect_text(raw.decode(), str(self.path))
        except UnicodeDecodeError as error:
            self._say("unusable", "", f"it is not UTF-8 at byte {error.start}")
            return
        if found.problems or found.cluster is None:
            more = f", and {len(found.problems) - 1} more" if len(found.problems) > 1 else ""
            self._say("unusable", "", f"{found.problems[0].render()}{more}")
            return
        other = fingerprint(found.cluster)
        self._say("same" if other == self._known.hash else "changed", other, "")

    def _say(self, disk: str, disk_hash: str, detail: str) -> None:
        self._known = self._known.model_copy(
            update={"disk": disk, "disk_hash": disk_hash, "detail": detail}
        )

    async def keep(self) -> None:
        """It is known how the file is, for as long as the daemon runs."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_S)

    def view(self) -> ConfigView:
        """Which file, and how it is."""
        return self._known

    def told(self) -> RunningConfig:
        """All of it but secrets."""
        data, hidden = tellable(self.cluster)
        return RunningConfig(
            **self._known.model_dump(),
            cluster=self.cluster.cluster,
            site=self.site,
            version=VERSION,
            now=self.clock.stamp(),
            given=self._given,
            hidden=hidden,
            configuration=data,
        )


def with_configuration(
    build: Callable[[], web.Application], running: RunningFile | None
) -> Callable[[], web.Application]:
    """What `build` makes, which then tells the running configuration as well."""

    def built() -> web.Application:
        app = build()
        if running is not None:
            add_config(app, running)
        return app

    return built
