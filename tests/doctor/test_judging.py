"""Every verdict of the doctor, at its edges."""

import pytest

from controller.doctor.judging import (
    agents,
    clock,
    configuration,
    distance,
    files,
    keeper,
    mysql,
    postgres,
    store,
    traffic,
)
from controller.doctor.judging.row import Grade, Row, ok, warn, worst
from controller.doctor.judging.row import bad as bad_row
from controller.doctor.judging.row import unknown as unknown_row

OK, WARN, BAD, UNKNOWN = Grade.OK, Grade.WARN, Grade.BAD, Grade.UNKNOWN


def grades(rows: list[Row]) -> list[Grade]:
    assert all(row.next_step for row in rows if row.grade is not OK), "says no next step"
    assert all(not row.next_step for row in rows if row.grade is OK)
    assert all(row.seen for row in rows)
    return [row.grade for row in rows]


def test_the_worst_row_counts() -> None:
    rows = [ok("a", "", "x"), unknown_row("a", "", "x", "y")]
    assert worst([]) is OK
    assert worst(rows) is UNKNOWN
    assert worst([*rows, warn("a", "", "x", "y")]) is WARN
    assert worst([bad_row("a", "", "x", "y"), *rows]) is BAD


# --- configuration and sites ----------------------------------------------------------------------


def test_a_file_that_cannot_be_used_is_bad_and_one_with_warnings_is_not() -> None:
    assert grades(configuration.loaded("f", [], [])) == [OK]
    assert grades(configuration.loaded("f", [], ["no tls"])) == [WARN]
    assert grades(configuration.loaded("f", ["no sites"], ["no tls"])) == [BAD, WARN]


MINE = {"wallet": "aaa", "lobby": "bbb"}


@pytest.mark.parametrize(
    ("told", "grade"),
    [
        (MINE, OK),
        ({"wallet": "aaa", "lobby": "ccc"}, BAD),
        ({**MINE, "third": "ddd"}, BAD),
        ({"wallet": "aaa"}, WARN),
        ({"wallet": "aaa", "lobby": ""}, WARN),  # an old version tells none
        (None, UNKNOWN),
    ],
)
def test_terms(told: dict[str, str] | None, grade: Grade) -> None:
    assert grades([configuration.terms("dc2", MINE, told)]) == [grade]


def test_versions_of_two_sites() -> None:
    told = ("0.1.0", "0.2.0", None)
    found = [configuration.version("dc2", "0.1.0", version) for version in told]
    assert grades(found) == [OK, WARN, UNKNOWN]


# --- etcd -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "grade"),
    [
        ("3.3.27", BAD),
        ("3.4.23", WARN),
        ("3.5.29", WARN),
        ("3.5.30", OK),
        ("3.5.30+git", OK),
        ("3.6.10", WARN),
        ("3.6.11", OK),
        ("3.7.0", OK),
        ("4.0.0", OK),
        ("", UNKNOWN),
        ("3.5", UNKNOWN),
        ("3.5.30x", UNKNOWN),
    ],
)
def test_etcd_version(version: str, grade: Grade) -> None:
    assert grades([store.version("dc1", version)]) == [grade]


def test_etcd_3_4_is_told_why() -> None:
    assert "stale linearizable reads" in store.version("dc1", "3.4.23").seen


def seen(put_s: float = 0.01, *, get_s: float = 0.01, alarms: tuple[str, ...] = ()) -> list[Row]:
    found = store.MemberSeen(
        version="3.5.30", leader="dc1", alarms=alarms, put_s=put_s, get_s=get_s
    )
    return store.member("dc1", found, 1.0)[:1]


def test_a_member_is_slow_above_a_quarter_of_the_deadline() -> None:
    assert grades(seen(0.25)) == [OK]
    assert grades(seen(0.251)) == [WARN]
    assert grades(seen(get_s=0.251)) == [WARN]
    assert grades(seen(alarms=("NOSPACE",))) == [BAD]
    assert grades([store.silent("dc1", "http://x", "refused")]) == [BAD]


@pytest.mark.parametrize(
    ("told", "grade"),
    [
        ({"dc1": "w", "dc2": "w", "w": "w"}, OK),
        ({"dc1": "dc2", "dc2": "dc2"}, WARN),
        ({"dc1": "w", "dc2": "dc2"}, WARN),
        ({"dc1": "w", "dc2": ""}, WARN),
        ({"dc1": "", "dc2": ""}, BAD),
        ({}, UNKNOWN),
    ],
)
def test_the_leader(told: dict[str, str], grade: Grade) -> None:
    assert grades([store.leader(told, ["w"])]) == [grade]


