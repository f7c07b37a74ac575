"""`--server`: every verb from an operator's own machine, and what is said when it cannot be."""

import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from controller.cli.exit_codes import ExitCode
from controller.cli.main import main
from controller.core.requests import State
from controller.web.audit_schema import AuditVerdict
from tests.audit.test_chain import log_of
from tests.cli.test_audit import ENTRIES, Shelf, known
from tests.core.views import WALLET
from tests.web.authority import LONG_AGO, Authority, Pair
from tests.web.mutual import Gate, authority, gate, in_a_thread, office
from tests.web.office import Office
from tests.web.sample import STEADY, daemon

__all__ = ["authority", "gate", "office"]

Captured = pytest.CaptureFixture[str]
OTHER_NAME = (x509.DNSName("edge.example"),)


@pytest.fixture
def url(gate: Gate) -> Iterator[str]:
    with in_a_thread(gate) as port:
        yield f"https://127.0.0.1:{port}"


def proof(authority: Authority, person: Pair) -> list[str]:
    return [
        *("--cert", str(person.certificate), "--key", str(person.key)),
        *("--ca", str(authority.file)),
    ]


@pytest.fixture
def ada(authority: Authority) -> list[str]:
    return proof(authority, authority.person("ada"))


def nobody_there() -> str:
    """A URL where nobody listens."""
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{bound.getsockname()[1]}"


# --- it works -------------------------------------------------------------------------------------


def test_a_switchover_from_elsewhere(
    url: str, office: Office, ada: list[str], capsys: Captured
) -> None:
    office.ends = [(State.RUNNING, "dc2 hands over"), (State.DONE, "dc1 serves under epoch 3")]
    asked = ["switchover", "--to", "dc1", "--yes", "--server", url, *ada]
    assert main(asked) == ExitCode.DONE
    assert capsys.readouterr().out.startswith(
        "request 1 (switchover to dc1) is done: dc1 serves under epoch 3; verified "
    )
    seen = office.records.requests.newest(WALLET)
    assert seen is not None
    assert seen.request.asked_by == "ada"


