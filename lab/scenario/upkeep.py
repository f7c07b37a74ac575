"""A lab for many scenarios: ready for the next one; its logs are kept when one fails."""

import json
import shutil
from pathlib import Path

from lab.netns.error import LabError
from lab.netns.lab import Lab
from lab.rehearsal.eyes import Eyes
from lab.scenario.arguments import SITES
from lab.scenario.play import Say


async def ready(lab: Lab, say: Say) -> None:
    """Every program runs; a lab that somebody has left broken is made anew."""
    try:
        await lab.up(say=say)
    except LabError as error:
        say(f"a new lab: {error}")
        await lab.down()
        await lab.up(say=say)


async def keep_logs(lab: Lab, title: str) -> Path:
    """Every log as it is now, and what every daemon says, evidence of role changes included."""
    name = "".join(c if c.isalnum() else "_" for c in title)
    kept = lab.state_dir.parent / "failed" / name
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(lab.state_dir / "logs", kept, ignore_dangling_symlinks=True)
    eyes = Eyes(lab)
    for site in SITES:
        status = json.dumps(await eyes.status(site), indent=2)
        (kept / f"status-{site}.json").write_text(status + "\n")
    return kept