def test_a_lease_that_is_not_renewed_for_its_whole_length_is_bad() -> None:
    assert grades([store.renewal("lobby", "dc1", 1, 3.0, 3.0)]) == [OK]
    assert grades([store.renewal("lobby", "dc1", 0, 3.0, 3.0)]) == [BAD]
    assert grades([store.renewal("lobby", "dc1", 0, 2.9, 3.0)]) == [UNKNOWN]


# --- clocks and distance --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("least_s", "most_s", "grade"),
    [
        (-0.1, 0.1, OK),
        (0.5, 0.7, OK),
        (0.51, 0.7, WARN),
        (-0.7, -0.51, WARN),
        (-9.0, 9.0, OK),  # nothing is known to be apart
        (5.0, 5.2, WARN),
        (5.01, 5.2, BAD),
        (-8.0, -5.01, BAD),
    ],
)
def test_skew(least_s: float, most_s: float, grade: Grade) -> None:
    apart = clock.Apart(least_s=least_s, most_s=most_s)
    assert grades([clock.skew("dc2", apart, 1.0)]) == [grade]


def test_no_new_report_says_nothing_of_a_clock() -> None:
    assert grades([clock.skew("dc2", None, 4.6)]) == [UNKNOWN]


def test_the_kernels_word() -> None:
    found = [clock.synchronised(flag, "why") for flag in (True, False, None)]
    assert grades(found) == [OK, WARN, UNKNOWN]


def test_p99_of_a_hundred_leaves_one_outlier_out() -> None:
    assert distance.p99([0.001] * 99 + [1.0]) == 0.001
    assert distance.p99([0.001] * 98 + [1.0] * 2) == 1.0
    assert distance.p99([0.001] * 10 + [1.0]) == 1.0


@pytest.mark.parametrize(
    ("p99_s", "fits"),
    [(0.002, "fast"), (0.0021, "metro"), (0.020, "metro"), (0.021, "wan"), (3.0, "wan")],
)
def test_which_profile_fits(p99_s: float, fits: str) -> None:
    assert distance.fitting(p99_s) == fits


def test_a_profile_that_is_too_fast_is_warned_of() -> None:
    assert grades([distance.profile("dc2", [0.002] * 10, "fast")]) == [OK]
    found = distance.profile("dc2", [0.0021] * 10, "fast")
    assert grades([found]) == [WARN]
    assert "profile: metro" in found.next_step
    slower = distance.profile("dc2", [0.0012] * 10, "metro")
    assert slower.seen == (
        "profile metro fits: p99 round trip 1.2 ms of at most 20 ms; fast would fit"
    )
    assert grades([distance.profile("dc2", [0.001] * 9, "fast", "no answer")]) == [UNKNOWN]
    assert grades([distance.profile("dc2", [0.5] * 10, "wan")]) == [OK]


# --- agents ---------------------------------------------------------------------------------------


def test_agents() -> None:
    rows = [
        agents.version("h", "0.1.0", "0.1.0"),
        agents.version("h", "0.1.0", "0.0.9"),
        agents.version("h", "0.1.0", None, "no verb"),
        agents.refused("h", "the key is not accepted"),
        agents.silent("h", "no route"),
        agents.verb("h", "ledger", "pid 7"),
        agents.verb_failed("h", "ledger", "no 'ledger' here"),
    ]
    assert grades(rows) == [OK, WARN, WARN, BAD, BAD, OK, BAD]


# --- databases ------------------------------------------------------------------------------------

GOOD = {
    "wal_level": "replica",
    "hot_standby": "on",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "wal_retrieve_retry_interval": "100",
}


@pytest.mark.parametrize(
    ("name", "value", "grade"),
    [
        ("wal_level", "minimal", BAD),
        ("hot_standby", "off", BAD),
        ("max_wal_senders", "4", BAD),
        ("max_replication_slots", "2", BAD),
        ("wal_retrieve_retry_interval", "201", WARN),
        ("wal_retrieve_retry_interval", "5000", WARN),
    ],
)
def test_a_postgres_setting_that_is_wrong(name: str, value: str, grade: Grade) -> None:
    found = postgres.settings("ledger", {**GOOD, name: value})
    assert grades(found) == [grade]
    assert value in found[0].seen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wal_level", "logical"),
        ("max_wal_senders", "5"),
        ("max_replication_slots", "3"),
        ("wal_retrieve_retry_interval", "200"),
    ],
)
def test_a_postgres_setting_that_just_does(name: str, value: str) -> None:
    assert postgres.settings("ledger", {**GOOD, name: value}) == []


