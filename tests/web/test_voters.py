"""Asking that a site votes no more, or again: what is refused and said, and who votes now."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controller.config import PolicyConf
from controller.core.model import Durability, SiteName
from controller.core.requests import Kind
from controller.core.view import View
from controller.daemon.voting import voters_view, voting
from controller.web.app import build_app
from controller.web.schema import Ask, Verdict
from controller.web.serve import serve
from controller.web.source import NotAsked
from controller.web.voters_schema import Voters
from tests.core.turned import follower, other, record, serving, spec, state
from tests.core.views import DC1, DC2, GONE, WALLET, WITNESS
from tests.core.wishes import wish
from tests.web.eyes import ADA, BOB, CAROL, ONE_DBA, office
from tests.web.office import Office
from tests.web.sample import Told
from tests.web.test_requests import PATH, asked, client

DEMOTE = {"kind": "demote-voter", "target": "witness", "reason": "new disk"}
PROMOTE = {"kind": "promote-voter", "target": "witness"}
DC3, WITNESS2 = SiteName("dc3"), SiteName("witness2")
BEGINS = "{} counts no more for commits of wallet, nor for a takeover: each commit then needs "
UNKNOWN = "'dc9' is no site of wallet; there are dc1, dc2, witness"


def learning(view: View, site: SiteName = WITNESS) -> View:
    """The record lets `site` only learn, and the primary lets it in no more."""
    admitted = frozenset({DC1, WITNESS}) - {site}
    view = state(view, admitted=admitted, followers=tuple(follower(each) for each in admitted))
    return record(view, learners=(site,))


# --- what is asked -------------------------------------------------------------------------------


async def test_a_demotion_stands_with_what_each_commit_then_needs(tmp_path: Path) -> None:
    there = Office(serving(), tmp_path)
    async with client(there, tmp_path) as daemon:
        code, plan = await daemon.post(PATH, **DEMOTE, dry=True)
        assert code == 200
        assert plan["request"]["statement"] == (
            "witness counts no more for commits of wallet, nor for a takeover: each commit then "
            "needs dc1 and dc2, and waits when one of them is missing."
        )
        assert there.records.requests.newest(WALLET) is None
        code, told = await daemon.post(PATH, **DEMOTE, plan=plan["request"]["plan"])
        assert (code, told["request"]["state"], told["request"]["target"]) == (200, "open", WITNESS)
        code, again = await daemon.post(PATH, kind="switchover", target="dc1")
        assert code == 409
        assert "demote-voter of witness asked by" in again["error"]
        code, ended = await daemon.post(f"{PATH}/decline", number=1)
        assert (code, ended["request"]["state"]) == (200, "withdrawn")


async def test_a_data_site_takes_nothing_over_while_it_learns(tmp_path: Path) -> None:
    there = Office(serving(), tmp_path)
    _, told = await asked(there, tmp_path, **{**DEMOTE, "target": "dc1"}, dry=True)
    assert told["request"]["statement"] == (
        BEGINS.format("dc1") + "dc2 and witness, and waits when one of them is missing. "
        "dc1 takes nothing over while it learns."
    )


async def test_a_promotion_needs_no_reason(tmp_path: Path) -> None:
    there = Office(learning(serving()), tmp_path)
    code, told = await asked(there, tmp_path, **PROMOTE)
    assert (code, told["request"]["state"]) == (200, "open")
    assert told["request"]["statement"] == (
        "witness counts again for commits and takeovers of wallet once its copy has caught up."
    )


def wide(**changes: Any) -> View:
    """Five sites, of which the two new ones follow as the witness does."""
    view = spec(serving(), data_sites=(DC1, DC2, DC3), witnesses=(WITNESS, WITNESS2))
    more = {DC3: view.others[DC1], WITNESS2: view.others[WITNESS]}
    view = replace(view, others={**view.others, **more})
    sites = (DC1, DC3, WITNESS, WITNESS2)
    view = state(view, admitted=frozenset(sites), followers=tuple(follower(s) for s in sites))
    return record(view, **changes)


@pytest.mark.parametrize(
    ("learners", "needs"),
    [
        ((), "3 of dc1, dc2, dc3 and witness2, and waits when fewer are there."),
        ((DC3,), "all of dc1, dc2 and witness2, and waits when one is missing."),
        ((DC2, DC3), "all of dc1, dc2 and witness2, and waits when one is missing."),  # it holds
    ],
)
def test_how_many_are_left_of_how_many_that_are_needed(
    learners: tuple[SiteName, ...], needs: str
) -> None:
    request = wish(Kind.DEMOTE, target="witness", reason="x")
    found = voting(request, wide(learners=learners))
    assert found.statement == BEGINS.format("witness") + needs


@pytest.mark.parametrize(
    ("view", "order", "code", "said"),
    [
        (serving(), {"target": "dc9"}, 400, UNKNOWN),
        (serving(), {"target": ""}, 400, "'' is no site of wallet; there are dc1, dc2, witness"),
        (
            serving(),
            {**PROMOTE, "target": "dc9"},
            400,
            f"{UNKNOWN}. A new site is put into `sites` of every site's configuration first, and "
            "into the databases' own lists (PostgreSQL: synchronous_standby_names)",
        ),
        (serving(), {"reason": " "}, 400, "a demotion needs a --reason"),
        (serving(), {"service": "lobby"}, 400, "no service 'lobby'"),
        (serving(), {"target": "dc2"}, 409, "dc2 is not demoted: dc2 holds wallet: its primary"),
        (
            learning(serving()),
            {},
            409,
            "witness is not demoted: witness is a learner of wallet already",
        ),
        (serving(), PROMOTE, 409, "witness is not promoted: witness is a voter of wallet already"),
        (
            learning(serving()),
            {"target": "dc1"},
            409,
            "dc1 is not demoted: a commit of wallet needs 2 voters, and only 1 would be left; "
            "promote witness first",
        ),
        (other(serving(), DC1, seen=GONE), {}, 409, "nobody is left to acknowledge but dc2"),
        (state(serving(), gate_open=False), {}, 409, "no primary of ledger serves at dc2"),
        (spec(serving(), databases=()), {}, 409, "wallet has no database: nobody votes on its"),
        (spec(serving(), databases=()), PROMOTE, 409, "wallet has no database: nobody votes on"),
        (replace(serving(), paused="work"), {}, 409, "automation is paused: work; tricast resume"),
        (
            other(learning(serving()), WITNESS, seen=GONE),
            PROMOTE,
            409,
            "witness is not promoted: witness is not heard",
        ),
    ],
)
async def test_what_is_refused(
    tmp_path: Path, view: View, order: dict[str, Any], code: int, said: str
) -> None:
    there = Office(view, tmp_path)
    got, answer = await asked(there, tmp_path, **{**DEMOTE, **order})
    assert (got, there.records.requests.newest(WALLET)) == (code, None)
    assert said in answer["error"]


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ({"kind": "switchover", "target": "dc1"}, "is open for wallet: switchover to dc1"),
        ({"kind": "pause", "reason": "work"}, "is open for wallet: pause asked by"),
        ({**DEMOTE, "target": "dc1"}, "is open for wallet: demote-voter of dc1 asked by"),
    ],
)
async def test_not_while_another_request_is_open(
    tmp_path: Path, first: dict[str, Any], said: str
) -> None:
    there = Office(serving(), tmp_path)
    async with client(there, tmp_path) as daemon:
        assert (await daemon.post(PATH, **first))[0] == 200
        for order in (DEMOTE, PROMOTE):
            code, answer = await daemon.post(PATH, **order)
            assert code == 409
            assert said in answer["error"]


async def test_under_a_policy_it_waits_for_another_person(tmp_path: Path) -> None:
    there = office(tmp_path, demote_voter=ONE_DBA, promote_voter=PolicyConf(approvals=1))
    with pytest.raises(NotAsked, match="carol may not ask for a demotion of a voter of wallet"):
        await there.desk.ask(Ask(**DEMOTE), CAROL)  # type: ignore[arg-type]
    found = await there.desk.ask(Ask(**DEMOTE), ADA)  # type: ignore[arg-type]
    assert found.waits_for == "the approval of another person of dba"
    done = await there.desk.approve(Verdict(number=1, plan=found.plan), BOB)
    assert (done.waits_for, done.approved_by) == ("", ("bob",))


# --- who votes -----------------------------------------------------------------------------------


def rows(view: View) -> list[tuple[str, str, str, dict[str, str]]]:
    return [(s.site, s.kind, s.votes, s.counts) for s in voters_view(view).sites]


def test_everybody_votes_and_every_copy_counts() -> None:
    found = voters_view(serving())
    assert (found.service, found.holder, found.needed) == ("wallet", "dc2", 2)
    assert found.guarantee.startswith("quorum: 3 of 3 voters; survives")
    assert rows(serving()) == [
        ("dc1", "data", "voter", {"ledger": "acknowledges"}),
        ("dc2", "data", "voter", {"ledger": "primary"}),
        ("witness", "witness", "voter", {"ledger": "acknowledges"}),
    ]


def test_a_learner_does_not_count_whatever_it_receives() -> None:
    view = record(serving(), learners=(WITNESS,))  # it is still connected
    assert rows(view)[2] == ("witness", "witness", "learner", {"ledger": "no"})
    assert voters_view(learning(serving())).guarantee.startswith("quorum: 2 of 2 voters (witness")
    held = record(serving(), learners=(DC2, DC1))
    assert [row[2] for row in rows(held)] == ["learner", "voter", "voter"], "a holder votes"


def test_a_voter_that_is_not_there_does_not_count() -> None:
    view = state(serving(), followers=(follower(DC1),))
    assert rows(view)[2] == ("witness", "witness", "voter", {"ledger": "no"})
    assert rows(state(serving(), writable=False))[1][3] == {"ledger": "no"}


def test_where_nobody_votes_nothing_is_needed() -> None:
    found = voters_view(spec(serving(), databases=(), durability=Durability.LEASE))
    assert (found.needed, [site.counts for site in found.sites]) == (0, [{}, {}, {}])


def test_one_that_serves_alone_needs_its_own_copy() -> None:
    alone = replace(serving(), alone=wish(Kind.FORCE_SINGLE, target="dc2"))
    assert voters_view(alone).needed == 1


async def test_it_is_answered_to_whoever_looks(tmp_path: Path) -> None:
    there = Office(serving(), tmp_path)
    async with client(there, tmp_path) as daemon:
        for query in ("", "?service=wallet"):
            found = Voters.model_validate(await daemon.get(f"/api/v1/voters{query}"))
            assert (found.format, found.cluster, found.site) == (1, "tricast", "dc1")
            assert found.services == (voters_view(serving()),)


@pytest.mark.parametrize(
    ("desk", "query", "code", "said"),
    [
        (True, "?service=moon", 400, "there is no service 'moon'; there are wallet"),
        (False, "", 404, "there is no /api/v1/voters here"),
    ],
)
async def test_who_does_not_know_says_so(
    tmp_path: Path, desk: bool, query: str, code: int, said: str
) -> None:
    there = Office(serving(), tmp_path)
    app = build_app(there, desk=there.desk) if desk else build_app(Told(there.now))
    async with (
        serve(app, tmp_path / "s", "127.0.0.1", 0) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/api/v1/voters{query}") as answer,
    ):
        assert answer.status == code
        assert said in (await answer.json())["error"]


async def test_before_the_record_is_read_it_is_not_known(tmp_path: Path) -> None:
    there = Office(serving(), tmp_path)
    there.views[WALLET] = None
    with pytest.raises(NotAsked, match="the epoch record has not been read here yet") as found:
        await there.desk.voters("")
    assert found.value.status == 503
