"""Whatever is done to a chain is found, and the first bad entry is named."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controller.audit.anchor import Anchor
from controller.audit.chain import Verdict, Why, entries_of, resumed, verify
from controller.audit.entry import (
    GENESIS,
    BadEntry,
    Entry,
    Head,
    Note,
    canonical,
    digest,
    head_of,
    line_of,
    read_line,
    sealed,
)
from controller.audit.export import Header, NoExport, export, read_export, verify_export

SITE = "dc1"


def chain(count: int, site: str = SITE) -> list[Entry]:
    found: list[Entry] = []
    head = Head()
    for number in range(1, count + 1):
        note = Note(
            at=f"2026-11-21T10:00:{number % 60:02d}.000Z",
            event="asked",
            who="alice",
            verb="pause",
            service="wallet",
            epoch=number,
            reason="disk \u00e4 work",
            facts={"target": "dc2", "plan": f"{number:x}"},
        )
        found.append(sealed(note, site, head))
        head = head_of(found[-1])
    return found


def log_of(lines: list[Entry] | list[bytes]) -> bytes:
    return b"".join((line_of(x) if isinstance(x, Entry) else x) + b"\n" for x in lines)


def anchor(entry: Entry, place: str = "etcd") -> Anchor:
    return Anchor(site=entry.site, seq=entry.seq, hash=entry.hash, at=entry.at, place=place)


def first(found: Verdict) -> tuple[int, Why]:
    return found.breaks[0].seq, found.breaks[0].why


def forged(entry: Entry, **changes: object) -> Entry:
    """Changed by somebody who knows how hashes are made."""
    data = asdict(entry) | changes
    body = {name: value for name, value in data.items() if name not in ("prev", "hash")}
    return Entry(**data | {"hash": digest(body, str(data["prev"]))})


def rewritten(entries: list[Entry], place: int, **changes: object) -> list[Entry]:
    """The entry at `place` is another, and everything after it was made anew."""
    found = [*entries[:place], forged(entries[place], **changes)]
    for entry in entries[place + 1 :]:
        found.append(forged(entry, prev=found[-1].hash))
    return found


LENGTHS = st.integers(min_value=1, max_value=8)


@given(LENGTHS)
def test_what_was_written_is_whole(count: int) -> None:
    entries = chain(count)
    found = verify(log_of(entries), SITE, [anchor(entry) for entry in entries])
    assert found.whole
    assert (found.entries, found.head, found.anchors) == (count, head_of(entries[-1]), count)
    assert entries_of(log_of(entries)) == tuple(entries)


def test_an_empty_log_is_whole_and_begins_at_the_beginning() -> None:
    found = verify(b"", SITE)
    assert found.whole
    assert found.head == Head(seq=0, hash=GENESIS)
    assert chain(1)[0].prev == GENESIS


@given(LENGTHS, st.data())
def test_any_byte_that_is_changed_is_found_in_its_entry(count: int, data: st.DataObject) -> None:
    lines = [line_of(entry) for entry in chain(count)]
    place = data.draw(st.integers(0, count - 1))
    at = data.draw(st.integers(0, len(lines[place]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b not in (lines[place][at], 10)))
    lines[place] = lines[place][:at] + bytes([byte]) + lines[place][at + 1 :]
    assert first(verify(log_of(lines), SITE)) == (place + 1, Why.CHANGED)


@given(st.integers(2, 8), st.data())
def test_entries_that_are_deleted_are_named(count: int, data: st.DataObject) -> None:
    entries = chain(count)
    begin = data.draw(st.integers(0, count - 2))
    end = data.draw(st.integers(begin + 1, count - 1))
    found = verify(log_of(entries[:begin] + entries[end:]), SITE)
    assert first(found) == (begin + 1, Why.DELETED)
    assert found.breaks[0].last == end
    assert len(found.breaks) == 1


@given(LENGTHS, st.data())
def test_a_tail_that_is_cut_is_known_by_any_anchor_in_it(count: int, data: st.DataObject) -> None:
    entries = chain(count)
    kept = data.draw(st.integers(0, count - 1))
    known = data.draw(st.sampled_from(entries[kept:]))
    found = verify(log_of(entries[:kept]), SITE, [anchor(known)])
    assert first(found) == (kept + 1, Why.CUT)
    assert found.breaks[0].last == known.seq
    assert verify(log_of(entries[:kept]), SITE).whole  # by itself it cannot be seen


@given(st.permutations(range(6)))
def test_entries_that_are_reordered_are_named(order: list[int]) -> None:
    assume(order != sorted(order))
    entries = chain(6)
    found = verify(log_of([entries[place] for place in order]), SITE)
    misplaced = next(place for place, seq in enumerate(order) if seq != place)
    assert first(found) == (misplaced + 1, Why.REORDERED)


@given(LENGTHS, st.data())
def test_an_entry_that_stands_twice_is_named(count: int, data: st.DataObject) -> None:
    entries = chain(count)
    which = data.draw(st.integers(0, count - 1))
    place = data.draw(st.integers(which + 1, count))
    found = verify(log_of([*entries[:place], entries[which], *entries[place:]]), SITE)
    assert first(found) == (place + 1, Why.ADDED)
    assert len(found.breaks) == 1


@given(LENGTHS, st.data(), st.sampled_from([b"", b"{}", b"# a remark", b"\xff\x00"]))
def test_a_line_that_is_put_between_is_named(count: int, data: st.DataObject, line: bytes) -> None:
    lines = [line_of(entry) for entry in chain(count)]
    place = data.draw(st.integers(0, count - 1))
    found = verify(log_of([*lines[:place], line, *lines[place:]]), SITE)
    assert first(found) == (place + 1, Why.ADDED)


@given(st.integers(2, 8), st.data())
def test_an_entry_that_was_forged_is_known_by_the_next(count: int, data: st.DataObject) -> None:
    entries = chain(count)
    place = data.draw(st.integers(0, count - 2))
    entries[place] = forged(entries[place], who="mallory")
    assert first(verify(log_of(entries), SITE)) == (place + 1, Why.CHANGED)


@given(LENGTHS, st.data())
def test_a_chain_that_was_made_anew_is_known_by_its_anchors(
    count: int, data: st.DataObject
) -> None:
    entries = chain(count)
    place = data.draw(st.integers(0, count - 1))
    anew = rewritten(entries, place, who="mallory")
    assert verify(log_of(anew), SITE).whole  # by itself it cannot be seen
    found = verify(log_of(anew), SITE, [anchor(entry) for entry in entries])
    assert first(found) == (place + 1, Why.CHANGED)
    late = verify(log_of(anew), SITE, [anchor(entries[-1])])
    assert first(late) == (1 if count > 1 else place + 1, Why.CHANGED)
    assert late.breaks[0].last == count  # with one anchor, somewhere up to there


@given(LENGTHS, st.data())
def test_a_torn_last_line_is_named(count: int, data: st.DataObject) -> None:
    log = log_of(chain(count))
    last = len(line_of(chain(count)[-1]))
    keep = data.draw(st.integers(1, last))
    found = verify(log[: len(log) - 1 - last + keep], SITE)
    assert first(found) == (count, Why.TORN)
    assert found.head.seq == count - 1


def test_the_log_of_another_site_is_not_ours() -> None:
    assert first(verify(log_of(chain(3, "dc2")), SITE)) == (1, Why.CHANGED)


def test_a_chain_that_does_not_begin_is_named() -> None:
    entries = rewritten(chain(3), 0, prev="1" * 64)
    assert first(verify(log_of(entries), SITE)) == (1, Why.CHANGED)


def test_only_so_many_breaks_are_told() -> None:
    assert len(verify(b"x\n" * 1000, SITE).breaks) == 20


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 2**62},
        {"seq": 0},
        {"prev": "0" * 63},
        {"hash": "A" * 64},
        {"epoch": -1},
        {"facts": {"x": 1}},
        {"who": None},
    ],
)
def test_an_entry_is_strict(change: dict[str, object]) -> None:
    data = asdict(chain(1)[0]) | change
    with pytest.raises(BadEntry):
        read_line(canonical(data))


def test_a_huge_number_costs_nothing() -> None:
    entries = chain(2)
    entries[1] = forged(entries[1], seq=2**62)
    assert first(verify(log_of(entries), SITE)) == (2, Why.DELETED)
    assert first(verify(log_of([entries[1], entries[0]]), SITE)) == (1, Why.REORDERED)


def test_what_a_newer_version_adds_is_hashed_and_left_alone() -> None:
    data: dict[str, object] = asdict(chain(1)[0]) | {"mood": "good"}
    body = {name: value for name, value in data.items() if name not in ("prev", "hash")}
    line = canonical(data | {"hash": digest(body, GENESIS)})
    assert read_line(line).who == "alice"
    with pytest.raises(BadEntry, match="hash"):
        read_line(line.replace(b'"good"', b'"grim"'))


def test_long_texts_are_cut_and_still_whole() -> None:
    note = Note(at="x", event="asked", reason="y" * 100_000, facts={"z" * 9000: "\ud800" * 9000})
    entry = sealed(note, SITE, Head())
    assert len(entry.reason) == 2000
    assert read_line(line_of(entry)) == entry


# --- where it goes on -----------------------------------------------------------------------------


@given(LENGTHS, st.integers(0, 8), st.data())
def test_no_anchored_entry_gets_a_second_version(
    count: int, kept: int, data: st.DataObject
) -> None:
    entries = chain(count)
    known = [anchor(e) for e in data.draw(st.lists(st.sampled_from(entries), max_size=3))]
    found = verify(log_of(entries[:kept]), SITE, known)
    head = resumed(found, SITE, [*known, anchor(chain(9, "dc2")[-1])])
    assert head.seq == max([min(kept, count), *(a.seq for a in known)])
    assert head.seq == 0 or head == head_of(entries[head.seq - 1])


def test_after_a_forged_end_the_anchored_one_counts() -> None:
    entries = chain(3)
    known = [anchor(entries[2])]
    bad = [*entries[:2], forged(entries[2], who="mallory")]
    head = resumed(verify(log_of(bad), SITE, known), SITE, known)
    assert head == head_of(entries[2])
    after = sealed(Note(at="x", event="damaged"), SITE, head)
    assert first(verify(log_of([*bad, after]), SITE)) == (3, Why.CHANGED)  # seen without anchors


# --- exports --------------------------------------------------------------------------------------


def header(entries: list[Entry]) -> Header:
    last = entries[-1]
    return Header(
        cluster="tricast", site=SITE, at="now", seq=last.seq, hash=last.hash,
        anchors=(anchor(entries[0]),),
    )  # fmt: skip


@given(LENGTHS)
def test_an_export_is_read_back_as_it_was(count: int) -> None:
    entries = chain(count)
    data = export(log_of(entries), header(entries))
    assert read_export(data) == (header(entries), log_of(entries))
    assert verify_export(data)[1].whole


@given(LENGTHS, st.data())
def test_an_export_shows_that_its_end_is_missing(count: int, data: st.DataObject) -> None:
    entries = chain(count)
    kept = data.draw(st.integers(0, count - 1))
    found = verify_export(export(log_of(entries[:kept]), header(entries)))[1]
    assert first(found) == (kept + 1, Why.CUT)


@pytest.mark.parametrize("data", [b"", b"\n", b"x", b"[]\n", b"{}\n", b"\xff\n", b"[" * 99999])
def test_what_is_no_export_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(NoExport):
        read_export(data)


def test_another_kind_of_file_is_no_export() -> None:
    entries = chain(1)
    with pytest.raises(NoExport, match="its kind is 'something'"):
        read_export(export(b"", replace(header(entries), kind="something")))


def test_a_line_is_json_that_any_tool_reads() -> None:
    data = json.loads(line_of(chain(1)[0]))
    assert data["who"] == "alice"
    assert data["seq"] == 1