def test_a_postgres_setting_that_is_not_told_is_unknown() -> None:
    assert grades(postgres.settings("ledger", {})) == [UNKNOWN] * len(GOOD)


def test_standby_names_are_compared_by_meaning() -> None:
    wanted = "ANY 1 (dc2, witness)"
    assert postgres.standby_names("l", 'any 1 ("dc2",witness)', wanted) == []
    for found in ("", "FIRST 1 (dc2, witness)", "ANY 1 (dc2)", "ANY 1 (*)"):
        assert grades(postgres.standby_names("l", found, wanted)) == [BAD]


def test_what_the_postgres_account_may() -> None:
    def said(superuser: bool, canary: bool | None) -> list[Grade]:
        login = postgres.Login(superuser=superuser, writes_canary=canary)
        return grades(postgres.login("ledger", "tricast", login))

    assert said(True, True) == []
    assert said(False, True) == [BAD]
    assert said(True, False) == [BAD]
    assert said(True, None) == [BAD]


def test_what_adapters_call_a_problem_is_bad_unless_it_passes() -> None:
    assert grades(postgres.problems("l", ["fsync is off, must be on"])) == [BAD]
    said = ["sync_binlog is 0, not 1", "crash recovery cut the log; its tail up to 0-1-5 is aside"]
    assert grades(mysql.problems("j", said)) == [BAD, WARN]
    assert grades(postgres.whole("l", "postgres", [])) == [OK]
    assert grades([postgres.refused("l", "x"), postgres.silent("l", "x")]) == [BAD, BAD]
    assert grades([postgres.unreadable("l", "x")]) == [UNKNOWN]


def grants_of(kind: str, *, without: str = "") -> list[str]:
    names = ", ".join(name for name in mysql.NEEDED[kind] if name != without)
    tables = [f"GRANT {', '.join(n)} ON `{t}` TO x" for t, n in mysql.TABLES[kind].items()]
    return [f"GRANT {names} ON *.* TO `tricast`@`%` IDENTIFIED BY 'x'", *tables]


@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_mysql_grants(kind: str) -> None:
    def said(lines: list[str]) -> list[Row]:
        return mysql.grants("journal", kind, "tricast", lines)

    assert said(grants_of(kind)) == []
    assert said(["GRANT ALL PRIVILEGES ON *.* TO x WITH GRANT OPTION"]) == []
    for name in mysql.NEEDED[kind]:
        lacking = said(grants_of(kind, without=name))
        assert grades(lacking) == [BAD]
        assert f"lacks {name} on *.*" in lacking[0].seen
    assert len(said(grants_of(kind)[:1])) == len(mysql.TABLES[kind])
    assert len(said(["GRANT USAGE ON *.* TO x"])) == 1 + len(mysql.TABLES[kind])


def test_a_keeper_by_its_report() -> None:
    def said(*, streaming: bool = True, whole: bool = True, problems: tuple[str, ...] = ()) -> str:
        found = keeper.reported("k", streaming=streaming, whole=whole, problems=problems)
        return " ".join(grades(found))

    assert said() == "ok"
    assert said(streaming=False) == "warn"
    assert said(whole=False) == "bad"
    assert said(problems=("segment 4 is missing",)) == "bad"
    assert grades([keeper.unheard("k", "witness")]) == [UNKNOWN]


# --- haproxy and BGP ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "grade"),
    [("2.6.12-1+deb12u1", OK), ("3.0.1", OK), ("2.5.14", WARN), ("", UNKNOWN), ("dev", UNKNOWN)],
)
def test_haproxy_version(version: str, grade: Grade) -> None:
    assert grades([traffic.haproxy_version(version)]) == [grade]


