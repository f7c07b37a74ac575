"""The version of this software, as it is shown and reported."""

from typing import Final

VERSION: Final = "0.1.0"
