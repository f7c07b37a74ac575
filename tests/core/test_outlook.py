"""What people are told of the guarantee: a vote counts only while its primary sees the voter."""

from dataclasses import replace

from controller.core import outlook
from controller.core.model import (
    Epoch,
    Follower,
    Role,
    ServiceReport,
    VoterState,
)
from controller.core.view import OtherSite, View
from tests.core.views import (
    DC1,
    DC2,
    END,
    HERE,
    LEDGER,
    RECORD,
    WALLET,
    WITNESS,
    dc2_view,
    report_of_dc1,
)


def dc1_view(*followers: Follower) -> View:
    """dc1 is primary; the witness has reported a moment ago that its keeper streams."""
    keeper = VoterState(
        database=LEDGER,
        promised=Epoch(2),
        sealed=False,
        position=END,
        following=DC1,
        following_epoch=Epoch(2),
        streaming=True,
    )
    witness = ServiceReport(
        service=WALLET,
        role=Role.WITNESS,
        epoch=Epoch(2),
        stance=None,
        rule=0,
        reason="",
        healthy=True,
        eligible=False,
        voters=(keeper,),
    )
    view = dc2_view()
    state = replace(report_of_dc1().databases[0].state, followers=followers)
    return replace(
        view,
        me=DC1,
        record=RECORD,
        own=replace(view.own, databases=(state,)),
        others={
            DC2: OtherSite(report=None, seen=HERE),
            WITNESS: OtherSite(report=witness, report_age_s=0.5, seen=HERE),
        },
    )


def test_a_keeper_that_the_primary_does_not_see_does_not_vote() -> None:
    seen = Follower(name="witness", site=WITNESS, streaming=True, flushed=END, quarantined=False)
    assert outlook.live_voters(dc1_view(seen), LEDGER) == {DC1, WITNESS}
    assert outlook.live_voters(dc1_view(), LEDGER) == {DC1}
    assert "commits wait" in outlook.guarantee(dc1_view())
    hidden = replace(seen, quarantined=True)
    assert outlook.live_voters(dc1_view(hidden), LEDGER) == {DC1}
