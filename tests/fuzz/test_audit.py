"""An audit log, an export and an anchor that somebody has damaged: judged, never more."""

import json

from hypothesis import given
from hypothesis import strategies as st

from controller.audit.anchor import Anchor, BadAnchor, decode_anchor, encode_anchor
from controller.audit.chain import entries_of, resumed, verify
from controller.audit.entry import BadEntry, Entry, line_of, read_line
from controller.audit.export import Header, NoExport, export, verify_export
from tests.audit.test_chain import chain, log_of
from tests.fuzz.damage import texts, values

ENTRIES = chain(4)
LOG = log_of(ENTRIES)
LAST = ENTRIES[-1]
ANCHOR = Anchor(site="dc1", seq=LAST.seq, hash=LAST.hash, at=LAST.at, place="etcd")
HEADER = Header(cluster="tricast", site="dc1", at="now", seq=4, hash=LAST.hash, anchors=(ANCHOR,))


def judge(log: bytes) -> None:
    """It says the same thing of itself, and whole is only what was written so."""
    found = verify(log, "dc1", [ANCHOR])
    assert found.whole == (log == LOG)
    assert found.entries <= len(entries_of(log))
    for each in found.breaks:
        assert 1 <= each.seq <= each.last
        str(each).encode()
    assert resumed(found, "dc1", [ANCHOR]).seq >= ANCHOR.seq


@given(texts(st.just(LOG.decode())))
def test_a_damaged_log_is_judged(text: str) -> None:
    judge(text.encode(errors="surrogatepass"))


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(data: bytes) -> None:
    judge(data)


@given(values(st.builds(lambda: json.loads(line_of(ENTRIES[1])))))
def test_an_entry_with_strange_values_is_an_entry_or_is_said_to_be_none(data: object) -> None:
    line = json.dumps(data).encode(errors="surrogatepass")
    try:
        found = read_line(line)
    except BadEntry:
        return
    assert isinstance(found, Entry)
    assert line_of(found) == line


@given(texts(st.just(export(LOG, HEADER).decode())))
def test_a_damaged_export_is_judged(text: str) -> None:
    data = text.encode(errors="surrogatepass")
    try:
        _, found = verify_export(data)
    except NoExport:
        return
    assert found.whole <= data.endswith(b"\n")


@given(texts(st.just(encode_anchor(ANCHOR).decode())))
def test_a_damaged_anchor_is_one_or_is_said_to_be_none(text: str) -> None:
    try:
        found = decode_anchor("dc1", text.encode(errors="surrogatepass"), "etcd")
    except BadAnchor:
        return
    assert bytes.fromhex(found.hash)
    assert found.seq >= 1
