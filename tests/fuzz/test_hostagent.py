"""Command lines for the host agent: whatever is asked, one JSON object and one of three codes."""

import contextlib
import io
import json
import shlex
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.hostagent.__main__ import DONE, FAILED, FAMILIES, REFUSED, main
from controller.hostagent.contract import AgentError, Failed
from controller.hostagent.wal_transfer import _header, _receive
from tests.fuzz.damage import lines, texts, tried

pytestmark = pytest.mark.timeout(600)

VERBS = (
    "postgres-close database=ledger wait_s=1",
    "postgres-rejoin database=ledger site=dc1 host=x port=5432 epoch=3",
    "wal-serve database=ledger start=0/0 target=0/1 epoch=2 timeline=1",
    "wal-fetch database=ledger source=dc1 start=0/0 target=0/1 epoch=2 timeline=1 within_s=1",
    "mysql-status database=journal",
    "mariadb-start database=journal",
    "safe-start database=ledger",
    "safe-start database=journal",
)
SETTINGS = {
    "databases": {
        "ledger": {"kind": "postgres", "data_dir": "/dev/null/data", "bin_dir": "/dev/null/bin"},
        "journal": {"kind": "mariadb"},
        "odd": 7,
    },
    "keepers": {"kept": {"directory": "/dev/null/wal", "bin_dir": "/dev/null/bin"}},
    "reach": {"dc1": "not a list"},
}


@pytest.fixture(autouse=True)
def of_this_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings_file = tmp_path / "hostagent.json"
    settings_file.write_text(json.dumps(SETTINGS))
    monkeypatch.setenv("TRICAST_HOSTAGENT", str(settings_file))


def ask(argv: list[str]) -> tuple[int, dict[str, str]]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(argv)
    answer = json.loads(out.getvalue())
    assert out.getvalue().count("\n") == 1
    assert all(isinstance(value, str) for value in answer.values())
    return code, answer


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.one_of(texts(st.sampled_from(VERBS)), st.text(max_size=40)))
def test_no_command_from_outside_does_more_than_answer(
    monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    asked = line.replace("\x00", "").encode("utf-8", "replace").decode()  # as an environment is
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", asked)
    code, answer = ask(["--ssh"])
    assert code in (FAILED, REFUSED)  # nothing of this host's settings can be done
    assert answer["error"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(
        st.one_of(
            st.sampled_from(VERBS).map(shlex.split).map(lambda w: w[0]),
            st.sampled_from(sorted(FAMILIES)),
            st.text(max_size=12),
        ),
        max_size=5,
    )
)
def test_no_list_of_words_does_more_than_answer(words: list[str]) -> None:
    code, answer = ask(words)
    assert code in (DONE, FAILED, REFUSED)
    assert code == DONE or answer["error"]


FILE = {"name": "000000020000000000000001", "offset": 0, "bytes": 4}
WHOLE = {"whole": "true", "end": "0/4", "bytes": "4"}


@given(lines(st.sampled_from([FILE, WHOLE, {"error": "x"}])))
def test_a_line_of_the_log_stream_is_read_or_fails(line: str) -> None:
    found = tried(_header, line.encode("utf-8", "surrogatepass"), may_raise=Failed)
    if found is not None and "error" not in found and "whole" not in found:
        assert int(found["offset"]) >= 0
        assert int(found["bytes"]) >= 0


class Ended:
    """A source whose words are given."""

    def __init__(self, said: bytes) -> None:
        self.stdout = io.BytesIO(said)
        self.stderr = io.BytesIO(b"")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]\n",
        b"7\n",
        b"{}\n",
        b'{"whole": "true"}\n',
        b'{"name": "../x", "offset": 0, "bytes": 1}\nx',
        b'{"name": "000000020000000000000001", "offset": -1, "bytes": 1}\nx',
        b'{"name": "000000020000000000000001", "offset": 0, "bytes": 99999999}\nx',
        b'{"error": "gone"}\n',
        b"{" * 2**17,
    ],
)
def test_a_log_stream_that_is_none_fails_in_words(tmp_path: Path, said: bytes) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    with pytest.raises(AgentError, match=r"source|stream"):
        _receive(Ended(said), spool, None)  # type: ignore[arg-type]
    assert not list(spool.iterdir())
