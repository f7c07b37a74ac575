"""Daemons elsewhere, asked over mutual TLS: our certificate, which of them answers, and why not."""

import select
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from controller.cli.errors import CliError
from controller.cli.exit_codes import ExitCode

PORT: Final = 7802
TICKET_S: Final = 1.0  # a daemon that has taken our certificate says so at once

Why = tuple[str, str]  # what is wrong, and what to try next


@dataclass(slots=True, kw_only=True)
class Proof:
    """The files that prove who asks. The key's pass phrase is asked for once."""

    certificate: Path
    key: Path
    ca: Path | None = None  # None: the authorities of this machine
    _context: ssl.SSLContext | None = field(default=None, repr=False)
    _asked: bool = False

    def context(self) -> ssl.SSLContext:
        """As the files say. Raises CliError."""
        if self._context is None:
            self._context = self._made()
        return self._context

    def _made(self) -> ssl.SSLContext:
        files = {"--cert": self.certificate, "--key": self.key, "--ca": self.ca}
        for option, file in files.items():
            if file is None:
                continue
            try:
                file.read_bytes()  # ssl does not name the file that it cannot read
            except OSError as error:
                raise CliError(ExitCode.CONFIG, f"{file}: {error.strerror}: see {option}") from None
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError:
            raise CliError(
                ExitCode.CONFIG, f"{self.ca} holds no certificate in PEM form: see --ca"
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key, password=self._pass_phrase)
        except ssl.SSLError as error:
            sentence = next(
                (said for word, said in _PAIR.items() if word in str(error)),
                f"cannot be used: {error.reason or error}",
            )
            if self._asked and "KEY_VALUES" not in str(error):
                sentence = "the pass phrase is not that of the key"
            raise CliError(
                ExitCode.CONFIG, f"{self.certificate} with {self.key}: {sentence}"
            ) from None
        return context

    def _pass_phrase(self) -> str:
        if not sys.stdin.isatty():
            raise CliError(
                ExitCode.CONFIG, f"{self.key} has a pass phrase, and nobody can be asked for it"
            )
        self._asked = True
        return str(click.prompt(f"Pass phrase of {self.key}", hide_input=True, err=True))


_PAIR: Final[Mapping[str, str]] = {
    "KEY_VALUES_MISMATCH": "the key is not that of the certificate: check --cert and --key",
    "PEM lib": "one of them is not in PEM form: check --cert and --key",
}


@dataclass(slots=True, kw_only=True)
class Servers:
    """Daemons of one cluster. The one that answered last is asked first."""

    urls: tuple[str, ...]
    proof: Proof

    def __str__(self) -> str:
        return self.urls[0]

    def answered(self, url: str) -> None:
        """It is asked first from now on; that it is another one is said."""
        if url == self.urls[0]:
            return
        print(f"tricast: {self.urls[0]} does not answer, {url} does", file=sys.stderr, flush=True)
        self.urls = (url, *(other for other in self.urls if other != url))


