"""Looks at files of this node: secrets, promises, disks, the audit log, certificates."""

import json
import os
import ssl
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from controller.adapters.clock import SystemClock
from controller.audit.anchor import Anchor, BadAnchor, decode_anchor
from controller.config import check_secret_files
from controller.core.model import SiteName
from controller.core.wire import EPOCH_MAX
from controller.doctor.around import Around, store
from controller.doctor.aside import aside
from controller.doctor.judging import files as judging
from controller.doctor.judging.row import Row
from controller.ports import PortError
from controller.runtime.audit_anchors import StoreAnchors
from controller.runtime.audit_file import AuditFile
from controller.web.certificate import RevocationList

PROMISES: Final = "promises.json"


async def look(around: Around) -> list[Row]:
    """Secrets, promises and room."""
    return await aside(_look, around)


def _look(around: Around) -> list[Row]:
    cluster, site = around.cluster, around.site
    state = Path(cluster.state_dir)
    problems = check_secret_files(cluster, site, str(around.file))
    found, problem = _promises(state / PROMISES)
    writable = os.access(state, os.W_OK | os.X_OK)
    keepers = {
        voter.directory
        for service in cluster.services
        for conf in service.databases
        for name, voter in conf.voters.items()
        if name == site and voter.directory is not None
    }
    return [
        *judging.secrets([problem.render() for problem in problems]),
        *judging.promises(str(state / PROMISES), found, problem, writable=writable),
        *(_room(Path(path)) for path in (str(state), *sorted(keepers))),
    ]


def _promises(path: Path) -> tuple[dict[str, int] | None, str]:
    """What is promised, and what is wrong with the file."""
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        return None, f"is damaged: {error}"
    if not isinstance(data, dict) or not all(_is_epoch(value) for value in data.values()):
        return None, "is damaged: it does not hold one epoch for each service"
    return data, ""


def _is_epoch(value: object) -> bool:
    return type(value) is int and 0 <= value <= EPOCH_MAX


def _room(path: Path) -> Row:
    try:
        disk = os.statvfs(path)
    except OSError as error:
        return judging.room(str(path), None, f"cannot be looked at: {error.strerror}")
    return judging.room(str(path), disk.f_bavail / max(1, disk.f_blocks))


async def audit(around: Around) -> list[Row]:
    """The log of this site, against the anchors of etcd and of this site itself."""
    folder = Path(around.cluster.state_dir) / "audit"
    path = folder / f"{around.site}.jsonl"
    # Anchors before the log: an entry that is written meanwhile is then only in the log.
    kept = await aside(lambda: [*_kept(folder / "anchors.json", around.site)])
    anchors = [*await _stored(around), *kept]
    mine = [anchor for anchor in anchors if anchor.site == around.site]
    log = AuditFile(directory=folder, site=around.site, stamp=str)
    try:
        await aside(path.stat)
        found = await aside(log.check, mine)
    except OSError as error:
        return [judging.audit_missing(str(path), f"cannot be read: {error.strerror}")]
    compared = sorted({anchor.place for anchor in mine})
    if found.unverifiable:
        return [judging.audit_of_another(str(path), found.breaks[0].seq, found.other)]
    return judging.audit(str(path), found.entries, [str(each) for each in found.breaks], compared)


async def _stored(around: Around) -> tuple[Anchor, ...]:
    try:
        async with store(around) as opened:
            port = StoreAnchors(store=opened, prefix="", deadline_s=around.cluster.etcd.deadline_s)
            return (await port.read())[0]
    except PortError:
        return ()  # then it is not named among those that were compared with


def _kept(path: Path, site: SiteName) -> Iterator[Anchor]:
    try:
        rows = json.loads(path.read_text()).get(site, [])
        for row in rows:
            yield decode_anchor(site, json.dumps(row).encode(), "this site")
    except (OSError, ValueError, AttributeError, TypeError, BadAnchor, RecursionError):
        return  # the daemon sets a damaged one aside, and says so


async def certificates(around: Around) -> list[Row]:
    """Every certificate that the configuration names."""
    return await aside(_certificates, around)


def _certificates(around: Around) -> list[Row]:
    now = datetime.fromisoformat(SystemClock().stamp())
    rows = [row for path in sorted(_named(around)) for row in _certificate(Path(path), now)]
    api = around.cluster.api.tls
    if api is None:
        return rows
    pair = Path(api.cert_file), Path(api.key_file)
    rows += judging.pair(str(pair[0]), str(pair[1]), _pair_problem(*pair))
    rows += judging.key(str(pair[1]), _key_problem(pair[1]))
    if api.crl_file is not None:
        rows += _revoked(Path(api.crl_file), Path(api.client_ca_file), now)
    return rows


def _named(around: Around) -> set[str]:
    cluster = around.cluster
    tls = cluster.etcd.tls
    found = {tls.ca_file, tls.cert_file} if tls else set[str]()
    if api := cluster.api.tls:
        found |= {api.cert_file, api.client_ca_file}
    probes = (probe for service in cluster.services for probe in service.probes)
    named = (probe.options.get("ca_file") for probe in probes if probe.target_of(around.site))
    return found | {path for path in named if path}


def _certificate(path: Path, now: datetime) -> list[Row]:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        return [judging.certificate_unread(str(path), f"cannot be read: {error.strerror}")]
    except ValueError as error:
        return [judging.certificate_unread(str(path), f"is no certificate: {error}")]
    return [
        judging.certificate(
            str(path),
            each.subject.rfc4514_string(),
            (each.not_valid_after_utc - now).total_seconds(),
        )
        for each in found
    ]


def _pair_problem(certificate: Path, key: Path) -> str:
    """Why the daemon cannot use the two together; "" when it can, or when the key is not for us."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        return error.reason or str(error)
    except OSError:
        return ""  # those that cannot be read have rows of their own
    return ""


def _key_problem(key: Path) -> str:
    try:
        mode = stat.S_IMODE(key.stat().st_mode)
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        return f"has mode {mode:04o}: others may use it"
    return "" if os.access(key, os.R_OK) else "cannot be read by this account"


def _revoked(file: Path, authorities: Path, now: datetime) -> list[Row]:
    found = RevocationList(file=file, authorities=authorities)
    if problem := found.read():
        return [judging.revoked_unread(str(file), problem)]
    return [
        judging.revoked(str(file), count, None if until is None else (until - now).total_seconds())
        for count, until in found.lists
    ]
