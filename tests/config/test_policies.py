"""Four eyes in the cluster file: what is refused, with the key and the way out."""

import pytest

from controller.config import PolicyConf, Verb, inspect_text
from controller.core.requests import Kind
from tests.config.unguarded import LAB


def with_requests(requests: str, service: str = "") -> str:
    text = LAB.replace("\nheartbeat:", f"\nrequests: {{{requests}}}\nheartbeat:")
    assert text != LAB
    return text.replace("    durability: quorum", f"    durability: quorum\n{service}")


def problems(requests: str, service: str = "") -> list[str]:
    found = inspect_text(with_requests(requests, service), "f").problems
    return [problem.render().partition(": ")[2] for problem in found]


def test_a_policy_in_full_is_taken_as_it_is() -> None:
    text = with_requests(
        "expires_s: 90, groups: {dba: [ada, grace], oncall: [j.doe@x, '%ops']}, policies: {"
        "failover: {approvals: 2, groups: [dba], proposers: [oncall], expires_s: 300, "
        "break_glass: true, break_glass_groups: [oncall]}, drain: {approvals: 1}}",
        "    policies: {resume: {approvals: 1}}\n",
    )
    found = inspect_text(text, "f")
    assert found.problems == ()
    assert found.cluster is not None
    requests = found.cluster.requests
    assert requests.groups == {"dba": ("ada", "grace"), "oncall": ("j.doe@x", "%ops")}
    assert requests.policies[Verb.FAILOVER].break_glass_groups == ("oncall",)
    assert found.cluster.service("wallet").policies == {Verb.RESUME: PolicyConf(approvals=1)}
    assert found.cluster.service("lobby").policies == {}


def test_the_short_form_stays() -> None:
    found = inspect_text(with_requests("approvals: {switchover: 1, force-single: 1}"), "f")
    assert found.problems == ()
    assert found.cluster is not None
    assert found.cluster.requests.approvals == {Kind.SWITCHOVER: 1, Kind.FORCE_SINGLE: 1}


GROUPS = "groups: {dba: [ada, grace], lead: [ada]}"


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ("approvals: {switchover: 10}", "requests.approvals.switchover = 10: must be a number of"),
        (
            "approvals: {drain: 1}, policies: {drain: {approvals: 1}}",
            "requests.approvals.drain = 1: stands in requests.policies.drain too: leave one",
        ),
        ("policies: {shout: {approvals: 1}}", "requests.policies.shout = 'shout': must be one of"),
        ("policies: {switchover: {approvals: 10}}", "approvals = 10: must be at most 9"),
        ("policies: {switchover: {aprovals: 1}}", 'did you mean "approvals"?'),
        (
            f"{GROUPS}, policies: {{failover: {{approvals: 1, groups: [dbas]}}}}",
            "requests.policies.failover.groups[0] = 'dbas': must be one of requests.groups: "
            'dba, lead; did you mean "dba"?',
        ),
        (
            "policies: {failover: {approvals: 1, proposers: [dba]}}",
            "proposers[0] = 'dba': must be one of requests.groups: none is defined",
        ),
        (
            f"{GROUPS}, policies: {{ack: {{approvals: 1, break_glass: true,"
            " break_glass_groups: [x]}}",
            "requests.policies.ack.break_glass_groups[0] = 'x'",
        ),
        ("groups: {dba: []}", "requests.groups.dba: has nobody in it"),
        ("groups: {dba: [ada, ada]}", "requests.groups.dba[1] = 'ada': stands twice in the group"),
        (
            "groups: {dba: [ada], lead: [Ada]}",
            "requests.groups.lead[0] = 'Ada': is spelled 'ada' elsewhere: four eyes compare names",
        ),
        ("groups: {dba: ['a da']}", "requests.groups.dba[0] = 'a da': must be a person"),
        (
            f"{GROUPS}, policies: {{failover: {{groups: [dba]}}}}",
            "requests.policies.failover.groups: has no effect while approvals is 0",
        ),
        (
            f"{GROUPS}, policies: {{failover: {{approvals: 1, break_glass_groups: [dba]}}}}",
            "break_glass_groups: has no effect without break_glass: true",
        ),
        (
            "policies: {failover: {break_glass: true}}",
            "break_glass = true: has no effect: nothing is asked that could be passed over",
        ),
        (
            f"{GROUPS}, policies: {{failover: {{approvals: 3, groups: [dba]}}}}",
            "failover.approvals = 3: can never be reached: dba has 2 person(s); add persons",
        ),
        (
            f"{GROUPS}, policies: {{failover: {{approvals: 2, groups: [dba, lead],"
            " proposers: [dba]}}",
            "approvals = 2: can never be reached: dba, lead have 1 person(s) beside who asks",
        ),
        (
            f"{GROUPS}, policies: {{ack: {{approvals: 1, groups: [lead], proposers: [lead]}}}}",
            "can never be reached: lead has 0 person(s) beside who asks",
        ),
    ],
)
def test_what_is_refused(requests: str, said: str) -> None:
    found = problems(requests)
    assert any(said in problem for problem in found), found


@pytest.mark.parametrize(
    "requests",
    [
        f"{GROUPS}, policies: {{ack: {{approvals: 1, groups: [lead], proposers: [dba]}}}}",
        "groups: {dba: ['%dba']}, policies: {ack: {approvals: 4, groups: [dba]}}",
        f"{GROUPS}, policies: {{ack: {{proposers: [lead], break_glass: true}}}}",
    ],
)
def test_what_somebody_can_satisfy_is_taken(requests: str) -> None:
    assert problems(requests) == []


@pytest.mark.parametrize("verb", ["drain", "undrain"])
def test_a_drain_is_of_a_site(verb: str) -> None:
    found = problems("expires_s: 120", f"    policies: {{{verb}: {{approvals: 1}}}}\n")
    assert found == [
        f"services[0].policies.{verb}: is about a whole site, not about wallet: put it under "
        "requests.policies"
    ]


def warned(requests: str, service: str = "") -> list[str]:
    found = inspect_text(with_requests(requests, service), "f")
    assert found.problems == ()
    return [w.sentence for w in found.warnings if "moves it too" in w.sentence]


def test_a_way_round_a_switchover_s_policy_is_a_warning() -> None:
    found = warned("approvals: {switchover: 1, drain: 1, fence: 1}")
    assert found == [
        f"switchover of {name} needs 1 approval(s) and failover fewer, which moves it too: see "
        "requests.policies.failover"
        for name in ("wallet", "lobby")
    ]
    assert warned("approvals: {switchover: 1, failover: 1, drain: 2, fence: 1}") == []
    own = "    policies: {switchover: {approvals: 1}, failover: {approvals: 1}}\n"
    assert warned("expires_s: 120", own) == [
        f"switchover of wallet needs 1 approval(s) and {verb} fewer, which moves it too: see "
        f"requests.policies.{verb}"
        for verb in ("drain", "fence")
    ]
