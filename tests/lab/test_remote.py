"""Operators' verbs from another machine, over mutual TLS, with the whole system."""

import json

import pytest

from controller.web.schema import RequestView
from lab.netns.inside import Finished
from tests.lab.system import PYTHON, System

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

DESK = "witness"  # where the operator sits: a node that holds no service
SECRETS = "/etc/tricast/secrets"
URLS = {"dc1": "https://10.1.0.1:7802", "dc2": "https://10.2.0.1:7802"}


async def typed(system: System, who: str, first: str, *words: str) -> Finished:
    """`words` typed by `who`, the daemon of `first` being asked before the other."""
    urls = [URLS[first], *(url for site, url in URLS.items() if site != first)]
    options = {
        "TRICAST_SERVER": ",".join(urls),
        "TRICAST_CERT": f"{SECRETS}/{who}.crt",
        "TRICAST_KEY": f"{SECRETS}/{who}.key",
        "TRICAST_CA": f"{SECRETS}/operators-ca.crt",
        "PYTHONPATH": "/opt/tricast",
    }
    environment = [f"{name}={value}" for name, value in options.items()]
    program = ["env", *environment, PYTHON, "-m", "controller.cli.main"]
    return await system.lab.run(DESK, [*program, *words], check=False, deadline_s=60)


async def test_an_operator_moves_a_service_from_elsewhere(system: System) -> None:
    home, away = await system.settled()
    epoch = await system.epoch(home)
    words = ["switchover", "--service", "wallet", "--to", away, "--yes", "--json"]
    async with system.load("client2", timeout_s=4.0) as load:
        done = await typed(system, "ada", home, *words, "--reason", "from my desk")
        assert done.code == 0, done.stderr
        request = RequestView.model_validate_json(done.stdout)
        assert (request.state, request.asked_by) == ("done", "ada")
        change = await system.change(away, epoch + 1)
        assert change["asked_by"] == "ada"
        await load.acked(20)
    await system.intact(load)
    await system.settled()


async def test_who_may_only_look_moves_nothing(system: System) -> None:
    home, away = await system.settled()
    looked = await typed(system, "rita", home, "status", "--service", "wallet", "--json")
    assert looked.code == 0, looked.stderr
    assert json.loads(looked.stdout)["services"][0]["holder"] == home
    words = ["switchover", "--service", "wallet", "--to", away, "--yes"]
    refused = await typed(system, "rita", home, *words)
    assert refused.code == 3, refused.stderr
    assert "is a reader and may change nothing" in refused.stderr
    assert await system.holder() == home


async def test_another_daemon_answers_when_the_first_is_dead(system: System) -> None:
    home, other = await system.settled()
    system.stop_daemon(other)
    try:
        await system.until_daemon_is_dead(other)
        looked = await typed(system, "grace", other, "status", "--service", "wallet")
        assert looked.code in (0, 1, 2), looked.stderr
        assert f"{URLS[other]} does not answer, {URLS[home]} does" in looked.stderr
        assert home in looked.stdout
    finally:
        await system.restart_daemon(other)
    await system.settled()