@pytest.mark.parametrize(
    "verb",
    [
        ["status"], ["topology"], ["explain"], ["history"], ["requests", "--all"], ["proposals"],
    ],
)  # fmt: skip
def test_every_look_from_elsewhere(
    url: str, ada: list[str], capsys: Captured, verb: list[str]
) -> None:
    assert main([*verb, "--json", "--server", url, *ada]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["cluster"] == STEADY.cluster


def test_the_environment_says_it_once_for_all(
    url: str,
    authority: Authority,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    person = authority.person("ada")
    both = tmp_path / "both.pem"  # a certificate may have its key in the same file
    both.write_bytes(person.certificate.read_bytes() + person.key.read_bytes())
    monkeypatch.setenv("TRICAST_SERVER", url)
    monkeypatch.setenv("TRICAST_CERT", str(both))
    monkeypatch.setenv("TRICAST_CA", str(authority.file))
    assert main(["status", "--json"]) == ExitCode.DONE
    capsys.readouterr()
    # What is typed goes before it.
    assert main(["status", "--socket", str(tmp_path / "none")]) == ExitCode.UNAVAILABLE
    assert f"no tricast daemon answers at {tmp_path / 'none'}" in capsys.readouterr().err


def test_the_first_that_answers_is_asked(url: str, ada: list[str], capsys: Captured) -> None:
    dead = nobody_there()
    assert main(["status", "--json", "--server", f"{dead}, {url}", *ada]) == ExitCode.DONE
    said = capsys.readouterr()
    assert said.err == f"tricast: {dead} does not answer, {url} does\n"
    assert json.loads(said.out)["cluster"] == STEADY.cluster


def test_who_has_answered_is_asked_first_from_then_on(
    url: str, office: Office, ada: list[str], capsys: Captured
) -> None:
    """A plan, a request and many looks at it: one attempt at a server that does not answer."""
    office.ends = [(State.RUNNING, "dc2 hands over"), (State.DONE, "dc1 serves under epoch 3")]
    asked = ["switchover", "--to", "dc1", "--yes", "--server", f"{nobody_there()},{url}", *ada]
    assert main(asked) == ExitCode.DONE
    assert capsys.readouterr().err.count("does not answer") == 1


def test_when_none_answers_each_is_named(ada: list[str], capsys: Captured) -> None:
    one, two = nobody_there(), nobody_there()
    assert main(["status", "--server", f"{one},{two}", *ada]) == ExitCode.UNAVAILABLE
    assert capsys.readouterr().err.count("nobody listens. Next: systemctl status tricast") == 2


def test_what_was_sent_to_one_is_never_sent_to_another(
    url: str, office: Office, gate: Gate, ada: list[str], capsys: Captured
) -> None:
    """The first takes the request whole, and ends before it answers."""
    got: list[bytes] = []
    with mute(gate, got) as first:
        asked = ["ack", "--server", f"{first},{url}", *ada]
        assert main(asked) == ExitCode.UNKNOWN
    assert "whether it stands is not known; see tricast requests" in capsys.readouterr().err
    assert b"POST /api/v1/requests" in got[0]
    assert office.records.requests.newest(WALLET) is None


class mute:  # noqa: N801 - used as a scope
    """A server that reads one request and ends the connection."""

    def __init__(self, gate: Gate, got: list[bytes]) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(gate.server.certificate, gate.server.key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = Thread(target=self._run, args=(got,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"https://127.0.0.1:{self._listening.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._thread.join(20)
        self._listening.close()

    def _run(self, got: list[bytes]) -> None:
        plain, _ = self._listening.accept()
        with self._context.wrap_socket(plain, server_side=True) as tls:
            text = b""
            while not text.endswith(b"}"):
                text += tls.recv(4096)
            got.append(text)


def test_an_audit_log_is_compared_at_every_server_that_is_named(
    gate: Gate, authority: Authority, ada: list[str], capsys: Captured
) -> None:
    elsewhere = known(ENTRIES[2], "dc2")
    here = Shelf(log=log_of(ENTRIES), others={"dc2": "http://127.0.0.1:1", "witness": "http://h"})
    there = replace(here, anchors_known=(elsewhere,))
    gates = (
        replace(gate, audit=source, server=authority.server(name))
        for name, source in (("here", here), ("there", there))
    )
    with in_a_thread(next(gates)) as one, in_a_thread(next(gates)) as two:
        capsys.readouterr()  # what the daemons said while they began
        where = [f"https://127.0.0.1:{one},https://127.0.0.1:{two}", *ada]
        assert main(["audit", "verify", "--json", "--server", *where]) == ExitCode.DONE
    told = AuditVerdict.model_validate_json(capsys.readouterr().out)
    assert told.compared_with == ("dc2",)
    assert told.missing == (
        "dc2: name its server in --server", "witness: name its server in --server",
    )  # fmt: skip


def test_a_list_says_that_a_certificate_showed_who_asked(
    url: str, ada: list[str], capsys: Captured
) -> None:
    where = ["--server", url, *ada]
    assert main(["switchover", "--to", "dc1", "--yes", "--no-wait", *where]) == ExitCode.DONE
    capsys.readouterr()
    assert main(["requests", *where]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert "| ada@dc2 (cert) |" in shown
    assert main(["requests", "--json", *where]) == ExitCode.DONE
    (request,) = json.loads(capsys.readouterr().out)["requests"]
    assert re.fullmatch(r"dc2 \(certificate [0-9A-F]{8}\)", request["asked_at"])


# --- why not --------------------------------------------------------------------------------------


def expired(authority: Authority, gate: Gate, folder: Path) -> list[str]:
    del gate, folder
    return proof(authority, authority.person("ada", until=LONG_AGO))


def of_another_authority(authority: Authority, gate: Gate, folder: Path) -> list[str]:
    del gate
    return proof(authority, Authority(folder, "other").person("ada"))


def for_servers(authority: Authority, gate: Gate, folder: Path) -> list[str]:
    del gate, folder
    return proof(authority, authority.person("ada", server=True))


def believing_another(authority: Authority, gate: Gate, folder: Path) -> list[str]:
    del gate
    return proof(Authority(folder, "other"), authority.person("ada"))


def expired_there(authority: Authority, gate: Gate, folder: Path) -> list[str]:
    del folder
    gate.server = authority.server(until=LONG_AGO)
    return proof(authority, authority.person("ada"))


def another_name_there(authority: Authority, gate: Gate, folder: Path) -> list[str]:
    del folder
    gate.server = authority.server(names=OTHER_NAME)
    return proof(authority, authority.person("ada"))


WHY_NOT: list[tuple[Callable[[Authority, Gate, Path], list[str]], str]] = [
    (expired, "your certificate .*ada.crt has expired. Next: get a new one: openssl x509"),
    (of_another_authority, "signed by an authority that it does not believe. Next: compare"),
    (for_servers, "your certificate .*ada.crt is not one for clients"),
    (believing_another, "its certificate is signed by an authority that is not in .*other.crt"),
    (expired_there, "its certificate has expired. Next: renew api.tls.cert_file there"),
    (another_name_there, "its certificate is for another address. Next: .*openssl s_client"),
]


@pytest.mark.parametrize(("made", "why"), WHY_NOT, ids=lambda value: getattr(value, "__name__", ""))
def test_why_a_daemon_and_we_do_not_believe_each_other(
    gate: Gate,
    authority: Authority,
    office: Office,
    tmp_path: Path,
    capsys: Captured,
    made: Callable[[Authority, Gate, Path], list[str]],
    why: str,
) -> None:
    with_proof = made(authority, gate, tmp_path)
    with in_a_thread(gate) as port:
        where = ["--server", f"https://127.0.0.1:{port}", *with_proof]
        for verb in (["status"], ["ack"]):
            assert main([*verb, *where]) == ExitCode.UNAVAILABLE
            said = capsys.readouterr().err
            assert said.startswith("tricast: no tricast daemon answers us at https://127.0.0.1:")
            assert len(said.splitlines()) == 1
            assert re.search(why, said), said
    assert office.records.requests.newest(WALLET) is None


def test_who_may_not_is_told_so(
    url: str, authority: Authority, capsys: Captured, office: Office
) -> None:
    rita = proof(authority, authority.person("rita"))
    eve = proof(authority, authority.person("eve"))
    assert main(["ack", "--server", url, *rita]) == ExitCode.REFUSED
    assert "is a reader and may change nothing" in capsys.readouterr().err
    assert main(["status", "--server", url, *eve]) == ExitCode.REFUSED
    assert "'eve' is in neither api.tls.operators nor api.tls.readers" in capsys.readouterr().err
    assert office.records.requests.newest(WALLET) is None


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (["--server", "http://h:7802"], ExitCode.USAGE, "write it like https://10.1.0.1:7802"),
        (["--server", "https://h:x"], ExitCode.USAGE, "write it like https://10.1.0.1:7802"),
        (["--server", "https://h/api"], ExitCode.USAGE, "write it like https://10.1.0.1:7802"),
        (["--server", ","], ExitCode.USAGE, "names nobody"),
        (["--server", "https://h"], ExitCode.USAGE, "give your certificate with --cert"),
        (["--cert", "/x"], ExitCode.USAGE, "--cert is for --server"),
        (["--server", "https://h", "--cert", "/x"], ExitCode.CONFIG, "/x: No such file .*--cert"),
        (["--server", "https://h", "--url", "u", "--cert", "/x"], 64, "not both"),
    ],
)  # fmt: skip
def test_what_is_typed_wrong(
    capsys: Captured, options: list[str], code: ExitCode, why: str
) -> None:
    assert main(["status", *options]) == code
    assert re.search(why, capsys.readouterr().err)


def test_files_that_do_not_belong_together(
    authority: Authority, tmp_path: Path, capsys: Captured
) -> None:
    ada, grace = authority.person("ada"), authority.person("grace")
    where = ["status", "--server", nobody_there(), "--ca", str(authority.file)]
    where += ["--cert", str(ada.certificate)]
    assert main([*where, "--key", str(grace.key)]) == ExitCode.CONFIG
    assert "the key is not that of the certificate" in capsys.readouterr().err
    (tmp_path / "text").write_text("no key")
    assert main([*where, "--key", str(tmp_path / "text")]) == ExitCode.CONFIG
    assert "not in PEM form" in capsys.readouterr().err


class Terminal:
    """Where somebody types."""

    def isatty(self) -> bool:
        return True


def test_a_key_with_a_pass_phrase_is_asked_for_once(
    url: str, authority: Authority, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = authority.person("ada")
    loaded = serialization.load_pem_private_key(person.key.read_bytes(), None)
    sealed = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"sesame"),
    )
    person.key.write_bytes(sealed)
    asked = ["requests", "--json", "--server", url, *proof(authority, person)]
    assert main(asked) == ExitCode.CONFIG
    assert "has a pass phrase, and nobody can be asked" in capsys.readouterr().err
    typed: list[str] = ["sesame", "wrong"]
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("click.prompt", lambda *_, **__: typed.pop(0))
    assert main(asked) == ExitCode.DONE
    assert main(asked) == ExitCode.CONFIG
    assert "the pass phrase is not that of the key" in capsys.readouterr().err
    assert typed == []


def test_a_port_without_tls_is_told_apart(
    ada: list[str], tmp_path: Path, office: Office, capsys: Captured
) -> None:

    with daemon(office, tmp_path / "s") as port:
        where = ["--server", f"https://127.0.0.1:{port}", *ada]
        assert main(["status", *where]) == ExitCode.UNAVAILABLE
    assert "speaks no TLS. Next: is it api.port? api.tls.port is 7802" in capsys.readouterr().err
