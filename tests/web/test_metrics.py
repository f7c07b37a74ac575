"""The metrics say what the status says, and the alert rules name metrics that exist."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from controller.web.app import build_app
from controller.web.metrics import Metrics, position_number
from controller.web.schema import ShedView
from controller.web.serve import serve
from tests.web.sample import STEADY, TAKING_OVER, Told
from tests.web.test_api import get

ALERTS = Path(__file__).parents[2] / "configs/prometheus/alerts.yml"


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((f"tricast_{name}", frozenset(labels.items())))


def test_a_status_becomes_gauges() -> None:
    metrics = Metrics()
    metrics.apply(STEADY)
    wallet = {"service": "wallet"}
    assert value(metrics, "epoch", **wallet) == 7
    assert value(metrics, "holder", **wallet, site="dc1") == 1
    assert value(metrics, "holder", **wallet, site="dc2") == 0
    assert value(metrics, "role", **wallet, site="dc1", role="primary") == 1
    assert value(metrics, "role", **wallet, site="dc1", role="standby") == 0
    assert value(metrics, "rule", **wallet, site="dc2") == 902
    assert value(metrics, "stance", **wallet, site="dc2", stance="backup") == 1
    assert value(metrics, "heartbeat_age_seconds", site="dc2") == 0.08
    assert value(metrics, "store_ok") == 1
    ledger = {"service": "wallet", "database": "ledger"}
    assert value(metrics, "voter_position", **ledger, site="dc1") == 0x30A6450
    assert value(metrics, "voter_promised_epoch", **ledger, site="dc2") == 7
    journal = {"service": "wallet", "database": "journal"}
    assert value(metrics, "voter_lag_bytes", **journal, site="dc2") == 4_404_019
    assert value(metrics, "voter_sealed", **journal, site="dc2") == 0


def test_a_backend_that_is_switched_off_is_one_and_an_unknown_one_is_absent() -> None:
    shed = (
        ShedView(backend="be_reports", off=True),
        ShedView(backend="be_exports", off=False),
        ShedView(backend="be_none"),
    )
    wallet = STEADY.services[0].model_copy(update={"shed": shed})
    metrics = Metrics()
    metrics.apply(STEADY.model_copy(update={"services": (wallet,)}))
    found = [value(metrics, "shed", service="wallet", backend=one.backend) for one in shed]
    assert found == [1, 0, None]


def test_what_is_no_longer_said_is_no_longer_shown() -> None:
    metrics = Metrics()
    metrics.apply(STEADY)
    assert value(metrics, "epoch", service="lobby") == 3
    metrics.apply(TAKING_OVER)
    assert value(metrics, "epoch", service="lobby") is None
    assert value(metrics, "open_change_seconds", service="wallet") == 0.42
    labels = {"service": "wallet", "database": "journal", "site": "dc2"}
    assert value(metrics, "voter_sealed", **labels) == 1


def test_counters_and_histograms_survive_a_scrape() -> None:
    metrics = Metrics()
    metrics.turned(0.004)
    metrics.turned(0.2)
    metrics.step_done("wallet", "take over", "promoted", 0.041)
    metrics.role_changed("wallet", "failover", 301)
    metrics.heartbeats_dropped({"forged": 3})
    metrics.heartbeats_dropped({"forged": 5, "replayed": 1})
    metrics.heartbeats_dropped({"forged": 5})
    metrics.apply(STEADY)
    assert value(metrics, "turns_total") == 2
    assert value(metrics, "turn_duration_seconds_count") == 2
    step = {"service": "wallet", "ladder": "take over", "step": "promoted"}
    assert value(metrics, "step_duration_seconds_sum", **step) == pytest.approx(0.041)
    assert value(metrics, "role_changes_total", service="wallet", kind="failover", rule="301") == 1
    assert value(metrics, "heartbeats_dropped_total", reason="forged") == 5
    assert value(metrics, "heartbeats_dropped_total", reason="replayed") == 1


def test_two_daemons_in_one_process_do_not_mix() -> None:
    one, two = Metrics(), Metrics()
    one.turned(0.1)
    assert value(two, "turns_total") == 0


async def test_a_scrape_reads_the_status_of_the_moment(tmp_path: Path) -> None:
    source, metrics = Told(STEADY), Metrics()
    async with serve(build_app(source, metrics), tmp_path / "s", "127.0.0.1", 0) as port:
        code, kind, text = await get(port, "/metrics")
        assert (code, kind) == (200, "text/plain")
        assert 'tricast_epoch{service="wallet"} 7.0' in text
        source.now = TAKING_OVER
        assert 'tricast_epoch{service="wallet"} 8.0' in (await get(port, "/metrics"))[2]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0/3000060@3", 0x3000060),
        ("1/0", 2**32),
        ("0-1-48211@7", 48211),
        ("0-1-10,1-2-5@7", 15),
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7@2", 6),
        ("", None),
        ("garbage", None),
        ("x/y", None),
        ("a-b-c", None),
    ],
)
def test_positions_as_numbers(text: str, number: int | None) -> None:
    assert position_number(text) == number


def test_every_alert_names_metrics_that_exist_and_says_what_to_do() -> None:
    metrics = Metrics()
    names = {
        sample
        for family in metrics.registry.collect()
        for sample in (
            family.name, f"{family.name}_total", f"{family.name}_count", f"{family.name}_sum",
            f"{family.name}_bucket",
        )
    }  # fmt: skip
    rules = [
        rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]
    assert len(rules) >= 10
    for rule in rules:
        used = set(re.findall(r"\btricast_[a-z_]+", rule["expr"]))
        assert used, rule["alert"]
        assert used <= names, rule["alert"]
        assert {"summary", "action"} <= set(rule["annotations"]), rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
    assert len({rule["alert"] for rule in rules}) == len(rules)
