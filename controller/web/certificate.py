"""What a client certificate says, and which ones were taken back. Blocking file reads; no TLS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

SHORT: Final = 8
_END: Final = b"-----END X509 CRL-----"


class BadList(Exception):
    """The revocation list cannot be relied on. The message names the file and the next step."""


def stamp(file: Path) -> tuple[int, ...]:
    """Another one for each content of the file; () when it cannot be seen."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A client certificate whose chain the TLS library has verified."""

    name: str  # the one common name; "" when there is none, or more than one
    subject: str
    issuer: str
    issuer_name: bytes
    serial: int
    expires: datetime

    @property
    def serial_text(self) -> str:
        """As openssl prints it."""
        return f"{self.serial:X}"

    @property
    def short(self) -> str:
        """For people: enough to find it."""
        return f"certificate {self.serial_text[:SHORT]}"


def shown(der: bytes) -> Shown:
    """What the certificate says. Raises ValueError for what is none."""
    found = x509.load_der_x509_certificate(der)
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Shown(
        name=str(names[0].value) if len(names) == 1 else "",
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        issuer_name=found.issuer.public_bytes(),
        serial=found.serial_number,
        expires=found.not_valid_after_utc,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revoked:
    serials: frozenset[int]
    good_until: datetime | None


@dataclass(slots=True, kw_only=True)
class RevocationList:
    """The revocation lists of one file, each signed by an authority of another; read anew when it
    changes. What cannot be relied on lets nobody in.
    """

    file: Path
    authorities: Path
    _by_issuer: Mapping[bytes, _Revoked] = field(default_factory=dict)
    _problem: str = "it has not been read yet"
    _stamps: tuple[tuple[int, ...], ...] = ()

    def read(self) -> str:
        """The file as it is now is in use; what is wrong with it, or ""."""
        stamps = (stamp(self.file), stamp(self.authorities))
        if stamps == self._stamps and () not in stamps:
            return self._problem
        self._stamps = stamps
        try:
            authorities = x509.load_pem_x509_certificates(self.authorities.read_bytes())
            self._by_issuer = dict(_lists(self.file.read_bytes(), authorities))
        except OSError as error:
            self._problem = f"{error.filename} cannot be read: {error.strerror}"
        except (ValueError, UnsupportedAlgorithm) as error:
            self._problem = str(error)
        else:
            self._problem = ""
        return self._problem

    @property
    def lists(self) -> list[tuple[int, datetime | None]]:
        """Of each list: how many are revoked, and until when it is good."""
        return [(len(found.serials), found.good_until) for found in self._by_issuer.values()]

    def check(self, certificate: Shown, now: datetime) -> bool:
        """Whether it was taken back. Raises BadList when that cannot be told."""
        if self._problem:
            raise BadList(f"the revocation list {self.file} cannot be used: {self._problem}")
        found = self._by_issuer.get(certificate.issuer_name)
        if found is None:
            raise BadList(f"{self.file} has no revocation list of {certificate.issuer}")
        if found.good_until is not None and found.good_until < now:
            raise BadList(
                f"the revocation list of {certificate.issuer} in {self.file} was good until "
                f"{found.good_until:%Y-%m-%dT%H:%M:%SZ}"
            )
        return certificate.serial in found.serials


def _lists(text: bytes, authorities: Sequence[x509.Certificate]) -> list[tuple[bytes, _Revoked]]:
    blocks = [block + _END for block in text.split(_END)[:-1]]
    if not blocks:
        raise ValueError("it holds no revocation list in PEM form")
    return [_list(x509.load_pem_x509_crl(block), authorities) for block in blocks]


def _list(
    found: x509.CertificateRevocationList, authorities: Sequence[x509.Certificate]
) -> tuple[bytes, _Revoked]:
    if not any(_signed(found, authority) for authority in authorities):
        issuer = found.issuer.rfc4514_string()
        raise ValueError(f"the list of {issuer} is not signed by an authority of client_ca_file")
    return found.issuer.public_bytes(), _Revoked(
        serials=frozenset(entry.serial_number for entry in found),
        good_until=found.next_update_utc,
    )


def _signed(found: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        key = authority.public_key()
        return authority.subject == found.issuer and found.is_signature_valid(key)  # type: ignore[arg-type]
    except (InvalidSignature, TypeError):
        return False
