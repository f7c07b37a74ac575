"""etcd behind TLS with client certificates, and their renewal while we run."""

import asyncio
import datetime
import ipaddress
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.adapters import etcd_api
from controller.adapters.etcd import Etcd
from controller.adapters.etcd_api import Tls
from controller.ports import PortError, Refused, Unreachable
from tests.contract.etcd_cluster import EtcdCluster

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """Signs certificates into files."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(_pem(self._signed(self._key, self._name, is_authority=True)))

    def issue(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        files = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        for file, content in zip(
            files,
            (
                _pem(self._signed(key, _name(name), is_authority=False)),
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ),
            ),
            strict=True,
        ):
            fresh = file.with_suffix(".new")
            fresh.write_bytes(content)
            os.replace(fresh, file)
        return files

    def _signed(
        self, key: ec.EllipticCurvePrivateKey, name: x509.Name, *, is_authority: bool
    ) -> x509.Certificate:
        here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(START)
            .not_valid_after(END)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([here]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@asynccontextmanager
async def _store(cluster: EtcdCluster, tls: Tls) -> AsyncIterator[Etcd]:
    store = Etcd(cluster.endpoints, tls=tls)
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[tuple[EtcdCluster, Tls, Authority]]:
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("server")
    options = (
        *("--client-cert-auth", "--trusted-ca-file", str(authority.file)),
        *("--cert-file", str(certificate), "--key-file", str(key)),
    )
    cluster = EtcdCluster(tmp_path, ("dc1",), options)
    ours, ours_key = authority.issue("tricast")
    tls = Tls(ca_file=authority.file, certificate_file=ours, key_file=ours_key)
    try:
        cluster.start("dc1")
        async with _store(cluster, tls) as store, asyncio.timeout(20):
            while not await _answers(store):  # the outside makes no events
                await asyncio.sleep(0.05)
        yield cluster, tls, authority
    finally:
        cluster.stop()


async def _answers(store: Etcd) -> bool:
    try:
        await store.read("", 1)
    except PortError:
        return False
    return True


async def test_certificates_on_both_sides_let_us_in(
    secured: tuple[EtcdCluster, Tls, Authority],
) -> None:
    cluster, tls, _ = secured
    async with _store(cluster, tls) as store:
        assert await store.swap("k", b"v", 0, 5) is not None


async def test_without_a_certificate_of_ours_nothing_is_done(
    secured: tuple[EtcdCluster, Tls, Authority],
) -> None:
    cluster, tls, _ = secured
    async with _store(cluster, Tls(ca_file=tls.ca_file)) as store:
        with pytest.raises(Unreachable):
            await store.swap("k", b"v", 0, 2)


async def test_server_of_another_authority_is_not_believed(
    secured: tuple[EtcdCluster, Tls, Authority], tmp_path: Path
) -> None:
    cluster, tls, _ = secured
    other = Authority(tmp_path, "other")
    async with _store(cluster, replace(tls, ca_file=other.file)) as store:
        with pytest.raises(Unreachable, match=r"(?i)certificate_verify_failed"):
            await store.read("", 2)


async def test_renewed_certificates_are_used_without_a_restart(
    secured: tuple[EtcdCluster, Tls, Authority],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first certificate is of a foreign authority; then the right one takes its place."""
    monkeypatch.setattr(etcd_api, "CERTIFICATES_LOOK_S", 0.0)
    cluster, tls, authority = secured
    certificate, key = Authority(tmp_path, "other").issue("renewed")
    async with _store(cluster, replace(tls, certificate_file=certificate, key_file=key)) as store:
        with pytest.raises(PortError):
            await store.read("", 1)
        authority.issue("renewed")
        async with asyncio.timeout(10):
            while not await _answers(store):  # the outside makes no events
                await asyncio.sleep(0.05)


async def test_missing_certificate_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"cannot read .*nowhere\.crt: No such file"):
        Etcd(["https://127.0.0.1:1"], tls=Tls(ca_file=tmp_path / "nowhere.crt"))
