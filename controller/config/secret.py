"""Secrets: read from a file or the environment, and never shown by accident."""

import os
from pathlib import Path
from typing import Final

MAX_SECRET_BYTES: Final = 64 * 1024


class SecretError(Exception):
    """A secret cannot be had. The message names where it should be, never what it is."""


class Secret:
    """A value whose repr, str and format hide it. `reveal()` is the only way to the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself. Never log it, never put it into an argument of a process."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(hidden)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


def read_secret(file: str | None, env: str | None) -> Secret:
    """The secret in `file`, or in the environment variable `env`; one trailing newline dropped."""
    if file is not None:
        try:
            with Path(file).open("rb") as stream:
                raw = stream.read(MAX_SECRET_BYTES + 1)
            text = raw.decode()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SecretError(f"cannot read the secret in {file}: {why}") from None
        if len(raw) > MAX_SECRET_BYTES:
            raise SecretError(f"the secret in {file} is larger than {MAX_SECRET_BYTES} bytes")
        where = file
    elif env is not None:
        text, where = os.environ.get(env, ""), f"the environment variable {env}"
    else:
        raise SecretError("no file and no environment variable is named for this secret")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise SecretError(f"the secret in {where} is empty")
    return Secret(text)
