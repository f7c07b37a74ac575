"""`tricast doctor` where nothing runs, and where files are all there is: rows, JSON, exit codes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.adapters.clock import SystemClock
from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.doctor.plan import CHECKS
from controller.web.doctor_schema import CHECK_NAMES, Checkup
from tests.audit.test_chain import chain, log_of
from tests.doctor.ground import furnish, moved

Captured = pytest.CaptureFixture[str]
Run = Callable[..., tuple[int, Checkup]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return furnish(tmp_path)


@pytest.fixture
def run(file: Path, capsys: Captured) -> Run:
    def ran(*arguments: str) -> tuple[int, Checkup]:
        code = main(["doctor", "--config", str(file), "--site", "dc1", "--json", *arguments])
        printed = capsys.readouterr()
        assert printed.err == ""
        return code, Checkup.model_validate_json(printed.out)

    return ran


def seen(told: Checkup) -> list[tuple[str, str]]:
    return [(row.subject, row.grade) for row in told.rows]


def test_every_check_has_a_name_that_can_be_asked_for() -> None:
    assert sorted(CHECK_NAMES) == sorted(["configuration", *(check.name for check in CHECKS)])


def test_where_nothing_runs_it_says_so_of_everything(run: Run) -> None:
    code, told = run()
    assert code == ExitCode.FAILED
    assert told.verdict == "bad"
    assert (told.cluster, told.site) == ("tricast", "dc1")
    # No certificate is named in this file.
    assert {row.check for row in told.rows} == {*CHECK_NAMES} - {"certificates"}
    assert told.counts == {
        grade: sum(row.grade == grade for row in told.rows)
        for grade in ("ok", "unknown", "warn", "bad")
    }
    assert all(row.next_step for row in told.rows if row.grade != "ok")
    assert not any("the check itself failed" in row.seen for row in told.rows)
    grades = {(row.check, row.subject): row.grade for row in told.rows}
    assert grades["etcd", "member at dc1"] == "bad"
    assert grades["databases", "ledger at dc2"] == "bad"
    assert grades["databases", "journal at witness"] == "bad"
    assert grades["databases", "ledger at witness"] == "unknown"  # a keeper, and no report
    assert grades["distance", "dc2"] == "ok"  # a refusal is an answer
    assert grades["clock", "dc2"] == "unknown"
    assert grades["leases", "lobby"] == "unknown"


def test_printed_rows_name_the_next_step(file: Path, capsys: Captured) -> None:
    arguments = ["doctor", "--config", str(file), "--site", "dc1"]
    assert main([*arguments, "--only", "haproxy", "--only", "bgp"]) == ExitCode.FAILED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "haproxy"
    assert lines[1].startswith(f"  bad      {file.parent}/haproxy.sock: haproxy: ")
    assert lines[2].startswith("           next: systemctl status haproxy")
    assert lines[3] == "bgp"
    assert lines[-1] == "tricast, from dc1: 0 ok, 0 unknown, 0 warn, 2 bad"


def test_unknown_alone_is_neither_good_nor_bad(run: Run) -> None:
    code, told = run("--only", "sites")
    assert (code, told.verdict) == (ExitCode.UNKNOWN, "unknown")


def test_files(run: Run, file: Path) -> None:
    folder = file.parent
    (folder / "promises.json").write_text('{"wallet": 7}')
    code, told = run("--only", "files")
    found = seen(told)
    assert ("secrets", "ok") in found
    assert (f"{folder}/promises.json", "ok") in found
    room = next(row for row in told.rows if row.subject == str(folder))
    assert "of the disk free" in room.seen
    assert code == (ExitCode.FAILED if room.grade == "bad" else ExitCode.DONE)


def test_a_secret_that_others_may_read_is_bad(run: Run, file: Path) -> None:
    (file.parent / "secrets/database").chmod(0o644)
    code, told = run("--only", "files")
    assert code == ExitCode.FAILED
    assert any("mode 0644" in row.seen for row in told.rows if row.grade == "bad")


@pytest.mark.parametrize("text", ["", "[]", '{"wallet": -1}', '{"wallet": true}', "{"])
def test_promises_that_a_daemon_would_refuse_are_bad(run: Run, file: Path, text: str) -> None:
    (file.parent / "promises.json").write_text(text)
    code, told = run("--only", "files")
    assert code == ExitCode.FAILED
    assert (f"{file.parent}/promises.json", "bad") in seen(told)


def test_the_keepers_disk_is_looked_at_where_it_is(run: Run, file: Path) -> None:
    (file.parent / "keeper").rmdir()
    _, told = run("--only", "files", "--site", "witness")
    assert (f"{file.parent}/keeper", "bad") in seen(told)
    _, told = run("--only", "files", "--site", "dc1")
    assert str(file.parent / "keeper") not in {row.subject for row in told.rows}


def test_the_audit_log_is_verified_without_a_daemon(run: Run, file: Path) -> None:
    entries = chain(5)
    folder = file.parent / "audit"
    folder.mkdir()
    log = folder / "dc1.jsonl"
    log.write_bytes(log_of(entries))
    code, told = run("--only", "audit")
    assert (code, told.verdict) == (ExitCode.DONE, "warn")  # nothing to compare with: etcd is away
    head = {"format": 1, "site": "dc1", "seq": 5, "hash": entries[-1].hash, "at": ""}
    (folder / "anchors.json").write_text(json.dumps({"dc1": [head]}))
    code, told = run("--only", "audit")
    assert (code, told.verdict) == (ExitCode.DONE, "ok")
    assert "5 entries are whole; compared with this site" in told.rows[0].seen
    log.write_bytes(log_of(entries[:4]))
    code, told = run("--only", "audit")
    assert (code, told.verdict) == (ExitCode.FAILED, "bad")


def certificate(days: float) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "etcd")])
    now = datetime.fromisoformat(SystemClock().stamp()).astimezone(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("days", "verdict"), [(31, "ok"), (29, "warn"), (8, "warn"), (6, "bad"), (-1, "bad")]
)
def test_certificates(run: Run, file: Path, days: float, verdict: str) -> None:
    crt = file.parent / "etcd.crt"
    files = f"ca_file: {crt}, cert_file: {crt}, key_file: {file.parent}/secrets/ssh_key"
    text = moved(file.parent).replace("http://127.1.0.1:2379", "https://127.1.0.1:2379")
    text = text.replace("http://127.2.0.1:2379", "https://127.2.0.1:2379")
    text = text.replace("http://127.3.0.1:2379", "https://127.3.0.1:2379")
    file.write_text(text.replace("deadline_s: 1.0\n", f"deadline_s: 1.0\n  tls: {{{files}}}\n"))
    crt.write_bytes(certificate(days))
    code, told = run("--only", "certificates")
    assert told.verdict == verdict, told
    assert seen(told) == [(str(crt), verdict)]
    assert code == (ExitCode.FAILED if verdict == "bad" else ExitCode.DONE)
    crt.unlink()
    assert run("--only", "certificates")[0] == ExitCode.FAILED


def test_a_file_that_cannot_be_used_is_all_there_is_to_say(run: Run, file: Path) -> None:
    file.write_text(file.read_text().replace("profile: fast", "profile: slow"))
    code, told = run()
    assert code == ExitCode.FAILED
    assert {row.check for row in told.rows} == {"configuration"}
    assert told.verdict == "bad"


def test_usage(file: Path, capsys: Captured) -> None:
    ask = ["doctor", "--config", str(file)]
    assert main([*ask, "--site", "dc9"]) == ExitCode.USAGE
    assert "there is no site 'dc9', only dc1, dc2, witness" in capsys.readouterr().err
    assert main([*ask, "--site", "dc1", "--only", "weather"]) == ExitCode.USAGE
    assert main(ask) == ExitCode.USAGE  # every loopback address is ours
    assert "say which it is, --site dc1, dc2, witness" in capsys.readouterr().err
