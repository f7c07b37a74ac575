# ruff: noqa: E501
"""The section `notifications`: what is wrong with it is said by line, key, value and way out."""

from pathlib import Path

import pytest

from controller.config import check_secret_files, inspect_text
from controller.core.model import SiteName
from controller.daemon.notify import build_notifier
from controller.notify.event import EventKind
from tests.runtime.clock import HandClock

LAB = Path(__file__).parents[2] / "lab/containerlab/nodes/tricast.yml"
TEMPLATES = Path(__file__).parents[2] / "configs/templates"
HOOK = "url: https://x.example/hook"

# what the target has beside its name, the key that is named, what is said
CASES = [
    ("events: [role_chnge_begun], " + HOOK, "notifications.targets[0].events[0] = 'role_chnge_begun'", 'did you mean "role_change_begun"?'),
    ("url: ftp://x.example/", "notifications.targets[0].url = 'ftp://x.example/'", "must be a URL that begins with http:// or https://"),
    ("url: https://joe:pw@x.example/", "notifications.targets[0].url", "must not carry a user or password"),
    (HOOK + ", command: [/bin/true]", "notifications.targets[0]", "has url and command; give exactly one of url, url_file and command"),
    ("min_severity: info", "notifications.targets[0]", "has no way; give exactly one"),
    ("command: [tell.sh]", "notifications.targets[0].command[0] = 'tell.sh'", "begins with an absolute path; no shell"),
    ("command: [/bin/true], headers_file: /x", "notifications.targets[0].headers_file", "a command reads its own secrets"),
    ("services: [walet], " + HOOK, "notifications.targets[0].services[0] = 'walet'", 'did you mean "wallet"?'),
    ("min_severity: bad, " + HOOK, "notifications.targets[0].min_severity = 'bad'", "must be one of info, warning, critical"),
    ("template: operators.txt, " + HOOK, "notifications.targets[0].template", "must be an absolute path"),
    ("body: text, " + HOOK, "notifications.targets[0].body = 'text'", "needs a template"),
    ("deadline_s: 61, " + HOOK, "notifications.targets[0].deadline_s", "must be at most 60"),
    ("token: x, " + HOOK, "notifications.targets[0].token = (hidden)", "is no key"),
]  # fmt: skip


def with_targets(*targets: str) -> str:
    lines = "".join(f"    - {{name: t{number}, {each}}}\n" for number, each in enumerate(targets))
    return LAB.read_text() + f"\nnotifications:\n  targets:\n{lines}"


@pytest.mark.parametrize(("given", "key", "said"), CASES, ids=[case[0] for case in CASES])
def test_what_is_wrong_is_said(given: str, key: str, said: str) -> None:
    text = with_targets(given)
    shown = [problem.render() for problem in inspect_text(text, "x.yml").problems]
    assert any(key in line and said in line for line in shown), shown
    assert all(line.startswith("x.yml:") for line in shown)


def test_two_targets_of_one_name() -> None:
    text = with_targets(HOOK, HOOK).replace("name: t1", "name: t0")
    [problem] = inspect_text(text, "x.yml").problems
    assert "each target has its own name; notifications.targets[0].name" in problem.render()


def files_said(text: str) -> list[str]:
    cluster = inspect_text(text, "x.yml").cluster
    assert cluster is not None
    found = check_secret_files(cluster, SiteName("dc1"), "x.yml")
    return [each.render() for each in found if "notifications" in each.key]


def test_files_that_a_target_needs(tmp_path: Path) -> None:
    bad, headers, url = tmp_path / "bad.txt", tmp_path / "headers", tmp_path / "url"
    bad.write_text("== any\n$nothing")
    headers.write_text("Authorization hunter2\n")
    url.write_text("hunter2\n")
    for file in (headers, url):
        file.chmod(0o600)
    said = files_said(
        with_targets(
            f"{HOOK}, template: {tmp_path}/none.txt",
            f"{HOOK}, template: {bad}, headers_file: {headers}",
            f"url_file: {url}",
            f"{HOOK}, headers_file: {tmp_path}/none",
        )
    )
    shown = "\n".join(said)
    assert "targets[0].template" in shown
    assert "cannot be used: No such file" in shown
    assert "there is no $nothing; there are" in shown
    assert "line 1 is no header; write it like Authorization: Bearer" in shown
    assert "targets[2].url_file" in shown
    assert "must be a URL that begins with" in shown
    assert "targets[3].headers_file" in shown
    assert "hunter2" not in shown


def test_a_header_file_that_others_can_read(tmp_path: Path) -> None:
    headers = tmp_path / "headers"
    headers.write_text("Authorization: Bearer x\n")
    headers.chmod(0o644)
    [said] = files_said(with_targets(f"{HOOK}, headers_file: {headers}"))
    assert "chmod 0600" in said


def test_a_good_one_is_built(tmp_path: Path) -> None:
    headers, url = tmp_path / "headers", tmp_path / "url"
    headers.write_text("Authorization: Bearer hunter2\n")
    url.write_text("https://y.example/hunter2\n")
    for file in (headers, url):
        file.chmod(0o600)
    operators = TEMPLATES / "operators.txt"
    text = with_targets(
        f"{HOOK}, events: [site_lost], services: [wallet], template: {operators}",
        f"url_file: {url}, headers_file: {headers}",
        "command: [/bin/true, --now]",
    )
    assert files_said(text) == []
    cluster = inspect_text(text, "x.yml").cluster
    assert cluster is not None
    notifier = build_notifier(cluster, SiteName("dc1"), HandClock())
    targets = [box.target for box in notifier.outboxes]
    assert targets[0].events == frozenset({EventKind.SITE_LOST})
    assert [target.courier.where for target in targets] == ["https://x.example", "https://y.example", "/bin/true"]  # fmt: skip
    assert "hunter2" not in repr(targets)
