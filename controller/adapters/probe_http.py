"""GET over HTTP/1.1, as little of it as a health check needs, on a kept connection.

A kept connection that the server has closed in the meantime is replaced within the same look. No
redirect is followed: a probe that is sent elsewhere has not seen what it was told to look at.
"""

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from controller.adapters.probe_look import LookFailed, Probe, ProbeSpec, host_and_port

_LARGEST_BODY: Final = 2**16
_MOST_HEADERS: Final = 100
_FACTS_OF_BODY: Final = ("site", "server", "edge", "service")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    reusable: bool


class _Stale(Exception):
    """A kept connection was closed before the first byte of an answer."""


class HttpProbe(Probe):
    """Well when the URL answers with an expected status (200), and the expected text if any.

    Facts: `status`, `edge` (the haproxy that let it in), and `site`, `server`, `service` as the
    JSON of the answer names them.
    """

    def __init__(self, spec: ProbeSpec) -> None:
        super().__init__(spec)
        url = urlsplit(spec.target)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"not an http or https URL: {spec.target!r}")
        options = spec.options
        secure = url.scheme == "https"
        self._tls = ssl.create_default_context(cafile=options.get("ca_file")) if secure else None
        self._name = url.hostname
        self._place = (url.hostname, url.port or (443 if secure else 80))
        if "connect" in options:
            self._place = host_and_port(options["connect"])
        self._fresh = options.get("fresh") == "yes"
        self._expect = [int(status) for status in options.get("expect", "200").split(",")]
        self._text = options.get("body", "").encode()
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        host = options.get("host", url.netloc.rpartition("@")[2])
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tricast\r\n"
            f"Connection: {'close' if self._fresh else 'keep-alive'}\r\n\r\n"
        ).encode()
        self._kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def look(self) -> tuple[str, dict[str, str]]:
        """One request, and at most one replaced connection."""
        try:
            answer = await self._ask()
        except _Stale:
            answer = await self._ask()
        if answer.status not in self._expect:
            raise LookFailed(f"status {answer.status}")
        if self._text not in answer.body:
            raise LookFailed(f"status {answer.status} without {self._text.decode()!r}")
        return f"status {answer.status}", _facts(answer)

    async def aclose(self) -> None:
        """The kept connection is closed."""
        if self._kept is not None:
            self._kept[1].transport.abort()
            self._kept = None

    async def _ask(self) -> _Answer:
        was_kept = self._kept is not None
        if self._kept is None:
            name = self._name if self._tls else None
            self._kept = await asyncio.open_connection(
                *self._place, ssl=self._tls, server_hostname=name
            )
        reader, writer = self._kept
        keep = False
        try:
            writer.write(self._request)
            try:
                first = await reader.readline()
            except ConnectionError:
                first = b""
            if not first and was_kept:
                raise _Stale
            answer = await _read_answer(first, reader)
            keep = answer.reusable and not self._fresh
            return answer
        finally:
            if not keep:
                await self.aclose()


HaproxyProbe = HttpProbe  # the target is haproxy's own `monitor-uri`


async def _read_answer(first: bytes, reader: asyncio.StreamReader) -> _Answer:
    if not first:
        raise LookFailed("closed without an answer")
    version, _, rest = first.decode("latin-1").strip().partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or not code.isdecimal() or len(code) != 3:
        raise LookFailed(f"not HTTP: {first[:60]!r}")
    headers = await _read_headers(reader)
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) <= _LARGEST_BODY:
        body = await reader.readexactly(int(length))
        reusable = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    else:
        # Chunked, endless or large: what arrives first is enough to look at.
        body, reusable = await reader.read(_LARGEST_BODY), False
    return _Answer(status=int(code), headers=headers, body=body, reusable=reusable)


async def _read_headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(_MOST_HEADERS):
        line = (await reader.readline()).strip()
        if not line:
            return headers
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    raise LookFailed(f"not HTTP: more than {_MOST_HEADERS} headers")


def _facts(answer: _Answer) -> dict[str, str]:
    facts = {"status": str(answer.status)}
    try:
        words = json.loads(answer.body)
    except (ValueError, RecursionError):
        words = None
    if isinstance(words, dict):
        facts |= {name: str(words[name]) for name in _FACTS_OF_BODY if name in words}
    if "x-tricast-edge" in answer.headers:
        facts["edge"] = answer.headers["x-tricast-edge"]
    return facts
