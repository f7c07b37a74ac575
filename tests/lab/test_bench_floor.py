"""The floor is measured with a real pair of servers, of which nothing is left."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from lab.netns.processes import look
from lab.rehearsal.floor import promote_s

pytestmark = [pytest.mark.contract, pytest.mark.timeout(120)]


@pytest.mark.skipif(os.geteuid() != 0, reason="starts servers as another user")
def test_a_bare_standby_is_promoted_and_everything_is_gone() -> None:
    with tempfile.TemporaryDirectory(prefix="tricast-floor-") as name:
        beside = Path(name)
        beside.chmod(0o755)
        took = asyncio.run(promote_s(beside))
        assert 0.001 < took < 10
        assert list(beside.iterdir()) == []
    running = [look(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()]
    assert not [process for process in running if process and name in process.command]
