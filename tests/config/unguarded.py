"""The lab's cluster file without `api`: a daemon that answers nobody over TLS."""

import re
from pathlib import Path

LAB = re.sub(
    r"\napi:\n(  .*\n)+",
    "",
    (Path(__file__).parents[2] / "lab/containerlab/nodes/tricast.yml").read_text(),
)
