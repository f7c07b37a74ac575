"""A web server that is posted notices. No redirect is followed, and no secret is in an error."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from controller.adapters.webhook_names import OwnThreadResolver
from controller.config.secret import Secret
from controller.ports import PortError, Refused, TimedOut, Unreachable

AGAIN: Final = frozenset({408, 425, 429})


class Webhook:
    """Implements `Courier`."""

    def __init__(self, url: Secret, headers: Mapping[str, Secret]) -> None:
        self._url, self._headers = url, headers
        self._names = OwnThreadResolver()
        parts = urlsplit(url.reveal())
        self.where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    async def deliver(self, body: bytes, content_type: str, deadline_s: float) -> str:
        """The server took it: a status of 200 to 299."""
        headers = {name: value.reveal() for name, value in self._headers.items()}
        headers |= {"Content-Type": content_type, "User-Agent": "tricast"}
        try:
            async with asyncio.timeout(deadline_s), self._session() as session:
                answer = await session.post(
                    self._url.reveal(), data=body, headers=headers, allow_redirects=False
                )
                async with answer:
                    return self._judged(answer.status)
        except TimeoutError:
            raise TimedOut(f"{self.where}: no answer within {deadline_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"{self.where}: {error.strerror or 'no connection'}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PortError(f"{self.where}: {type(error).__name__}") from None

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(resolver=self._names, use_dns_cache=False)
        return aiohttp.ClientSession(connector=connector)

    def _judged(self, status: int) -> str:
        if 200 <= status < 300:
            return f"status {status}"
        if status < 500 and status not in AGAIN:
            raise Refused(f"{self.where}: status {status}")
        raise PortError(f"{self.where}: status {status}")
