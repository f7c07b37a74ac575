"""What is read from files: configuration, topology, promises, keys, hints, names of log files."""

import json
import re
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controller.config import inspect_text
from controller.config.yaml_lines import read_yaml
from controller.core.heartbeat import KEY_LENGTH_MIN, parse_keys
from controller.core.model import ServiceName
from controller.hostagent import wal
from controller.hostagent.contract import Refused, Request
from controller.hostagent.wal_end import LogEnd, saved_end
from controller.runtime.promises import PromiseLost, Promises
from lab.netns.error import LabError
from lab.netns.topology import TOPOLOGY_FILE, read_topology
from tests.fuzz.damage import LONG_NUMBER, STRANGE, lines, texts, tried, values

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "configs/tricast.yml").read_text()
PLAIN = "\n".join(
    line for line in REFERENCE.splitlines() if line.strip() and not line.lstrip().startswith("#")
)
BREAKS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # https://yaml.org/spec/1.1/#id871136
same_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- configuration -------------------------------------------------------------------------------


def judge(text: str) -> None:
    """It is a cluster, or the file, the line and the key of every problem are told."""
    found = inspect_text(text, "tricast.yml")
    assert found.cluster is not None or found.problems
    count = len(BREAKS.findall(text)) + 1
    for problem in (*found.problems, *found.warnings):
        assert problem.sentence
        assert 0 <= problem.line <= count
        problem.render().encode()  # it can be printed


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(texts(st.just(PLAIN)))
def test_a_damaged_configuration_is_judged(text: str) -> None:
    judge(text)


def as_data() -> Any:
    return read_yaml(PLAIN, "tricast.yml").data


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(values(st.builds(as_data)))
def test_a_configuration_with_strange_values_is_judged(data: Any) -> None:
    judge(json.dumps(data))


UNFOLDING = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
SHAPES = {
    "a number without end": f"version: {LONG_NUMBER}",
    "a large number": "version: 1e999",
    "half a character": 'cluster: "\\ud800"',
    "a key that holds itself": "&a\n? *a\n: 1\n",
    "a key that is a list": "? [a, b]\n: 1\n",
    "a list that holds itself": "&a [*a]",
    "a stance called as a method": "bgp: {stances: {model_dump: 3}}",
    "an alias that unfolds": UNFOLDING,
    "a key that unfolds": f"{UNFOLDING}\n? *i\n: 1\n",
    "merged with itself": "a: &a\n  <<: *a\n  b: 1\n",
    "deep": "[" * 5000,
    "deep mappings": "\n".join(" " * n + "a:" for n in range(900)),
    "only a comment": "# nothing",
    "two documents": "a: 1\n---\nb: 2\n",
    "a tag": "a: !!python/object/apply:os.system ['true']",
    "a long key": f"{'k' * 3000}: 1",
    "a key of half a character": '"\\udc00": 1',
    "a date": "a: 2024-01-01",
    "binary": "a: !!binary 'AA=='",
}


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_configuration_of_a_nasty_shape_is_judged_soon_and_in_little_memory(shape: str) -> None:
    began, before = time.process_time(), most_memory()
    judge(SHAPES[shape])
    assert most_memory() - before < 200 * 2**20
    assert time.process_time() - began < 20


