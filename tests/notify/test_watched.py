"""What the daemon answers, as the situation that events are derived from."""

from controller.daemon.notify import Watched
from controller.notify.event import EventKind
from controller.notify.situation import Situation
from controller.web.audit_schema import AuditView
from controller.web.metrics import Metrics
from controller.web.notify_schema import NotificationsView, TargetView
from controller.web.schema import RequestView, ServiceView, Status, StoreView
from tests.notify.situations import Story
from tests.web.sample import DC1, STEADY, TAKING_OVER, WALLET, Told

SITES = ("dc1", "dc2")


async def looked(source: Told) -> Situation:
    watched = Watched(
        source=source, data_sites=SITES, fresh_s=5.0, silent_s=0.5, now=lambda: 0.0
    )  # fmt: skip
    return await watched.situation()


async def test_a_steady_cluster_is_no_news() -> None:
    situation = await looked(Told(STEADY))
    story = Story(situation)
    assert story.at(situation, 100.0) == []
    assert situation.heard == {"dc2": True, "witness": True}
    wallet = situation.services[0]
    assert (wallet.epoch, wallet.holder, wallet.kind) == (7, "dc1", "failover")
    assert {(copy.site, copy.database, copy.votes) for copy in wallet.copies if copy.votes} == {
        (site, database, True) for site in ("dc2", "witness") for database in ("ledger", "journal")
    }


async def test_a_takeover_is_told_by_the_new_holder_and_what_is_lost_with_it() -> None:
    before = STEADY.model_copy(update={"site": "dc2"})
    story = Story(await looked(Told(before)))
    taking = await looked(Told(TAKING_OVER))
    [begun] = story.at(taking)
    assert (begun.kind, begun.teller, begun.epoch) == (EventKind.ROLE_CHANGE_BEGUN, "dc2", 8)
    later = {event.kind for event in story.at(taking, 11.0)}
    assert later == {EventKind.SITE_LOST, EventKind.VOTER_LOST}


async def test_a_site_that_learns_by_an_operators_word_is_not_missed() -> None:
    assert WALLET.record is not None
    record = WALLET.record.model_copy(update={"learners": ("dc2",)})
    still = [copy.model_copy(update={"streaming": False}) for copy in WALLET.sites[1].databases]
    dc2 = WALLET.sites[1].model_copy(update={"databases": tuple(still)})
    sites = (WALLET.sites[0], dc2, *WALLET.sites[2:])
    learning = WALLET.model_copy(update={"record": record, "sites": sites})
    story = Story(await looked(Told(STEADY)))
    assert story.at(await looked(Told(of(learning))), 100.0) == []
    assert story.at(await looked(Told(of(learning))), 100.0) == []
    lost = WALLET.model_copy(update={"sites": sites})
    story.at(await looked(Told(of(lost))), 1.0)
    told = story.at(await looked(Told(of(lost))), 11.0)
    assert {event.kind for event in told} == {EventKind.VOTER_LOST}


def of(service: ServiceView) -> Status:
    return STEADY.model_copy(update={"services": (service,)})


async def test_refusals_requests_audit_and_store_are_seen() -> None:
    own = DC1.model_copy(
        update={"evidence": {"refused 1": "behind", "x": "y"}, "stance": "isolated"}
    )
    service = WALLET.model_copy(update={"paused": "work", "sites": (own, *WALLET.sites[1:])})
    status = STEADY.model_copy(
        update={
            "services": (service,),
            "store": StoreView(ok=False, detail="no leader"),
            "audit": AuditView(ok=False, alarms=("broken",)),
        }
    )
    source = Told(status)
    source.asked = (
        RequestView(
            number=2, kind="switchover", service="wallet", asked_by="alice", asked_at="dc1",
            at="now", state="open", approvals_needed=2, approved_by=("bob",),
        ),
    )  # fmt: skip
    situation = await looked(source)
    assert situation.services[0].refused == ("behind",)
    story = Story(await looked(Told(STEADY)))
    first = story.kinds(situation)
    assert first == [EventKind.APPROVAL_WANTED, EventKind.PAUSE_SET]
    assert set(story.kinds(situation, 10.0)) == {
        EventKind.STORE_LOST,
        EventKind.AUDIT_TROUBLE,
        EventKind.SITE_ISOLATED,
        EventKind.TAKEOVER_REFUSED,
    }


async def test_a_service_that_was_not_looked_at_yet_is_not_known() -> None:
    unseen = WALLET.model_copy(update={"sites": (), "paused": ""})
    situation = await looked(Told(STEADY.model_copy(update={"services": (unseen,)})))
    assert situation.services[0].epoch == 0
    assert situation.heard == {}


def test_counts_are_metrics_that_only_rise() -> None:
    metrics, target = Metrics(), TargetView(name="ops", where="x", sent=3, waiting=2, failing_s=9.0)

    def shown(target: TargetView) -> str:
        view = NotificationsView(targets=(target,))
        metrics.apply(STEADY.model_copy(update={"notifications": view}))
        return metrics.render().decode()

    assert 'tricast_notifications_total{outcome="sent",target="ops"} 3.0' in shown(target)
    text = shown(target.model_copy(update={"sent": 5, "dropped": 1}))
    assert 'tricast_notifications_total{outcome="sent",target="ops"} 5.0' in text
    assert 'tricast_notifications_total{outcome="dropped",target="ops"} 1.0' in text
    assert 'tricast_notifications_waiting{target="ops"} 2.0' in text
    assert 'tricast_notifications_failing_seconds{target="ops"} 9.0' in text
