import pytest

from bgp.policy import DEFAULT_SAYINGS, BadPolicy, Policy, Saying, Stance, less_attractive
from bgp.route import BadRoute, Community

POLICY = Policy(local_as=64510)
RISING = (Stance.OVERRIDE, Stance.PREFERRED, Stance.BACKUP, Stance.ISOLATED)


def lengths(policy: Policy) -> list[int]:
    found = [policy.attributes(stance) for stance in RISING]
    return [len(attributes.as_path.asns) for attributes in found if attributes]


def test_default_stances_leave_headroom() -> None:
    assert lengths(POLICY) == [1, 2, 4, 6]


def test_drained_asks_neighbors_to_look_elsewhere_and_keeps_a_route() -> None:
    drained = POLICY.attributes(Stance.DRAINED)
    assert drained is not None
    assert Community.parse("65535:0") in drained.communities
    assert len(drained.as_path.asns) == 6


def test_drained_of_its_own_still_carries_the_community() -> None:
    sayings = {**DEFAULT_SAYINGS, Stance.DRAINED: Saying.parse({"prepends": 5, "med": 900})}
    drained = Policy(local_as=64510, sayings=sayings).attributes(Stance.DRAINED)
    assert drained is not None
    assert drained.med is not None
    assert (drained.med.value, [str(c) for c in drained.communities]) == (900, ["65535:0"])


def test_withdrawn_is_no_route() -> None:
    assert POLICY.attributes(Stance.WITHDRAWN) is None


def test_only_our_own_as_is_in_any_path() -> None:
    for stance in Stance:
        attributes = POLICY.attributes(stance)
        assert attributes is None or set(attributes.as_path.asns) == {64510}


@pytest.mark.parametrize(
    ("prepends", "message"),
    [
        ((0, 0, 3, 5), "preferred must prepend more than override"),
        ((0, 3, 2, 5), "backup must prepend more than preferred"),
        ((0, 1, 5, 5), "isolated must prepend more than backup"),
        ((0, 1, 3, 6), "isolated prepends 6 times"),
        ((-1, 1, 3, 5), "override prepends -1 times"),
    ],
)
def test_stances_that_cannot_win_over_each_other_are_refused(
    prepends: tuple[int, ...], message: str
) -> None:
    sayings = {s: Saying(prepends=n) for s, n in zip(RISING, prepends, strict=True)}
    with pytest.raises(BadPolicy, match=message):
        Policy(local_as=64510, sayings=sayings)


def test_missing_and_impossible_stances_are_refused() -> None:
    missing: dict[Stance, Saying] = {
        s: v for s, v in DEFAULT_SAYINGS.items() if s is not Stance.BACKUP
    }
    with pytest.raises(BadPolicy, match="backup is not configured"):
        Policy(local_as=64510, sayings=missing)
    extra = dict(DEFAULT_SAYINGS)
    extra[Stance.WITHDRAWN] = Saying(prepends=5)
    with pytest.raises(BadPolicy, match="withdrawn has no attributes"):
        Policy(local_as=64510, sayings=extra)
    loud = dict(DEFAULT_SAYINGS)
    loud[Stance.DRAINED] = Saying(prepends=1)
    with pytest.raises(BadPolicy, match="drained must prepend at least"):
        Policy(local_as=64510, sayings=loud)
    with pytest.raises(BadPolicy, match="not an AS number: 0"):
        Policy(local_as=0)


def test_sayings_read_from_configuration_and_back() -> None:
    said = Saying.parse({"prepends": 3, "med": 50, "communities": ["64500:1", "64500:1:2"]})
    assert Saying.parse(said.to_plain()) == said
    assert Saying.parse(1) == Saying(prepends=1)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "1",
        {"prepends": "1"},
        {"med": 1},
        {"prepends": 1, "color": 2},
        {"prepends": 1, "communities": "64500:1"},
        {"prepends": 1, "med": True},
    ],
)
def test_sayings_of_another_shape_are_refused(value: object) -> None:
    with pytest.raises(BadPolicy):
        Saying.parse(value)


def test_sayings_hold_valid_numbers() -> None:
    with pytest.raises(BadRoute):
        Saying.parse({"prepends": 1, "med": -1})


def test_running_out_never_makes_a_site_more_attractive() -> None:
    assert less_attractive(Stance.PREFERRED, Stance.ISOLATED) is Stance.ISOLATED
    assert less_attractive(Stance.DRAINED, Stance.ISOLATED) is Stance.DRAINED
    assert less_attractive(Stance.WITHDRAWN, Stance.ISOLATED) is Stance.WITHDRAWN
