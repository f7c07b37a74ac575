"""What a transfer is, and the three ways in which it can end badly."""

import re
from dataclasses import dataclass
from typing import Final

_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9._:@-]{1,64}")
_MOST: Final = 10**15


class BadTransfer(ValueError):
    """The request cannot be a transfer; the message names the field and the value."""


class KeyReused(Exception):
    """The key already stands for another transfer."""


class NotDone(Exception):
    """Nothing was committed at the named database."""

    def __init__(self, link: str, why: str) -> None:
        super().__init__(f"{link}: {why}")
        self.link = link


class Unknown(Exception):
    """It may or may not have been committed at the named database."""

    def __init__(self, link: str, why: str) -> None:
        super().__init__(f"{link}: {why}")
        self.link = link


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Money from one account to another, under a key its sender chose."""

    key: str
    source: str
    target: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The server that carries a transfer out."""

    site: str
    server: str


def parse_transfer(key: str | None, body: object) -> Transfer:
    """The transfer that a request's key and JSON body describe."""
    if key is None or not _KEY.fullmatch(key):
        raise BadTransfer(f"Idempotency-Key: {key!r} is not 1 to 64 of A-Z a-z 0-9 . _ : -")
    if not isinstance(body, dict):
        raise BadTransfer("the body is not a JSON object")
    source, target, amount = (body.get(name) for name in ("from", "to", "amount"))
    for name, account in (("from", source), ("to", target)):
        if not isinstance(account, str) or not _ACCOUNT.fullmatch(account):
            raise BadTransfer(f"{name}: {account!r} is not an account")
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= _MOST:
        raise BadTransfer(f"amount: {amount!r} is not a whole number from 1 to {_MOST}")
    return Transfer(key=key, source=str(source), target=str(target), amount=amount)
