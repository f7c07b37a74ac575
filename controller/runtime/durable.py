"""Small files that are replaced whole and survive a power loss."""

import os
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """`path` holds `text`, durably; or what it held before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
