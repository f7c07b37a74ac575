"""The certificates of the API, as the doctor sees them."""

from datetime import datetime, timedelta
from pathlib import Path

from controller.adapters.clock import SystemClock
from controller.doctor import files
from controller.doctor.judging.row import Grade, Row
from tests.doctor.ground import around
from tests.web.authority import LONG_AGO, Authority, Pair


async def rows(folder: Path, authority: Authority, pair: Pair) -> dict[str, list[Row]]:
    """By the name of the file."""
    tls = (
        f"api:\n  tls: {{cert_file: {pair.certificate}, key_file: {pair.key}, "
        f"client_ca_file: {authority.file}, crl_file: {folder}/crl, operators: [ada]}}\n"
    )
    found: dict[str, list[Row]] = {}
    for row in await files.certificates(around(folder, {"\nheartbeat:": f"\n{tls}heartbeat:"})):
        found.setdefault(Path(row.subject).name, []).append(row)
    return found


async def test_all_is_well(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.revoked()
    found = await rows(tmp_path, authority, authority.server())
    assert set(found) == {"server.crt", "authority.crt", "crl"}
    assert {row.grade for some in found.values() for row in some} == {Grade.OK}


async def test_what_will_be_wrong_soon_and_what_is(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    soon = datetime.fromisoformat(SystemClock().stamp()) + timedelta(days=10, hours=1)
    authority.revoked(authority.person("eve"), until=LONG_AGO)
    found = await rows(tmp_path, authority, authority.server(until=soon))
    (server,), (crl,) = found["server.crt"], found["crl"]
    assert server.grade is Grade.WARN
    assert server.seen.endswith("10 days left")
    assert (crl.grade, crl.seen) == (
        Grade.BAD,
        "1 certificates are revoked; the list is out of date",
    )


async def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.server()
    ada = authority.person("ada")
    Authority(tmp_path, "other").revoked()
    found = await rows(
        tmp_path, authority, Pair(certificate=pair.certificate, key=ada.key, serial=0)
    )
    (key,), (crl,) = found["ada.key"], found["crl"]
    assert key.grade is crl.grade is Grade.BAD
    assert "KEY_VALUES_MISMATCH" in key.seen
    assert "is not signed by an authority of client_ca_file" in crl.seen


async def test_a_key_that_others_may_use_and_one_that_is_not_there(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.revoked()
    pair = authority.server()
    pair.key.chmod(0o644)
    (key,) = (await rows(tmp_path, authority, pair))["server.key"]
    assert (key.grade, key.seen) == (Grade.BAD, "has mode 0644: others may use it")
    pair.key.unlink()
    (key,) = (await rows(tmp_path, authority, pair))["server.key"]
    assert key.seen == "cannot be used: No such file or directory"
