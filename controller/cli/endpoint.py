"""Asking a daemon, and telling it: over its unix socket, over HTTP to another site's, which only
answers, or over mutual TLS from anywhere.
"""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode
from controller.cli.remote import Servers, connect, why_not
from controller.cli.stored import from_store
from controller.config import Cluster, ConfigError, inspect
from controller.web.answer import FORMAT
from controller.web.schema import Status

DEFAULT_SOCKET: Final = Path("/run/tricast/tricast.sock")
DEADLINE_S: Final = 3.0
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
FILE_BYTES_MAX: Final = 1024 * 1024 * 1024
ELSEWHERE: Final = "or ask another site (--server takes several), or on the node itself"

Record = TypeVar("Record", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a daemon answers: by socket, by URL, or as the first of several over mutual TLS."""

    socket: Path | None = None
    url: str | None = None
    servers: Servers | None = None
    deadline_s: float | None = None  # None: DEADLINE_S
    store_of: Path | None = None  # the cluster file of the store that is read where nobody answers

    def __str__(self) -> str:
        return self.url or str(self.servers or self.socket)

    def one_by_one(self) -> Mapping[str, "Endpoint"]:
        """Each of several by its URL; none where it is no list."""
        found = self.servers
        if found is None:
            return {}
        return {url: replace(self, servers=replace(found, urls=(url,))) for url in found.urls}


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def choose(
    *,
    socket_path: Path | None,
    url: str | None,
    config: Path | None,
    servers: Servers | None = None,
) -> Endpoint:
    """What the options name: servers or a URL or a socket, else the configured socket, else the
    usual one.
    """
    given = {"--socket": socket_path, "--url": url, "--server": servers}
    named = [option for option, value in given.items() if value is not None]
    if len(named) > 1:
        raise CliError(ExitCode.USAGE, f"give either {' or '.join(named)}, not both")
    if servers is not None:
        return Endpoint(servers=servers)
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CliError(
                ExitCode.USAGE, f"--url {url!r} is no URL; write it like http://10.1.0.1:7800"
            )
        return Endpoint(url=url.rstrip("/"))
    if socket_path is None and config is not None:
        socket_path = Path(_loaded(config).api.socket)
    return Endpoint(socket=socket_path or DEFAULT_SOCKET)


def _loaded(config: Path) -> Cluster:
    found = inspect(config)
    if found.problems or found.cluster is None:
        raise ConfigError(found.problems)
    return found.cluster


REJECTED: Final = {400: ExitCode.USAGE, 403: ExitCode.REFUSED}


def status_of(endpoint: Endpoint) -> Status:
    """What the daemon says of everything. Raises CliError."""
    return ask(endpoint, "/api/v1/status", Status)


def ask(endpoint: Endpoint, path: str, kind: type[Record]) -> Record:
    """The daemon's answer at `path`. Raises CliError when there is none, or none of this format."""
    try:
        status, body = _exchange(endpoint, path)
    except CliError as error:
        if endpoint.store_of is None or error.code is not ExitCode.UNAVAILABLE:
            raise
        return from_store(endpoint.store_of, path, kind, error)
    try:
        answer = json.loads(body)
        if status != http.client.OK:
            raise CliError(
                REJECTED.get(status, ExitCode.UNAVAILABLE),
                f"the daemon at {endpoint} answered {status}: {_sentence(answer)}",
                status=status,
            )
        if answer.get("format", FORMAT) != FORMAT:
            raise CliError(
                ExitCode.FAILED,
                f"the daemon at {endpoint} answers in format {answer['format']}, this tricast "
                f"reads {FORMAT}: install the version that runs there",
            )
        return kind.model_validate(answer)
    except (ValueError, AttributeError, ValidationError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CliError(
            ExitCode.FAILED, f"what answers at {endpoint} is no tricast daemon: {detail[:200]}"
        ) from None


def fetch(endpoint: Endpoint, path: str) -> bytes:
    """What the daemon has at `path`, byte for byte. Raises CliError when there is none."""
    status, body = _exchange(endpoint, path, limit=FILE_BYTES_MAX)
    if status == http.client.OK and len(body) < FILE_BYTES_MAX:
        return body
    if status == http.client.OK:
        raise CliError(
            ExitCode.FAILED, f"{path} at {endpoint} has more than {FILE_BYTES_MAX} bytes"
        )
    try:
        said = _sentence(json.loads(body))
    except ValueError:
        said = "no reason given"
    code = ExitCode.REFUSED if status == http.client.FORBIDDEN else ExitCode.UNAVAILABLE
    raise CliError(code, f"the daemon at {endpoint} answered {status}: {said}")


REFUSALS: Final = {
    400: ExitCode.USAGE,
    403: ExitCode.REFUSED,
    404: ExitCode.REFUSED,
    405: ExitCode.REFUSED,
    409: ExitCode.REFUSED,
    503: ExitCode.UNAVAILABLE,
    504: ExitCode.UNKNOWN,
}


def tell(endpoint: Endpoint, path: str, body: BaseModel, kind: type[Record]) -> Record:
    """The daemon's answer to `body` at `path`. Raises CliError with what it said against it.

    What is left at its default is not sent: an older daemon refuses a field that it does not know.
    """
    status, answer = _exchange(endpoint, path, body.model_dump_json(exclude_defaults=True))
    if status == http.client.OK:
        try:
            return kind.model_validate_json(answer)
        except ValidationError:
            raise CliError(
                ExitCode.UNKNOWN, f"what answers at {endpoint} is no tricast daemon of this format"
            ) from None
    try:
        sentence = _sentence(json.loads(answer))
    except ValueError:
        sentence = f"it answered {status}"
    raise CliError(REFUSALS.get(status, ExitCode.FAILED), sentence)


def _sentence(answer: object) -> str:
    return str(answer.get("error", "no reason given")) if isinstance(answer, dict) else "no reason"


def _exchange(
    endpoint: Endpoint, path: str, body: str | None = None, limit: int = ANSWER_BYTES_MAX
) -> tuple[int, bytes]:
    """The answer of the first that answers. What was sent to one is never sent to another: then
    whether it stands is not known, and that is the end.
    """
    silent: list[str] = []
    for url, one in endpoint.one_by_one().items() or (("", endpoint),):
        try:
            answer = _exchange_with(one, path, body, limit)
        except CliError as error:
            if error.code is not ExitCode.UNAVAILABLE:
                raise
            silent.append(error.sentence)
        else:
            if endpoint.servers is not None:
                endpoint.servers.answered(url)
            return answer
    raise CliError(ExitCode.UNAVAILABLE, "\ntricast: ".join(silent))


def _exchange_with(
    endpoint: Endpoint, path: str, body: str | None, limit: int
) -> tuple[int, bytes]:
    connection = _connection(endpoint)
    sent = False
    try:
        if endpoint.servers is not None and isinstance(connection, http.client.HTTPSConnection):
            connect(connection)
        else:
            connection.connect()
        sent = body is not None
        connection.request("GET" if body is None else "POST", path, body=body)
        response = connection.getresponse()
        return response.status, response.read(limit)
    except (OSError, http.client.HTTPException) as error:
        if sent:
            raise CliError(
                ExitCode.UNKNOWN,
                f"the daemon at {endpoint} was asked and did not answer ({error or 'cut off'}): "
                "whether it stands is not known; see tricast requests",
            ) from None
        raise CliError(ExitCode.UNAVAILABLE, _nobody(endpoint, error)) from None
    finally:
        connection.close()


def _connection(endpoint: Endpoint) -> http.client.HTTPConnection:
    if endpoint.socket is not None:
        return _UnixConnection(endpoint.socket, _deadline_s(endpoint))
    parts = urlsplit(str(endpoint))
    if endpoint.servers is not None:
        return http.client.HTTPSConnection(
            parts.hostname or "",
            parts.port,
            timeout=_deadline_s(endpoint),
            context=endpoint.servers.proof.context(),
        )
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=_deadline_s(endpoint))


def _deadline_s(endpoint: Endpoint) -> float:
    return DEADLINE_S if endpoint.deadline_s is None else endpoint.deadline_s


def _nobody(endpoint: Endpoint, error: Exception) -> str:
    """Why nobody answered, and what to try next."""
    match error:
        case ssl.SSLError() if endpoint.servers is not None:
            why, next_step = why_not(error, str(endpoint), endpoint.servers.proof)
        case socket.gaierror():
            why, next_step = "its name is not known", "write it otherwise, or as an address"
        case ConnectionRefusedError() if endpoint.servers is not None:
            why, next_step = (
                "nobody listens",
                "systemctl status tricast there, and api.tls in its cluster file",
            )
        case FileNotFoundError():
            why, next_step = "there is no such socket", "start it: systemctl start tricast"
        case PermissionError():
            why, next_step = (
                "permission denied",
                "use an account of the group that owns the socket, or root",
            )
        case ConnectionRefusedError():
            why, next_step = (
                "nobody listens",
                "it has ended: systemctl status tricast, journalctl -u tricast -n 50",
            )
        case TimeoutError():
            why, next_step = (
                f"no answer within {_deadline_s(endpoint):g} s",
                "it hangs, or the way to it is cut: journalctl -u tricast -n 50",
            )
        case _:
            why, next_step = str(error) or type(error).__name__, "journalctl -u tricast -n 50"
    if endpoint.servers is not None:
        return f"no tricast daemon answers us at {endpoint}: {why}. Next: {next_step}; {ELSEWHERE}"
    other = (
        "ask another site: tricast status --url http://ADDRESS:7800"
        if endpoint.socket is not None
        else "ask another site, or tricast status on the node itself"
    )
    return (
        f"no tricast daemon answers at {endpoint}: {why}. The services go on without it, but "
        f"nothing fails over here. Next: {next_step}; or {other}"
    )
