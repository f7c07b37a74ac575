"""`api.tls`: what is refused, with the key and the way out."""

import pytest

from controller.config import inspect_text
from controller.core.model import SiteName
from tests.config.unguarded import LAB

FILES = "cert_file: /t/a.crt, key_file: /t/a.key, client_ca_file: /t/ca.crt"


def problems(tls: str) -> list[str]:
    text = LAB.replace("\nheartbeat:", f"\napi:\n  tls: {{{tls}}}\nheartbeat:")
    assert text != LAB
    return [problem.render().partition(": ")[2] for problem in inspect_text(text, "f").problems]


def test_nothing_listens_without_it() -> None:
    found = inspect_text(LAB, "f").cluster
    assert found is not None
    assert found.api.tls is None


def test_a_right_one_is_taken_as_it_is() -> None:
    assert problems(f"{FILES}, operators: [ada, j.doe@example.com], readers: [rita]") == []


def test_it_listens_at_the_site_unless_it_is_told_otherwise() -> None:
    for more, wanted in (("", "10.2.0.1"), (", address: 127.0.0.1", "127.0.0.1")):
        text = LAB.replace(
            "\nheartbeat:", f"\napi:\n  tls: {{{FILES}, operators: [ada]{more}}}\nheartbeat:"
        )
        found = inspect_text(text, "f").cluster
        assert found is not None
        assert found.api_tls_address(SiteName("dc2")) == wanted


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        (FILES, "api.tls: lets nobody in: name persons in operators or readers"),
        (f"{FILES}, operators: [ada, ada]", "api.tls.operators[1] = 'ada': each person has one"),
        (f"{FILES}, operators: [ada], readers: [Ada]", "api.tls.readers[0] = 'ada': each person"),
        (
            f"{FILES}, operators: [ada], port: 7800",
            "api.tls.port = 7800: must differ from api.port",
        ),
        (f"{FILES}, operators: [ada], port: 7801", "must differ from heartbeat.port"),
        (f"{FILES}, operators: ['ada l']", "must be the common name of a person's certificate"),
        (f"{FILES}, operators: ['']", "must be the common name of a person's certificate"),
        (f"{FILES}, operators: ada", "api.tls.operators = 'ada': must be a list"),
        ("operators: [ada]", "api.tls.cert_file: is required and not given"),
        (f"{FILES}, operators: [ada], crl: /x", "crl = '/x': is no key"),
        (f"{FILES}, operators: [ada], crl_file: x", "must be an absolute path"),
    ],
)
def test_what_is_refused(tls: str, said: str) -> None:
    found = problems(tls)
    assert any(said in problem for problem in found), found
