"""A view with something turned, and the two other situations to start from: serving, climbing."""

from dataclasses import replace
from typing import Any

from bgp.policy import Stance
from controller.core.model import (
    DatabaseReport,
    DatabaseState,
    Epoch,
    Follower,
    Role,
    Seen,
    ServiceReport,
    SiteName,
    VoterState,
)
from controller.core.position import LogFormat, Position
from controller.core.view import OtherSite, View
from tests.core.views import (
    DC1,
    DC2,
    END,
    GONE,
    HERE,
    LEDGER,
    RECORD,
    WALLET,
    WITNESS,
    dc2_view,
    standby_state,
)

EARLIER = Position(epoch=2, format=LogFormat.LSN, text="0/3000000")
LATER = Position(epoch=2, format=LogFormat.LSN, text="0/4000000")


def own(view: View, **changes: Any) -> View:
    """Something of this site itself."""
    return replace(view, own=replace(view.own, **changes))


def spec(view: View, **changes: Any) -> View:
    """Something of the configuration."""
    return replace(view, spec=replace(view.spec, **changes))


def timings(view: View, **changes: Any) -> View:
    """Something of the timings."""
    return spec(view, timings=replace(view.spec.timings, **changes))


def record(view: View, **changes: Any) -> View:
    """Something of the epoch record."""
    assert view.record is not None
    return replace(view, record=replace(view.record, **changes))


def state(view: View, **changes: Any) -> View:
    """Something of this site's first database."""
    first, *rest = view.own.databases
    return own(view, databases=(replace(first, **changes), *rest))


def other(view: View, site: SiteName, **changes: Any) -> View:
    """Something of what is known of another site."""
    return replace(view, others={**view.others, site: replace(view.others[site], **changes)})


def report(view: View, site: SiteName, **changes: Any) -> View:
    """Something of what another site says."""
    found = view.others[site].report
    assert found is not None
    return other(view, site, report=replace(found, **changes))


def copy(view: View, site: SiteName, **changes: Any) -> View:
    """Something of another data site's copy as it reports it."""
    found = view.others[site].report
    assert found is not None
    first, *rest = found.databases
    return report(
        view,
        site,
        databases=(replace(first, state=replace(first.state, **changes)), *rest),
    )


def voter(view: View, site: SiteName, **changes: Any) -> View:
    """Something of another site's vote, a data site's or a witness's."""
    found = view.others[site].report
    assert found is not None
    if found.databases:
        first, *rest = found.databases
        vote = replace(first.voter, **changes)
        return report(view, site, databases=(replace(first, voter=vote), *rest))
    return report(view, site, voters=(replace(found.voters[0], **changes), *found.voters[1:]))


def silent(view: View, site: SiteName = DC1) -> View:
    """Neither this site nor the witness has had a sign of life of `site`."""
    return other(view, site, seen=GONE, seen_by={WITNESS: GONE})


def witness_report(**changes: Any) -> ServiceReport:
    """The witness's keeper follows dc2, or as it is turned."""
    vote = VoterState(
        database=LEDGER,
        promised=Epoch(2),
        sealed=False,
        position=END,
        following=DC2,
        following_epoch=Epoch(2),
        streaming=True,
    )
    return ServiceReport(
        service=WALLET,
        role=Role.WITNESS,
        epoch=Epoch(2),
        stance=None,
        rule=0,
        reason="",
        healthy=True,
        eligible=False,
        voters=(replace(vote, **changes),),
    )


def standby_report(**changes: Any) -> ServiceReport:
    """dc1 follows dc2 as a voter; `changes` are of its copy."""
    copy_of_dc1 = replace(standby_state(), upstream=DC2, **changes)
    vote = VoterState(
        database=LEDGER,
        promised=Epoch(2),
        sealed=False,
        position=copy_of_dc1.position,
        following=DC2,
        following_epoch=Epoch(2),
        streaming=copy_of_dc1.streaming,
    )
    return ServiceReport(
        service=WALLET,
        role=Role.STANDBY,
        epoch=Epoch(2),
        stance=Stance.BACKUP,
        rule=420,
        reason="",
        healthy=True,
        eligible=True,
        databases=(DatabaseReport(state=copy_of_dc1, voter=vote),),
    )


def follower(site: SiteName, **changes: Any) -> Follower:
    """`site` streams from here as a voter."""
    whole = Follower(name=site, site=site, streaming=True, flushed=END, quarantined=False)
    return replace(whole, **changes)


def primary_state() -> DatabaseState:
    """dc2's copy, open, with both voters."""
    return replace(
        standby_state(),
        writable=True,
        gate_open=True,
        upstream=None,
        receiving=False,
        streaming=False,
        admitted=frozenset({DC1, WITNESS}),
        followers=(follower(DC1), follower(WITNESS)),
    )


def serving() -> View:
    """dc2 holds epoch 2 and serves; dc1 and the witness's keeper follow it. Nothing is to do."""
    view = dc2_view(
        record=replace(RECORD, holder=DC2, kind="failover", previous=DC1),
        stance=Stance.PREFERRED,
        directed="dc2",
    )
    view = own(
        view,
        databases=(primary_state(),),
        fenced=Epoch(2),
        commit_age_s={LEDGER: 0.1},
        canary_age_s=0.2,
    )
    others = {
        DC1: OtherSite(
            report=standby_report(), report_age_s=0.5, seen=HERE, seen_by={WITNESS: HERE}
        ),
        WITNESS: OtherSite(report=witness_report(), report_age_s=0.5, seen=HERE),
    }
    return replace(view, others=others)


def climbing() -> View:
    """dc1 died; dc2 has raised epoch 3, is sealed itself, and the witness's keeper is sealed."""
    view = silent(dc2_view())
    view = record(view, epoch=Epoch(3), holder=DC2, kind="failover", previous=DC1, revision=9)
    view = state(view, upstream=None, receiving=False, streaming=False)
    view = own(view, promised=Epoch(3), fenced=Epoch(3), stance_epoch=Epoch(3))
    sealed = witness_report(
        promised=Epoch(3), sealed=True, following=None, following_epoch=Epoch(0), streaming=False
    )
    view = other(view, WITNESS, report=replace(sealed, epoch=Epoch(3)), report_age_s=0.1)
    return replace(view, raised_here=True, record_unchanged_s=0.1, changed_s=0.1)


def outrun() -> View:
    """dc1, sealed as dc2 is, holds more."""
    view = report(serving(), DC1, epoch=Epoch(3))
    view = voter(
        view,
        DC1,
        promised=Epoch(3),
        sealed=True,
        following=None,
        following_epoch=Epoch(0),
        position=LATER,
    )
    return replace(climbing(), others={**climbing().others, DC1: view.others[DC1]})


def at_rest(seen: Seen) -> View:
    """dc2 stands by behind dc1, which is seen so by this site and by the witness."""
    return dc2_view(seen=seen, told=seen)