def test_a_backend() -> None:
    wanted = ["dc1-app1", "dc2-app1"]

    def said(found: list[str] | None, *, gated: bool = True) -> list[Grade]:
        return grades(traffic.backend("be", wanted, found, gated=gated))

    assert said(wanted) == [OK]
    assert said(None) == [BAD]
    assert said(["dc1-app1"]) == [BAD]
    assert said([*wanted, "dc1-app9"]) == [WARN]
    assert said(wanted, gated=False) == [WARN]
    assert said(["dc1-app1", "x"], gated=False) == [BAD, WARN, WARN]
    assert grades([traffic.haproxy_silent("s", "no such file")]) == [BAD]


def test_a_backend_that_may_be_switched_off() -> None:
    assert grades(traffic.shed("be", known=True, gated=True)) == [OK]
    assert grades(traffic.shed("be", known=False, gated=True)) == [WARN]
    [row] = traffic.shed("be", known=True, gated=False)
    assert row.grade is WARN
    assert "tricast_shed/be" in row.seen
    assert grades(traffic.shed("be", known=False, gated=False)) == [WARN, WARN]


def test_sessions() -> None:
    def said(**found: bool) -> list[Grade]:
        return grades(traffic.sessions(["a", "b"], found))

    assert said(a=True, b=True) == [OK, OK]
    assert said(a=True, b=False) == [OK, WARN]
    assert said(a=False, b=False) == [BAD, BAD]
    assert said(a=True) == [OK, BAD]
    assert grades(traffic.permit(0.1, [])) == [OK]
    assert grades(traffic.permit(0.0, [])) == [BAD]
    assert grades(traffic.permit(9.0, ["a route was refused"])) == [WARN, OK]
    assert grades([traffic.speaker_silent("s", "refused")]) == [BAD]


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "grade"),
    [(1.0, OK), (0.20, OK), (0.199, WARN), (0.10, WARN), (0.0999, BAD), (0.0, BAD), (None, BAD)],
)
def test_room(free: float | None, grade: Grade) -> None:
    assert grades([files.room("/var/lib/tricast", free, "no such directory")]) == [grade]


def test_promises() -> None:
    path = "/var/lib/tricast/promises.json"
    assert grades(files.promises(path, {"wallet": 7}, "", writable=True)) == [OK]
    assert grades(files.promises(path, {}, "", writable=True)) == [OK]
    assert grades(files.promises(path, None, "", writable=True)) == [WARN]
    assert grades(files.promises(path, None, "is damaged", writable=True)) == [BAD]
    found = files.promises(path, {"wallet": 7}, "", writable=False)
    assert grades(found) == [OK, BAD]
    assert found[1].subject == "/var/lib/tricast"


def test_secrets_and_audit() -> None:
    assert grades(files.secrets([])) == [OK]
    assert grades(files.secrets(["mode 0644", "not there"])) == [BAD, BAD]
    assert grades(files.audit("f", 9, [], ["etcd"])) == [OK]
    assert grades(files.audit("f", 9, [], [])) == [WARN]
    assert grades(files.audit("f", 9, ["entry 3: changed"], ["etcd"])) == [BAD]
    assert grades([files.audit_missing("f", "permission denied")]) == [UNKNOWN]
    (row,) = [files.audit_of_another("f", 4, "format 2 of tricast 0.9.0")]
    assert grades([row]) == [UNKNOWN]
    assert "from entry 4 on it is written in format 2 of tricast 0.9.0" in row.seen


@pytest.mark.parametrize(
    ("days", "grade"),
    [(30, OK), (29.99, WARN), (7, WARN), (6.99, BAD), (0, BAD), (-1, BAD)],
)
def test_certificates(days: float, grade: Grade) -> None:
    assert grades([files.certificate("f", "CN=x", days * files.DAY_S)]) == [grade]
    assert grades([files.certificate_unread("f", "not there")]) == [BAD]


@pytest.mark.parametrize(
    ("days", "grade"), [(None, OK), (30.0, OK), (1.0, OK), (0.5, WARN), (0.0, BAD), (-1.0, BAD)]
)
def test_a_revocation_list(days: float | None, grade: Grade) -> None:
    left_s = None if days is None else days * files.DAY_S
    assert grades([files.revoked("f", 3, left_s)]) == [grade]
    assert grades([files.revoked_unread("f", "not there")]) == [BAD]


def test_a_key_of_another_certificate() -> None:
    assert files.pair("c", "k", "") == []
    assert grades(files.pair("c", "k", "KEY_VALUES_MISMATCH")) == [BAD]
    assert files.key("k", "") == []
    assert grades(files.key("k", "has mode 0644: others may use it")) == [BAD]