def servers(text: str, certificate: Path | None, key: Path | None, ca: Path | None) -> Servers:
    """Those of "https://host:port,https://host:port". Raises CliError."""
    urls = tuple(_url(part.strip()) for part in text.split(",") if part.strip())
    if not urls:
        raise CliError(ExitCode.USAGE, f"--server {text!r} names nobody: https://HOST:{PORT}")
    if certificate is None:
        raise CliError(
            ExitCode.USAGE,
            "--server wants to know who asks: give your certificate with --cert (TRICAST_CERT), "
            "and its key with --key (TRICAST_KEY)",
        )
    proof = Proof(certificate=certificate, key=key or certificate, ca=ca)
    return Servers(urls=tuple(dict.fromkeys(urls)), proof=proof)


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port, host = parts.port or PORT, parts.hostname
    except ValueError:
        port, host = 0, None
    path = parts.path.strip("/") or parts.query or parts.username if host else ""
    if not host or path or parts.scheme != "https":
        raise CliError(
            ExitCode.USAGE,
            f"--server {text!r} is no address of a daemon; write it like https://10.1.0.1:{PORT}, "
            "and several with commas",
        )
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def connect(connection: HTTPSConnection) -> None:
    """It stands, and the daemon has taken our certificate. Raises OSError.

    In TLS 1.3 our side is through before the daemon has looked at our certificate. A request that
    is sent at once may be answered by a reset instead of the reason.
    """
    connection.connect()
    tls = connection.sock
    assert isinstance(tls, ssl.SSLSocket)
    if tls.version() != "TLSv1.3" or not select.select([tls], [], [], TICKET_S)[0]:
        return
    timeout_s = tls.gettimeout()
    tls.settimeout(0)
    try:
        if tls.recv(1) == b"":
            raise ConnectionResetError(
                "it ended the connection when it had seen your certificate; whom it believes is in "
                "api.tls.client_ca_file there"
            )
    except ssl.SSLWantReadError:
        pass  # session tickets: it is content
    finally:
        tls.settimeout(timeout_s)


_VERIFY: Final[Mapping[int, Why]] = {
    9: ("its certificate is not valid yet", "compare the clocks, here and there"),
    10: (
        "its certificate has expired",
        "renew api.tls.cert_file there; the daemon takes it without a restart (tricast doctor)",
    ),
    18: ("its certificate is signed by itself", "--ca has to be the authority that signs them"),
    19: ("its certificate is signed by an authority that is not in {ca}", "check --ca"),
    20: ("its certificate is signed by an authority that is not in {ca}", "check --ca"),
    21: ("its certificate is signed by an authority that is not in {ca}", "check --ca"),
    62: ("its certificate is for another name", "write the name that it carries: {look}"),
    64: ("its certificate is for another address", "write what it carries: {look}"),
}
_ALERTS: Final[Mapping[str, Why]] = {
    "CERTIFICATE_EXPIRED": (
        "your certificate {cert} has expired",
        "get a new one: openssl x509 -in {cert} -noout -enddate",
    ),
    "UNKNOWN_CA": (
        "your certificate {cert} is signed by an authority that it does not believe",
        "compare its issuer with api.tls.client_ca_file there",
    ),
    "CERTIFICATE_REQUIRED": ("it wants a certificate", "check --cert"),
    "HANDSHAKE_FAILURE": ("it wants a certificate, or speaks no cipher of ours", "check --cert"),
    "UNSUPPORTED_CERTIFICATE": (
        "your certificate {cert} is not one for clients",
        "its extended key usage has to name clientAuth, or be left out",
    ),
    "CERTIFICATE_UNKNOWN": ("it does not take your certificate {cert}", "check --cert"),
    "BAD_CERTIFICATE": ("it does not take your certificate {cert}", "check --cert"),
    "PROTOCOL_VERSION": ("it speaks no TLS 1.2 or newer", "is this a tricast daemon?"),
}
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})


def why_not(error: ssl.SSLError, url: str, proof: Proof) -> Why:
    """What is wrong between the daemon and us, and what to try next."""
    host = urlsplit(url).netloc
    names = {
        "cert": proof.certificate,
        "ca": proof.ca or "this machine's authorities",
        "look": f"openssl s_client -connect {host} </dev/null | openssl x509 -noout -ext "
        "subjectAltName",
    }
    reason = error.reason or ""
    found: Why | None = None
    if isinstance(error, ssl.SSLCertVerificationError):
        found = _VERIFY.get(error.verify_code, (f"its certificate: {error.verify_message}", ""))
    elif reason in _NO_TLS:
        found = ("what answers there speaks no TLS", f"is it api.port? api.tls.port is {PORT}")
    else:
        found = next((why for end, why in _ALERTS.items() if reason.endswith(end)), None)
    what, step = found or (f"TLS: {reason or error}", "")
    return what.format(**names), (step or "journalctl -u tricast -n 50").format(**names)
