"""Certificates of one lab: an authority of its own that signs for daemons and for operators."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.adapters.clock import SystemClock

LASTS = datetime.timedelta(days=365)
LATE_CLOCK = datetime.timedelta(hours=1)

Pair = tuple[str, str]  # a certificate and its key, PEM


class Authority:
    """Signs for as long as it is not thrown away; its own key is kept nowhere."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _called("the lab's authority")
        made = self._begun(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.certificate = _text(made.sign(self._key, hashes.SHA256()))

    def daemon(self, address: str) -> Pair:
        """For who answers at `address`."""
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        return self._signed("tricast", ExtendedKeyUsageOID.SERVER_AUTH, names)

    def operator(self, name: str) -> Pair:
        """For a person."""
        return self._signed(name, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _signed(self, name: str, use: x509.ObjectIdentifier, *more: x509.ExtensionType) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._begun(_called(name), key.public_key())
        for extension in (x509.ExtendedKeyUsage([use]), *more):
            made = made.add_extension(extension, critical=False)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return _text(made.sign(self._key, hashes.SHA256())), private.decode()

    def _begun(self, name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.fromisoformat(SystemClock().stamp())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LATE_CLOCK)
            .not_valid_after(now + LASTS)
        )


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _text(made: x509.Certificate) -> str:
    return made.public_bytes(Encoding.PEM).decode()