def most_memory() -> int:
    """The most bytes this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# --- topology ------------------------------------------------------------------------------------

TOPOLOGY = TOPOLOGY_FILE.read_text()


def topology_of(path: Path, text: str) -> object:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return tried(read_topology, path, may_raise=LabError)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(texts(st.just(TOPOLOGY)))
def test_a_damaged_topology_is_read_or_a_lab_error(tmp_path: Path, text: str) -> None:
    topology_of(tmp_path / "x.clab.yml", text)


SMALL_TOPOLOGY = {
    "name": "x",
    "topology": {
        "defaults": {"image": "a"},
        "kinds": {"linux": {"sysctls": {"a": 1}}},
        "groups": {"g": {"binds": ["a:b:ro"], "labels": {"tricast.delay": "eth1=5ms"}}},
        "nodes": {"n": {"group": "g", "exec": ["ip address add 10.0.0.1/24 dev eth1"]}, "m": {}},
        "links": [{"endpoints": ["n:eth1", "m:eth1"]}],
    },
}


@same_files
@given(values(st.just(SMALL_TOPOLOGY)))
def test_a_topology_with_strange_values_is_read_or_a_lab_error(tmp_path: Path, data: Any) -> None:
    topology_of(tmp_path / "x.clab.yml", json.dumps(data))


# --- own files -----------------------------------------------------------------------------------


def promises_of(path: Path) -> Promises:
    return Promises(path.parent)


@same_files
@example('{"wallet": 1e999}')
@example('{"wallet": true}')
@example('{"wallet": -1}')
@example(json.dumps({"wallet": 10**400}))
@given(lines(st.just({"wallet": 7, "lobby": 2})))
def test_damaged_promises_are_lost_not_lowered(tmp_path: Path, text: str) -> None:
    path = tmp_path / "promises.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = tried(promises_of, path, may_raise=PromiseLost)
    if found is not None:
        assert type(found.of(ServiceName("wallet"))) is int
        assert 0 <= found.of(ServiceName("wallet")) < 2**32


@given(texts(st.just(f"# new\n{'k' * 40}\n{'o' * 32}\n")))
def test_a_key_file_holds_good_keys_or_is_refused(text: str) -> None:
    found = tried(parse_keys, text, may_raise=ValueError)
    assert found is None or all(len(key) >= KEY_LENGTH_MIN for key in found)


END = {"timeline": 2, "position": 2**32, "file_timeline": 2, "last_record": 7}


@same_files
@given(lines(st.just(END)))
def test_a_damaged_hint_is_no_hint(tmp_path: Path, text: str) -> None:
    path = tmp_path / "end.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = saved_end(path)
    assert found is None or wal.to_lsn(found.position)


def test_a_hint_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    end = LogEnd(timeline=2, position=2**40, file_timeline=1, last_record=9)
    end.save(tmp_path / "end.json")
    assert saved_end(tmp_path / "end.json") == end
    for value in STRANGE:
        if not (type(value) is int and 0 <= value < 2**64):
            (tmp_path / "end.json").write_text(json.dumps({**END, "position": value}))
            assert saved_end(tmp_path / "end.json") is None


# --- names of log files --------------------------------------------------------------------------

segments = st.builds(
    wal.Segment,
    timeline=st.integers(0, 2**32 - 1),
    number=st.integers(0, 2**40 - 1),
    partial=st.booleans(),
)
names = st.one_of(
    segments.map(lambda segment: segment.file_name),
    texts(segments.map(lambda segment: segment.file_name)),
    st.integers(0, 2**32 - 1).map(wal.history_name),
    texts(st.integers(0, 9).map(wal.history_name)),
    st.text("0123456789ABCDEF", min_size=24, max_size=24),
)


@given(segments)
def test_a_segment_is_found_under_its_own_name(segment: wal.Segment) -> None:
    assert wal.parse_segment(segment.file_name) == segment
    assert wal.segment_of(segment.timeline, segment.start).number == segment.number


@given(st.lists(names, max_size=20))
def test_whatever_lies_in_a_directory_is_a_segment_a_history_or_nothing(found: list[str]) -> None:
    held = wal.holdings(found)
    assert {segment.file_name for segment in held.segments} <= set(found)
    assert {wal.history_name(timeline) for timeline in held.histories} <= set(found)
    held.gap()
    for timeline in held.timelines:
        numbers = [segment.number for segment in held.of(timeline)]
        assert numbers == sorted(set(numbers))


@given(texts(st.just("1\t0/3000000\tno recovery target specified\n2\t1/A0\tx\n")))
def test_a_damaged_history_names_timelines_and_ends(text: str) -> None:
    for timeline, end in wal.parse_history(text):
        assert 0 <= timeline < 10**10
        assert 0 <= end < 2**64


@given(st.one_of(st.text(max_size=20), texts(st.just("1/A0"))))
def test_a_position_is_read_or_refused(text: str) -> None:
    found = tried(wal.to_bytes, text, may_raise=Refused)
    assert found is None or 0 <= found < 2**64


@given(st.integers(0, 2**64 - 1), st.integers(24, 2**20))
def test_a_record_ends_after_it_starts(start: int, length: int) -> None:
    assert wal.record_end(start, length) >= start + length


# --- command lines of the host agent -------------------------------------------------------------


@given(st.text(max_size=12))
def test_an_argument_is_a_number_or_is_refused(text: str) -> None:
    request = Request("verb", {"epoch": text, "wait_s": text})
    number = tried(request.number, "epoch", may_raise=Refused)
    assert number is None or 0 <= number < 10**18

    def wait(name: object) -> float:
        return request.seconds(str(name), 1.0)

    seconds = tried(wait, "wait_s", may_raise=Refused)
    assert seconds is None or 0 <= seconds <= 3600
