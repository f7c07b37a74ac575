# ruff: noqa: E501
"""Each kind of wrong configuration, by the message an operator reads."""

from pathlib import Path

import pytest

from controller.config import inspect_text, load
from controller.config.problem import ConfigError

LAB = Path(__file__).parents[2] / "lab/containerlab/nodes/tricast.yml"
GOOD = LAB.read_text()

# name, what is replaced by what, what the message says
CASES = [
    ("unknown key", "    durability: quorum", "    durabilty: quorum", "services[0].durabilty", 'did you mean "durability"?'),
    ("unknown key far from any", "profile: fast", "profile: fast\nzzz: 1", "zzz = 1", "known here: addresses, api, audit, bgp"),
    ("unknown enum value", "durability: quorum", "durability: quorun", "services[0].durability = 'quorun'", 'must be one of quorum, lease; did you mean "quorum"?'),
    ("unknown profile", "profile: fast", "profile: metroo", "profile = 'metroo'", "must be one of fast, metro, wan"),
    ("duplicate key", "cluster: tricast", "cluster: tricast\ncluster: other", "cluster", "stands twice; the first is on line 2"),
    ("missing key", "    holder: dc1\n", "", "services[0].holder", "is required and not given"),
    ("number in quotes", "weight: 90", 'weight: "90"', "sites.dc2.weight = '90'", "must be a whole number"),
    ("number with unit", "  deadline_s: 1.0", "  deadline_s: 1s", "etcd.deadline_s = '1s'", "must be a number, without quotes or a unit"),
    ("number that is no text", "cluster: tricast", "cluster: 7", "cluster = 7", "must be text"),
    ("list expected", "allowed_prefixes: [198.51.100.0/24, 192.0.2.0/24,", "allowed_prefixes: 198.51.100.0/24\n  stances: [", "bgp.allowed_prefixes", "must be a list"),
    ("mapping expected", "etcd:\n  deadline_s: 1.0", "etcd: 5", "etcd = 5", "must be a mapping"),
    ("infinite", "  deadline_s: 1.0", "  deadline_s: 1e999", "etcd.deadline_s", "must be"),
    ("zero timing", "timings:", "timings:\n  tick_s: 0", "timings.tick_s = 0", "must be greater than 0"),
    ("weight out of range", "weight: 90", "weight: 9000", "sites.dc2.weight = 9000", "must be at most 1000"),
    ("port out of range", "heartbeat:", "api: {port: 70000}\nheartbeat:", "api.port = 70000", "must be at most 65535"),
    ("one port twice", "heartbeat:", "heartbeat:\n  port: 7800", "heartbeat.port = 7800", "must differ from api.port"),
    ("bad host:port", "10.1.0.11:8080", "10.1.0.11", "services[0].apps.dc1[0].address = '10.1.0.11'", "must be host:port"),
    ("port zero in host:port", "10.1.0.11:8080", "10.1.0.11:0", "services[0].apps.dc1[0].address", "from 1 to 65535"),
    ("bad URL", "etcd: http://10.1.0.1:2379", "etcd: 10.1.0.1:2379", "sites.dc1.etcd = '10.1.0.1:2379'", "must be a URL that begins with http://"),
    ("password in URL", "etcd: http://10.1.0.1:2379", "etcd: http://me:pw@10.1.0.1:2379", "sites.dc1.etcd", "must not carry a user or password"),
    ("host bits", "    prefixes: [198.51.100.0/24,", "    prefixes: [198.51.100.10/24,", "services[0].prefixes[0] = '198.51.100.10/24'", "has host bits set; did you mean 198.51.100.0/24?"),
    ("prefix without length", "    prefixes: [192.0.2.0/24,", "    prefixes: [192.0.2.0,", "services[1].prefixes[0]", "must be a prefix with its length"),
    ("prefix not allowed", "allowed_prefixes: [198.51.100.0/24,", "allowed_prefixes: [198.51.100.0/25,", "services[0].prefixes[0] = '198.51.100.0/24'", "must be inside bgp.allowed_prefixes"),
    ("overlapping services", "    prefixes: [192.0.2.0/24,", "    prefixes: [192.0.2.0/24, 198.51.100.0/25,", "services[1].prefixes[1] = '198.51.100.0/25'", "overlaps 198.51.100.0/24 of another service, services[0].prefixes[0]"),
    ("address outside prefixes", "    addresses: [198.51.100.10,", "    addresses: [198.51.101.10,", "services[0].addresses[0] = '198.51.101.10'", "must be inside a prefix of the service"),
    ("prefix without address", '    addresses: [198.51.100.10, "2001:db8:100::10"]', "    addresses: [198.51.100.10]", "services[0].prefixes[1]", "no address of the service is inside"),
    ("address of two services", "    addresses: [192.0.2.10,", "    addresses: [192.0.2.10, 198.51.100.10,", "services[1].addresses[1] = '198.51.100.10'", "belongs to one service; services[0].addresses[0]"),
    ("site address in a prefix", "    address: 10.2.0.1\n", "    address: 198.51.100.77\n", "services[0].prefixes[0]", "contains the address of site dc2"),
    ("reserved AS number", "remote_as: 64502, family: ipv4", "remote_as: 23456, family: ipv4", "sites.dc2.bgp.neighbors[0].remote_as = 23456", "must be an AS number"),
    ("iBGP", "remote_as: 64502, family: ipv4", "remote_as: 64510, family: ipv4", "sites.dc2.bgp.neighbors[0].remote_as", "must differ from local_as"),
    ("hold time too short", "family: ipv4}", "family: ipv4, hold_s: 1}", "sites.dc1.bgp.neighbors[0].hold_s = 1", "must be at least 3"),
    ("family mismatch", "remote_as: 64502, family: ipv6", "remote_as: 64502, family: ipv4", "sites.dc2.bgp.neighbors[1].address", "must be of the session's family, ipv4"),
    ("nobody speaks the family", '        - {address: "2001:db8:ff:2::1", local_address: "2001:db8:ff:2::2", remote_as: 64502, family: ipv6}\n', "", "services[0].prefixes[1]", "no neighbor of family ipv6 at dc2"),
    ("router id twice", "router_id: 203.0.113.6", "router_id: 203.0.113.2", "sites.dc2.bgp.router_id", "each BGP speaker has its own router id; sites.dc1.bgp.router_id"),
    ("prepends do not rise", "bgp:\n  allowed", "bgp:\n  stances: {preferred: 3}\n  allowed", "bgp.stances.backup.prepends = 3", "must be more than the 3 of preferred"),
    ("too many prepends", "bgp:\n  allowed", "bgp:\n  stances: {isolated: 9, drained: 9}\n  allowed", "bgp.stances.isolated.prepends = 9", "must be at most bgp.max_prepends = 5"),
    ("drained too attractive", "bgp:\n  allowed", "bgp:\n  stances: {drained: 2}\n  allowed", "bgp.stances.drained.prepends = 2", "at least the 5 of isolated"),
    ("bad community", "bgp:\n  allowed", 'bgp:\n  stances: {backup: {prepends: 3, communities: ["70000:1"]}}\n  allowed', "bgp.stances.backup.communities[0] = '70000:1'", "must be a community"),
    ("halves too long", "bgp:\n  allowed", "bgp:\n  more_specifics: {when: override, max_length_ipv6: 49}\n  allowed", "services[0].prefixes[0] = '198.51.100.0/24'", "its halves are /25, longer than bgp.more_specifics.max_length_ipv4 = 24. Announce a shorter prefix; or raise"),
    ("IPv6 halves too long", "bgp:\n  allowed", "bgp:\n  more_specifics: {when: override, max_length_ipv4: 25}\n  allowed", "services[0].prefixes[1] = '2001:db8:100::/48'", "its halves are /49, longer than bgp.more_specifics.max_length_ipv6 = 48"),
    ("more-specifics at another time", "bgp:\n  allowed", "bgp:\n  more_specifics: {when: always}\n  allowed", "bgp.more_specifics.when = 'always'", "must be one of never, override"),
    ("halves of no sane length", "bgp:\n  allowed", "bgp:\n  more_specifics: {max_length_ipv4: 32}\n  allowed", "bgp.more_specifics.max_length_ipv4 = 32", "must be at most 30"),
    ("no way for strays", 'dc2: [10.71.0.2, "fd71::2"]', "dc2: [10.71.0.2]", "strays.via.dc2 = '10.71.0.2'", "must have an IPv6 address as well"),
    ("strays to nowhere", 'dc2: [10.71.0.2, "fd71::2"]', 'dc2: [10.71.0.2, "fd71::2"]\n    dc4: [10.71.0.4]', "strays.via.dc4", "must be one of the data sites"),
    ("strays from a bad interface", "interface: edge*", "interface: edge 1", "strays.interface = 'edge 1'", "must be the name of a network interface"),
    ("connections linger too short", "cluster: tricast\n", "cluster: tricast\ntimings: {linger_s: 1.5}\n", "timings.linger_s", "must be greater than hand_over_s = 1.5"),
    ("site name not for PostgreSQL", "  dc2:\n    kind", "  DC-2:\n    kind", "sites.DC-2 = 'DC-2'", "a site name is 1 to 31 of a-z, 0-9 and _"),
    ("one data site", "  dc2:\n    kind: data", "  dc2:\n    kind: witness", "sites", "has 1 data site(s); at least 2 are needed"),
    ("no witness", "    kind: witness\n", "    kind: data\n", "sites", "has no witness site"),
    ("even number of sites", "heartbeat:", "  fourth: {kind: witness, address: 10.4.0.1, etcd: http://10.4.0.1:2379}\n\nheartbeat:", "sites", "has 4 sites, one store member each; an odd number is needed"),
    ("site address twice", "    address: 10.2.0.1\n", "    address: 10.1.0.1\n", "sites.dc2.address = '10.1.0.1'", "each site has its own address; sites.dc1.address"),
    ("store member twice", "etcd: http://10.2.0.1:2379", "etcd: http://10.1.0.1:2379", "sites.dc2.etcd", "each site has its own store member"),
    ("https without tls", "etcd: http://10.2.0.1:2379", "etcd: https://10.2.0.1:2379", "sites.dc2.etcd", "https:// exactly when etcd.tls is given"),
    ("holder unknown", "    holder: dc2", "    holder: dc3", "services[1].holder = 'dc3'", "must be one of the data sites: dc1, dc2"),
    ("holder is the witness", "    holder: dc2", "    holder: witness", "services[1].holder = 'witness'", "is a witness; it must be one of the data sites"),
    ("apps at a witness", "      dc2:\n        - {name: app1, address: \"10.2.0.11:8080\"}", "      witness:\n        - {name: app1, address: \"10.2.0.11:8080\"}", "services[0].apps.witness", "must be one of the data sites"),
    ("app server twice", "10.2.0.11:8081", "10.1.0.11:8080", "services[1].apps.dc2[0].address", "an app server belongs to one service; services[0].apps.dc1[0].address"),
    ("min_healthy too high", "    min_healthy: 1\n    canary_url: http://198", "    min_healthy: 3\n    canary_url: http://198", "services[0].min_healthy = 3", "site dc1 has only 2 app server(s)"),
    ("service name twice", "  - name: lobby", "  - name: wallet", "services[1].name = 'wallet'", "each service has its own name"),
    ("backend twice", "backend: be_lobby", "backend: be_wallet", "services[1].backend", "each service has its own haproxy backend"),
    ("shedding a service's own backend", "backends: [be_reports]", "backends: [be_reports, be_lobby]", "services[0].shed[0].backends[1] = 'be_lobby'", "is the backend of service lobby, which would be switched off"),
    ("shed by two services", "    backend: be_lobby\n", "    backend: be_lobby\n    shed: [{backends: [be_reports], when: [moving]}]\n", "services[1].shed[0].backends[0] = 'be_reports'", "is shed by service wallet; it goes with one service only"),
    ("shed twice in one entry", "backends: [be_reports]", "backends: [be_reports, be_reports]", "services[0].shed[0].backends[1]", "each backend of an entry stands in it once"),
    ("nothing to shed", "backends: [be_reports]", "backends: []", "services[0].shed[0].backends", "must have at least 1 item(s)"),
    ("unknown condition", "when: [moving, degraded, alone]", "when: [moveing]", "services[0].shed[0].when[0] = 'moveing'", 'must be one of moving, degraded, alone; did you mean "moving"?'),
    ("no quiet time", "calm_s: 5", "calm_s: 0", "services[0].shed[0].calm_s = 0", "must be greater than 0"),
    ("database of two services", "address: 10.2.0.20:3306", "address: 10.2.0.20:5432", "services[0].databases[1].voters.dc2.address = '10.2.0.20:5432'", "a database belongs to one service only; services[0].databases[0].voters.dc2.address"),
    ("even number of voters", "          witness:\n            directory: /var/lib/tricast/keeper/ledger\n            agent: 10.3.0.1\n            credential_file: /etc/tricast/secrets/voter_witness\n", "", "services[0].databases[0].voters", "has 2 voter(s); durability quorum needs an odd number, 3 or more"),
    ("voter of no site", "          witness:\n            directory", "          witnes:\n            directory", "services[0].databases[0].voters.witnes", 'must be one of the sites: dc1, dc2, witness; did you mean "witness"?'),
    ("keeper without directory", "            directory: /var/lib/tricast/keeper/ledger\n", "", "services[0].databases[0].voters.witness.directory", "is required for a keeper of kind postgres"),
    ("keeper directory for mariadb", "            address: 10.3.0.1:3306\n", "            directory: /x\n", "services[0].databases[1].voters.witness.address", "is required for a keeper of kind mariadb"),
    ("voter without credential", "            credential_file: /etc/tricast/secrets/voter_dc2\n", "", "services[0].databases[0].voters.dc2", "each voter has its own credential"),
    ("voter without quarantine", "            rejoin_file: /etc/tricast/secrets/rejoin_dc2\n", "", "services[0].databases[0].voters.dc2", "needs rejoin_file or rejoin_env"),
    ("quarantine is no quarantine", "rejoin_file: /etc/tricast/secrets/rejoin_dc2", "rejoin_file: /etc/tricast/secrets/voter_dc2", "services[0].databases[0].voters.dc2.rejoin_file", "must differ from credential_file"),
    ("secret typed into the file", "        password_file: /etc/tricast/secrets/database", "        password: hunter2", "services[0].databases[0].password = (hidden)", "use password_file or password_env"),
    ("quorum without database", "    durability: lease", "    durability: quorum", "services[1].durability = 'quorum'", "quorum needs a database"),
    ("relative path", "key_file: /etc/tricast/secrets/heartbeat", "key_file: secrets/heartbeat", "heartbeat.key_file = 'secrets/heartbeat'", "must be an absolute path"),
    ("agents without ssh", "ssh:\n  user: root\n  key_file: /etc/tricast/secrets/ssh_key\n  known_hosts_file: /etc/tricast/secrets/known_hosts\n", "", "ssh", "is required: the host agents at 10.1.0.20"),
    ("probe without target", "        target: any\n", "", "services[0].probes[1]", "needs either target (the same everywhere) or targets"),
    ("exec probe without argv", "        kind: bgp\n        target: any", "        kind: exec", "services[0].probes[1].argv", "needs argv, a list that begins with an absolute path"),
    ("probe target of another kind", "        kind: bgp\n        target: any", "        kind: tcp\n        target: any", "services[0].probes[1].target = 'any'", "must be host:port"),
    ("unknown probe option", "        target: any", "        target: any\n        options: {expekt: x}", "services[0].probes[1].options.expekt", "a probe of kind bgp has the options: none"),
    ("bad client account", "clients: [wallet]", "clients: [\"wal let\"]", "services[0].databases[0].clients[0] = 'wal let'", "must be the name of an account"),
    ("suspicion too quick", "timings:", "timings:\n  suspect_after_s: 0.2", "timings.suspect_after_s = 0.2", "must be at least 3 * heartbeat_s = 0.3"),
    ("grace too short", "  controller_grace_s: 20", "  controller_grace_s: 0.5", "timings.controller_grace_s = 0.5", "must be greater than suspect_after_s = 0.5"),
    ("permit too short", "timings:", "timings:\n  permit_s: 0.4", "timings.permit_s = 0.4", "must be greater than 2 * tick_s + observe_deadline_s = 0.7"),
    ("report lease too short", "timings:", "timings:\n  report_lease_s: 4", "timings.report_lease_s = 4", "must be greater than 3 * report_s = 5.4"),
    ("lease too short", "timings:", "timings:\n  lease_s: 2.2", "timings.lease_s = 2.2", "must be at least lease_margin_s + 2 * lease_renew_s + etcd.deadline_s = 2.5"),
    ("lease margin too small", "timings:", "timings:\n  lease_margin_s: 0.1", "timings.lease_margin_s = 0.1", "must be at least 2 * tick_s = 0.5"),
    ("flap window too short", "timings:", "timings:\n  flap_window_s: 5", "timings.flap_window_s = 5", "must be 0 (off: every move is automatic) or greater than controller_grace_s = 20"),
    ("endless alias", "cluster: tricast", "cluster: &a [*a]", "(whole file)", "unfolds without end"),
    ("tag", "cluster: tricast", "cluster: !!python/name:os.system x", "cluster", "has the tag"),
    ("not YAML", "cluster: tricast", "cluster: [", "(whole file)", "is not YAML"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "thing", "sentence"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_message_names_line_key_value_and_what_is_allowed(
    old: str, new: str, thing: str, sentence: str
) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    found = inspect_text(text, "tricast.yml")
    rendered = [problem.render() for problem in found.problems]
    matching = [p for p in found.problems if thing in p.render() and sentence in p.render()]
    assert matching, rendered
    assert matching[0].render().startswith("tricast.yml:")
    # Where the wrong value was typed in, the line is one of those that were typed.
    value = (matching[0].value or "").strip("'")
    first = GOOD[: GOOD.index(old)].count("\n") + 1
    if value and value in new:
        assert first <= matching[0].line <= first + new.count("\n")
    assert 1 <= matching[0].line <= len(text.splitlines())


def test_there_are_many_kinds() -> None:
    assert len({case[0] for case in CASES}) == len(CASES) >= 25


def test_all_problems_come_at_once() -> None:
    text = (
        GOOD.replace("profile: fast", "profile: fats")
        .replace("weight: 90", "weight: lots")
        .replace("    holder: dc2", "    holder: dc3")
        .replace("heartbeat:\n", "heartbeat:\n  prt: 7801\n")
        .replace("cluster: tricast", "cluster: tricast\ncluster: tricast")
    )
    found = inspect_text(text, "tricast.yml")
    assert [problem.key for problem in found.problems] == [
        "cluster",
        "profile",
        "sites.dc2.weight",
        "heartbeat.prt",
        "services[1].holder",
    ]
    assert [p.line for p in found.problems] == sorted(p.line for p in found.problems)


def test_a_wrong_value_is_reported_once() -> None:
    text = GOOD.replace("10.1.0.11:8080", "10.1.0.11", 1)
    found = inspect_text(text, "tricast.yml")
    assert [problem.key for problem in found.problems] == ["services[0].apps.dc1[0].address"]
    assert found.cluster is None


def test_a_secret_in_the_wrong_place_is_never_shown() -> None:
    text = GOOD.replace("password_file: /etc/tricast/secrets/database", "password: hunter2", 1)
    text = text.replace("heartbeat:\n", "heartbeat:\n  token: {deep: [hunter2]}\n")
    found = inspect_text(text, "tricast.yml")
    assert len(found.problems) >= 2
    assert "hunter2" not in "\n".join(problem.render() for problem in found.problems)
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "[]", "7", "a: b: c", "\x00", "- a\n- b", "a: *nobody", "{" * 4000, "? [a]\n: b"],
)
def test_what_is_no_cluster_is_refused_with_a_sentence(text: str) -> None:
    found = inspect_text(text, "tricast.yml")
    assert found.problems
    assert all(problem.sentence for problem in found.problems)
    assert all(problem.file == "tricast.yml" for problem in found.problems)


def test_more_services_than_a_heartbeat_can_tell_of_are_refused() -> None:
    lobby = GOOD[GOOD.index("  - name: lobby\n") :].split("\n\n")[0]
    many = "\n".join(lobby.replace("lobby", f"lobby-{number}") for number in range(60))
    found = inspect_text(GOOD.replace(lobby, many), "tricast.yml")
    (problem,) = (problem for problem in found.problems if problem.key == "services")
    assert "services = 61: are too many" in problem.render()


def test_billion_laughs_end_at_once() -> None:
    text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for first, second in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{second}: &{second} [{','.join([f'*{first}'] * 10)}]\n"
    found = inspect_text(text, "tricast.yml")
    assert "unfolds without end" in found.problems[0].sentence


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.yml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "latin.yml").write_bytes(b"cluster: \xe9")
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 9"):
        load(tmp_path / "latin.yml")
