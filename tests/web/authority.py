"""Certificates made in a test: an authority that signs for servers and persons, and takes back."""

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
LONG_AGO = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
LOOPBACK = (x509.IPAddress(ipaddress.ip_address("127.0.0.1")),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path
    serial: int


class Authority:
    """Signs certificates into files of a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = subject(name)
        self.file = folder / f"{name}.crt"
        builder = self._builder(self._name, self._key.public_key(), END).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        _put(self.file, _pem(builder.sign(self._key, hashes.SHA256())))

    def server(
        self,
        file: str = "server",
        names: Sequence[x509.GeneralName] = LOOPBACK,
        until: datetime.datetime = END,
    ) -> Pair:
        """For a daemon."""
        builder = x509.SubjectAlternativeName(names)
        return self._issue(
            file, subject("tricast"), until, ExtendedKeyUsageOID.SERVER_AUTH, builder
        )

    def person(
        self, *names: str, file: str = "", until: datetime.datetime = END, server: bool = False
    ) -> Pair:
        """For an operator; several common names where several are given."""
        use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        return self._issue(file or "-".join(names) or "nobody", subject(*names), until, use)

    def revoked(self, *pairs: Pair, until: datetime.datetime = END, file: str = "crl") -> Path:
        """A list that takes these back."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(START)
            .next_update(until)
        )
        for pair in pairs:
            entry = x509.RevokedCertificateBuilder().serial_number(pair.serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(LONG_AGO).build())
        path = self._folder / file
        _put(path, _pem(builder.sign(self._key, hashes.SHA256())))
        return path

    def _issue(
        self,
        file: str,
        name: x509.Name,
        until: datetime.datetime,
        use: x509.ObjectIdentifier,
        more: x509.ExtensionType | None = None,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name, key.public_key(), until).add_extension(
            x509.ExtendedKeyUsage([use]), critical=False
        )
        if more is not None:
            builder = builder.add_extension(more, critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        pair = Pair(
            certificate=self._folder / f"{file}.crt",
            key=self._folder / f"{file}.key",
            serial=made.serial_number,
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        _put(pair.certificate, _pem(made))
        _put(pair.key, secret)
        return pair

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime.datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(START)
            .not_valid_after(until)
        )


def subject(*names: str) -> x509.Name:
    """A name with these common names."""
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")
    return x509.Name(
        [organisation, *(x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names)]
    )


def _pem(made: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    return made.public_bytes(serialization.Encoding.PEM)


def _put(file: Path, content: bytes) -> None:
    """Replaced at once, with a time of its own."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    fresh = file.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.chmod(0o600)
    if fresh.stat().st_mtime_ns <= before:
        os.utime(fresh, ns=(before + 1, before + 1))
    os.replace(fresh, file)
