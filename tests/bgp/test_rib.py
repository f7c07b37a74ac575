from hypothesis import given
from hypothesis import strategies as st

from bgp.policy import Policy, Stance
from bgp.rib import BATCH, Announce, RouteCommand, Withdraw, fewest
from bgp.route import Attributes, Prefix

POLICY = Policy(local_as=64510)
SAID = [POLICY.attributes(stance) for stance in Stance]
PREFIXES = [Prefix(f"198.51.{n}.0/24") for n in range(4)] + [Prefix("2001:db8::/48")]
NEIGHBORS = ["203.0.113.1", "203.0.113.5", "203.0.113.9"]

Routes = dict[Prefix, Attributes | None]
ROUTES = st.dictionaries(st.sampled_from(PREFIXES), st.sampled_from(SAID))
TABLES = st.dictionaries(st.sampled_from(NEIGHBORS), ROUTES)


def applied(told: dict[str, Routes], commands: tuple[RouteCommand, ...]) -> dict[str, Routes]:
    after = {neighbor: dict(routes) for neighbor, routes in told.items()}
    for command in commands:
        said = command.attributes if isinstance(command, Announce) else None
        for neighbor in command.neighbors:
            after.setdefault(neighbor, {}).update(dict.fromkeys(command.prefixes, said))
    return after


@given(wanted=TABLES, told=TABLES)
def test_the_commands_make_what_is_wanted_and_touch_nothing_else(
    wanted: dict[str, Routes], told: dict[str, Routes]
) -> None:
    after = applied(told, fewest(wanted, told))
    for neighbor in {*wanted, *told}:
        expected = {**told.get(neighbor, {}), **wanted.get(neighbor, {})}
        assert after.get(neighbor, {}) == expected
    assert fewest(wanted, after) == ()


@given(wanted=TABLES, told=TABLES)
def test_no_route_is_said_twice_and_nothing_that_holds_is_said(
    wanted: dict[str, Routes], told: dict[str, Routes]
) -> None:
    said = [
        (neighbor, prefix)
        for command in fewest(wanted, told)
        for neighbor in command.neighbors
        for prefix in command.prefixes
    ]
    assert len(said) == len(set(said))
    for neighbor, prefix in said:
        known = told.get(neighbor, {})
        assert prefix not in known or known[prefix] != wanted[neighbor][prefix]


@given(wanted=TABLES, told=TABLES)
def test_no_two_commands_could_have_been_one(
    wanted: dict[str, Routes], told: dict[str, Routes]
) -> None:
    commands = fewest(wanted, told)
    bodies = [
        (command.attributes if isinstance(command, Announce) else None, command.prefixes[0].family)
        for command in commands
    ]
    across = list(zip(bodies, (command.neighbors for command in commands), strict=True))
    along = list(zip(bodies, (command.prefixes for command in commands), strict=True))
    assert len(set(across)) == len(across)
    assert len(set(along)) == len(along)


@given(ROUTES)
def test_what_is_said_to_everybody_is_one_command_a_wish_and_family(routes: Routes) -> None:
    commands = fewest(dict.fromkeys(NEIGHBORS, routes), {})
    assert len(commands) == len({(said, prefix.family) for prefix, said in routes.items()})


def test_neighbors_and_prefixes_that_are_told_the_same_share_a_command() -> None:
    preferred = POLICY.attributes(Stance.PREFERRED)
    routes: Routes = dict.fromkeys(PREFIXES[:3], preferred)
    (command,) = fewest(dict.fromkeys(NEIGHBORS, routes), {})
    assert isinstance(command, Announce)
    assert command.neighbors == tuple(NEIGHBORS)
    assert command.prefixes == tuple(PREFIXES[:3])


def test_better_paths_are_said_first_and_withdrawals_last() -> None:
    order = (Stance.WITHDRAWN, Stance.ISOLATED, Stance.OVERRIDE, Stance.BACKUP)
    wanted: Routes = {p: POLICY.attributes(s) for p, s in zip(PREFIXES, order, strict=False)}
    commands = fewest({NEIGHBORS[0]: wanted}, {})
    lengths = [len(c.attributes.as_path.asns) for c in commands if isinstance(c, Announce)]
    assert lengths == [1, 4, 6]
    assert isinstance(commands[-1], Withdraw)


def test_what_is_unknown_is_withdrawn_even_if_nothing_is_wanted() -> None:
    assert fewest({"203.0.113.1": {PREFIXES[0]: None}}, {"203.0.113.1": {}}) == (
        Withdraw(("203.0.113.1",), (PREFIXES[0],)),
    )
    assert fewest({"203.0.113.1": {PREFIXES[0]: None}}, {"203.0.113.1": {PREFIXES[0]: None}}) == ()


def test_commands_stay_short() -> None:
    many: Routes = {
        Prefix(f"10.{n // 256}.{n % 256}.0/24"): POLICY.attributes(Stance.BACKUP)
        for n in range(2 * BATCH + 1)
    }
    assert [len(c.prefixes) for c in fewest({"203.0.113.1": many}, {})] == [BATCH, BATCH, 1]
