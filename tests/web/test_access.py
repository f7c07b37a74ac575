"""Who may do what, decided on a certificate alone."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from controller.core.model import Instant
from controller.web.access import Access
from controller.web.certificate import RevocationList
from controller.web.source import Asker, NotAsked
from tests.web.authority import END, LONG_AGO, Authority, Pair


@dataclass
class Stamped:
    """A clock that says only what the day is."""

    now: str = "2026-11-21T01:00:00.000Z"

    def monotonic(self) -> Instant:
        raise AssertionError("certificates are good until a day, not for a time")

    def stamp(self) -> str:
        return self.now


class Door:
    """Access for ada and rita."""

    def __init__(self, revoked: RevocationList | None = None) -> None:
        self.clock = Stamped()
        self.noted: list[tuple[Asker, str, str]] = []
        self.access = Access(
            operators=frozenset({"ada"}),
            readers=frozenset({"rita"}),
            revoked=revoked,
            clock=self.clock,
            refused=lambda who, asked, why: self.noted.append((who, asked, why)),
        )

    def judged(self, der: bytes | None, *, changes: bool = True) -> Asker:
        return self.access.judged(der, "POST /x", changes=changes)


def der(pair: Pair) -> bytes:
    found = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    return found.public_bytes(Encoding.DER)


def test_who_and_how_it_is_known(tmp_path: Path) -> None:
    pair = Authority(tmp_path).person("ada")
    asker = Door().judged(der(pair))
    eight = f"{pair.serial:X}"[:8]
    assert (asker.name, str(asker)) == ("ada", f"ada (certificate {eight})")
    assert asker.at("dc1") == f"dc1 (certificate {eight})"
    assert asker.facts == {
        "certificate": f"serial {pair.serial:X}, subject CN=ada,O=Example, "
        "issuer CN=authority,O=Example"
    }


def test_an_account_of_the_node_is_its_name_alone() -> None:
    asker = Asker(name="ada")
    assert (str(asker), asker.at("dc1"), asker.facts) == ("ada", "dc1", {})


def test_a_connection_does_not_outlive_its_certificate(tmp_path: Path) -> None:
    door, certificate = Door(), der(Authority(tmp_path).person("ada", until=LONG_AGO))
    door.clock.now = (LONG_AGO - timedelta(seconds=1)).isoformat()
    assert door.judged(certificate).name == "ada"
    door.clock.now = (LONG_AGO + timedelta(seconds=1)).isoformat()
    with pytest.raises(NotAsked, match="has expired: use a new one"):
        door.judged(certificate)
    assert len(door.noted) == 1


@pytest.mark.parametrize("found", [None, b"", b"no certificate"])
def test_what_is_no_certificate_is_nobody(found: bytes | None) -> None:
    with pytest.raises(NotAsked, match="certificate") as refused:
        Door().judged(found, changes=False)
    assert refused.value.status == 403


def test_only_changes_are_noted(tmp_path: Path) -> None:
    door, authority = Door(), Authority(tmp_path)
    assert door.judged(der(authority.person("rita")), changes=False).name == "rita"
    for name in ("rita", "eve"):
        with pytest.raises(NotAsked):
            door.judged(der(authority.person(name)))
    with pytest.raises(NotAsked):
        door.judged(der(authority.person("eve")), changes=False)
    assert [(who.name, asked) for who, asked, _ in door.noted] == [
        ("rita", "POST /x"),
        ("eve", "POST /x"),
    ]


# --- what was taken back --------------------------------------------------------------------------


def test_before_the_list_was_read_nobody_is_let_in(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    found = RevocationList(file=authority.revoked(), authorities=authority.file)
    certificate = der(authority.person("ada"))
    with pytest.raises(NotAsked, match="it has not been read yet; nobody is let in"):
        Door(found).judged(certificate)
    assert found.read() == ""
    assert Door(found).judged(certificate).name == "ada"


def test_each_authority_takes_back_its_own(tmp_path: Path) -> None:
    one, two = Authority(tmp_path, "one"), Authority(tmp_path, "two")
    both, lists = tmp_path / "both.crt", tmp_path / "lists"
    both.write_bytes(one.file.read_bytes() + two.file.read_bytes())
    ada, lost = one.person("ada"), one.person("ada", file="lost")
    theirs = two.person("ada", file="theirs")
    mine = one.revoked(lost).read_bytes()
    lists.write_bytes(mine)
    found = RevocationList(file=lists, authorities=both)
    assert found.read() == ""
    door = Door(found)
    assert door.judged(der(ada)).name == "ada"
    with pytest.raises(NotAsked, match="was revoked"):
        door.judged(der(lost))
    with pytest.raises(NotAsked, match="has no revocation list of CN=two"):
        door.judged(der(theirs))
    lists.write_bytes(mine + two.revoked().read_bytes())
    assert found.read() == ""
    assert door.judged(der(theirs)).name == "ada"
    assert found.lists == [(1, END), (0, END)]


def test_a_list_under_the_name_of_another_authority_is_not_believed(tmp_path: Path) -> None:
    real = Authority(tmp_path, "authority")
    (tmp_path / "elsewhere").mkdir()
    forged = Authority(tmp_path / "elsewhere", "authority").revoked()
    found = RevocationList(file=forged, authorities=real.file)
    assert "is not signed by an authority of client_ca_file" in found.read()
    with pytest.raises(NotAsked, match="nobody is let in"):
        Door(found).judged(der(real.person("ada")))
