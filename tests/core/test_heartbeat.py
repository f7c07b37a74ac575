"""What counts as a sign of life, and what never does."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import heartbeat
from controller.core.heartbeat import Accepted, Datagram, Dropped, DropReason, Exchange
from controller.core.model import SiteName

KEY = b"k" * 32
OLD_KEY = b"o" * 32
A, B, C = SiteName("dc1"), SiteName("dc2"), SiteName("witness")
SITES = frozenset({A, B, C})


def _exchange(
    site: SiteName,
    boot: str,
    *,
    cluster: str = "lab",
    keys: tuple[bytes, ...] = (KEY,),
    echo_window: int = 8,
) -> Exchange:
    return Exchange(
        cluster=cluster,
        site=site,
        others=SITES - {site},
        boot=boot,
        keys=keys,
        echo_window=echo_window,
    )


def _acquainted(boot_a: str = "a1", boot_b: str = "b1") -> tuple[Exchange, Exchange]:
    """Two ends that believe each other."""
    a, b = _exchange(A, boot_a), _exchange(B, boot_b)
    _meet(a, b)
    return a, b


def _meet(a: Exchange, b: Exchange) -> int:
    """How many rounds (each end sends once) until both believe the other."""
    for rounds in range(1, 10):
        heard_b = b.receive(a.make(B, {}))
        heard_a = a.receive(b.make(A, {}))
        if isinstance(heard_a, Accepted) and isinstance(heard_b, Accepted):
            return rounds
    raise AssertionError("the ends never believe each other")


def _reason(answer: Accepted | Dropped) -> DropReason | None:
    return answer.reason if isinstance(answer, Dropped) else None


def _sealed(content: bytes) -> bytes:
    return heartbeat.MAGIC + heartbeat.seal(content, KEY) + content


def test_payload_arrives() -> None:
    a, b = _acquainted()
    assert b.receive(a.make(B, {"role": "primary"})) == Accepted(
        sender=A, payload={"role": "primary"}
    )


def test_strangers_believe_each_other_after_two_rounds() -> None:
    assert _meet(_exchange(A, "a1"), _exchange(B, "b1")) == 2


def test_first_datagram_proves_nothing() -> None:
    a, b = _exchange(A, "a1"), _exchange(B, "b1")
    assert b.receive(a.make(B, {})) == Dropped(reason=DropReason.UNPROVEN, sender=A)


@pytest.mark.parametrize("who", ["sender", "receiver", "both"])
def test_restart_is_recovered_from_within_two_rounds(who: str) -> None:
    a, b = _acquainted()
    for _ in range(100):
        _meet(a, b)
    a = a if who == "receiver" else _exchange(A, "a2")
    b = b if who == "sender" else _exchange(B, "b2")
    assert _meet(a, b) <= 2


def test_same_datagram_never_counts_twice() -> None:
    a, b = _acquainted()
    captured = a.make(B, {})
    assert isinstance(b.receive(captured), Accepted)
    assert _reason(b.receive(captured)) is DropReason.REPLAYED


def test_overtaken_datagram_does_not_count() -> None:
    a, b = _acquainted()
    late, early = a.make(B, {}), a.make(B, {})
    assert isinstance(b.receive(early), Accepted)
    assert _reason(b.receive(late)) is DropReason.REPLAYED


def test_datagram_of_a_replaced_boot_never_counts_again() -> None:
    a, b = _acquainted()
    captured = a.make(B, {})
    _meet(_exchange(A, "a2"), b)
    assert _reason(b.receive(captured)) is DropReason.OLD_BOOT


def test_datagram_from_before_the_receiver_restarted_does_not_count() -> None:
    a, _ = _acquainted()
    captured = [a.make(B, {}) for _ in range(5)]
    restarted = _exchange(B, "b2")
    assert [_reason(restarted.receive(d)) for d in captured] == [DropReason.UNPROVEN] * 5


def test_withheld_datagrams_do_not_keep_a_dead_site_alive() -> None:
    """Somebody on the path holds datagrams back and delivers them after their sender died."""
    a, b = _acquainted()
    withheld = [a.make(B, {}) for _ in range(20)]
    for _ in range(8):
        b.make(A, {})
    assert {_reason(b.receive(d)) for d in withheld} == {DropReason.UNPROVEN}


def test_site_that_hears_nothing_is_not_believed_for_long() -> None:
    """dc1 can send but not hear: after the echo window that is silence."""
    a, b = _acquainted()
    believed = 0
    for _ in range(30):
        b.make(A, {})
        believed += isinstance(b.receive(a.make(B, {})), Accepted)
    assert believed == 7


def test_old_boots_replayed_while_a_site_restarts_do_not_keep_it_out() -> None:
    b = _exchange(B, "b1")
    captured = []
    for n in range(6):
        old = _exchange(A, f"old{n}")
        captured.append(old.make(B, {}))
    a = _exchange(A, "a1")
    for replay in captured:
        b.receive(replay)
    assert _meet(a, b) <= 2


def test_datagram_for_another_site_does_not_count() -> None:
    a = _exchange(A, "a1")
    assert _reason(_exchange(C, "c1").receive(a.make(B, {}))) is DropReason.WRONG_RECEIVER


def test_own_datagram_sent_back_does_not_count() -> None:
    a, _ = _acquainted()
    assert _reason(a.receive(a.make(B, {}))) is DropReason.UNKNOWN_SENDER


def test_other_cluster_with_the_same_key_does_not_count() -> None:
    other = _exchange(A, "a1", cluster="production")
    assert _reason(_exchange(B, "b1").receive(other.make(B, {}))) is DropReason.WRONG_CLUSTER


def test_other_key_is_forged() -> None:
    forger = _exchange(A, "a1", keys=(OLD_KEY,))
    answer = _exchange(B, "b1").receive(forger.make(B, {}))
    assert answer == Dropped(reason=DropReason.FORGED, sender=None)


def test_every_flipped_bit_is_noticed() -> None:
    a, b = _acquainted()
    data = a.make(B, {"x": 1})
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert _reason(b.receive(bytes(flipped))) in {DropReason.FORGED, DropReason.FOREIGN}
    assert isinstance(b.receive(data), Accepted)


def test_key_changes_without_a_gap() -> None:
    new = b"n" * 32
    steps = [((KEY,), (KEY, new)), ((KEY, new), (new, KEY)), ((new, KEY), (new,))]
    for keys_a, keys_b in steps:
        assert _meet(_exchange(A, "a1", keys=keys_a), _exchange(B, "b1", keys=keys_b)) == 2


def test_every_cut_is_noticed() -> None:
    a, b = _acquainted()
    data = a.make(B, {})
    reasons = {_reason(b.receive(data[:length])) for length in range(len(data))}
    assert reasons == {DropReason.TRUNCATED, DropReason.FORGED}


def test_oversized_is_dropped_unread() -> None:
    data = _sealed(b"{}" + b" " * heartbeat.DATAGRAM_BYTES_MAX)
    assert _reason(_exchange(B, "b1").receive(data)) is DropReason.OVERSIZED


def test_payload_at_the_limit_fits_and_above_it_is_refused() -> None:
    long_names = [SiteName(letter * 63) for letter in "xyz"]
    names = frozenset(long_names)
    site = long_names[0]
    exchange = Exchange(
        cluster="c" * 63, site=site, others=names - {site}, boot="b" * 16, keys=(KEY,)
    )
    for n in range(heartbeat.ECHOES_MAX + 2):
        datagram = Datagram(
            cluster="c" * 63,
            sender=long_names[1],
            receiver=site,
            boot=f"{n:x}" * 16,
            number=2**63 - 1,
            echoes={},
            payload={},
        )
        assert _reason(exchange.receive(heartbeat.encode(datagram, KEY))) is DropReason.UNPROVEN
    room = heartbeat.PAYLOAD_BYTES_MAX - len('{"p":""}')
    heartbeat.validate_payload({"p": "x" * room})
    assert len(exchange.make(long_names[1], {"p": "x" * room})) <= heartbeat.DATAGRAM_BYTES_MAX
    with pytest.raises(heartbeat.PayloadTooLargeError, match="769 bytes"):
        heartbeat.validate_payload({"p": "x" * (room + 1)})


GOOD: Mapping[str, object] = {
    "c": "lab",
    "s": "dc1",
    "r": "dc2",
    "b": "a1",
    "n": 1,
    "e": {},
    "p": {},
}


@pytest.mark.parametrize(
    "change",
    [
        {"c": 1},
        {"s": ""},
        {"b": "x" * 17},
        {"n": 0},
        {"n": True},
        {"n": 1.5},
        {"n": 2**63},
        {"n": None},
        {"e": []},
        {"e": {"b1": "1"}},
        {"e": {str(n): 1 for n in range(heartbeat.ECHOES_MAX + 1)}},
        {"p": []},
        {"p": None},
    ],
)
def test_sealed_nonsense_is_malformed(change: dict[str, object]) -> None:
    data = _sealed(json.dumps({**GOOD, **change}).encode())
    assert _reason(_exchange(B, "b1").receive(data)) is DropReason.MALFORMED


def test_deeply_nested_content_is_malformed() -> None:
    data = _sealed(b"[" * 1180)
    assert _reason(_exchange(B, "b1").receive(data)) is DropReason.MALFORMED


def test_field_of_a_newer_version_is_ignored() -> None:
    data = _sealed(json.dumps({**GOOD, "z": 1}).encode())
    assert _reason(_exchange(B, "b1").receive(data)) is DropReason.UNPROVEN


@given(st.binary(max_size=1300), st.booleans())
def test_no_bytes_raise(data: bytes, sealed: bool) -> None:
    answer = _exchange(B, "b1").receive(_sealed(data) if sealed else data)
    assert isinstance(answer, Dropped)


@given(st.lists(st.tuples(st.sampled_from(["send", "deliver", "replay", "back"]), st.integers(0))))
def test_whatever_the_network_does_numbers_accepted_only_rise(
    moves: list[tuple[str, int]],
) -> None:
    """Loss, reordering and duplication in any mixture never make one datagram count twice."""
    a, b = _acquainted()
    on_the_way: list[bytes] = []
    captured: list[bytes] = []
    accepted: list[object] = []
    for count, (move, choice) in enumerate(moves):
        data = None
        if move == "send":
            on_the_way.append(a.make(B, {"n": count}))
        elif move == "back":
            a.receive(b.make(A, {}))
        elif move == "deliver" and on_the_way:
            data = on_the_way.pop(choice % len(on_the_way))
            captured.append(data)
        elif move == "replay" and captured:
            data = captured[choice % len(captured)]
        if data is not None:
            answer = b.receive(data)
            if isinstance(answer, Accepted):
                accepted.append(answer.payload["n"])
    assert accepted == sorted(set(accepted))  # type: ignore[type-var]


def test_key_file_has_one_key_per_line() -> None:
    text = "# made in January\n" + "a" * 32 + "\n\n  " + "b" * 40 + "  \n"
    assert heartbeat.parse_keys(text) == (b"a" * 32, b"b" * 40)


@pytest.mark.parametrize("text", ["", "# nothing\n", "short\n", "a" * 32 + "\nshort\n"])
def test_key_file_without_a_good_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at least 32 characters"):
        heartbeat.parse_keys(text)


def test_site_is_not_its_own_neighbor() -> None:
    with pytest.raises(ValueError, match="not its own neighbor"):
        Exchange(cluster="lab", site=A, others=SITES, boot="a1", keys=(KEY,))


def test_name_that_cannot_fit_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="names are 1 to 63"):
        Exchange(cluster="l" * 64, site=A, others=frozenset({B}), boot="a1", keys=(KEY,))


def test_what_does_not_fit_a_datagram_is_never_made() -> None:
    with pytest.raises(heartbeat.PayloadTooLargeError, match="does not fit a datagram"):
        _exchange(A, "a1").make(B, {"p": "x" * heartbeat.DATAGRAM_BYTES_MAX})


def test_sealed_json_that_is_no_object_is_malformed() -> None:
    assert _reason(_exchange(B, "b1").receive(_sealed(b"[1]"))) is DropReason.MALFORMED


def test_the_limits_are_what_two_versions_agree_on() -> None:
    assert heartbeat.MAGIC == b"trc1"
    assert (heartbeat.DATAGRAM_BYTES_MAX, heartbeat.PAYLOAD_BYTES_MAX) == (1200, 768)
    assert (heartbeat.ECHO_WINDOW, heartbeat.ECHOES_MAX) == (64, 3)
    assert (heartbeat.NAME_LENGTH_MAX, heartbeat.BOOT_LENGTH_MAX) == (63, 16)
    assert (heartbeat.RETIRED_BOOTS_MAX, heartbeat.KEY_LENGTH_MIN) == (64, 32)


def test_a_datagram_of_the_full_size_fits_and_one_byte_more_does_not() -> None:
    empty = len(_exchange(A, "a1").make(B, {"p": ""}))
    room = heartbeat.DATAGRAM_BYTES_MAX - empty
    assert len(_exchange(A, "a1").make(B, {"p": "x" * room})) == heartbeat.DATAGRAM_BYTES_MAX
    with pytest.raises(
        heartbeat.PayloadTooLargeError,
        match=r"^a heartbeat of 1181 bytes does not fit a datagram$",
    ):
        _exchange(A, "a1").make(B, {"p": "x" * (room + 1)})


def test_what_has_no_json_form_is_never_sent() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        _exchange(A, "a1").make(B, {"p": float("nan")})


def test_other_formats_are_foreign_and_a_bare_header_is_truncated() -> None:
    right = _exchange(A, "a1").make(B, {})
    assert _reason(_exchange(B, "b1").receive(b"trc2" + right[4:])) is DropReason.FOREIGN
    header = right[: len(heartbeat.MAGIC) + heartbeat.SEAL_BYTES]
    assert _reason(_exchange(B, "b1").receive(header)) is DropReason.TRUNCATED
    assert _reason(_exchange(B, "b1").receive(header + b"x")) is DropReason.FORGED


def _opened(data: bytes) -> Datagram:
    found = heartbeat.decode(data, (KEY,))
    assert isinstance(found, Datagram)
    return found


def test_numbers_start_at_one_and_no_echo_proves_nothing() -> None:
    a, b = _exchange(A, "a1"), _exchange(B, "b1")
    assert _opened(a.make(B, {})).number == 1
    b.make(A, {})  # so that an echo of 1 would prove something
    assert _reason(b.receive(_exchange(A, "a2").make(B, {}))) is DropReason.UNPROVEN


def test_a_drop_names_the_sender_that_sealed_it() -> None:
    a, b = _acquainted()
    for_another = a.make(C, {})
    assert b.receive(for_another) == Dropped(reason=DropReason.WRONG_RECEIVER, sender=A)


def _greet(end: Exchange, boot: str, number: int = 1) -> None:
    """A datagram of an unproven boot of dc1."""
    datagram = Datagram(
        cluster="lab", sender=A, receiver=end._site, boot=boot, number=number, echoes={}, payload={}
    )
    end.receive(heartbeat.encode(datagram, KEY))


def test_as_many_boots_are_echoed_as_fit_the_newest_and_the_one_believed() -> None:
    b = _exchange(B, "b1")
    for boot in ("x1", "x2", "x3"):
        _greet(b, boot)
    assert _opened(b.make(A, {})).echoes == {"x1": 1, "x2": 1, "x3": 1}
    _greet(b, "x1", 2)
    _greet(b, "x4")
    assert _opened(b.make(A, {})).echoes == {"x3": 1, "x1": 2, "x4": 1}
    _, b = _acquainted()
    for boot in ("x1", "x2", "x3", "x4"):
        _greet(b, boot)
    assert set(_opened(b.make(A, {})).echoes) == {"a1", "x3", "x4"}


def test_a_boot_that_was_replaced_is_echoed_no_more() -> None:
    _, b = _acquainted()
    _meet(_exchange(A, "a2"), b)
    assert set(_opened(b.make(A, {})).echoes) == {"a2"}


def test_so_many_replaced_boots_are_remembered() -> None:
    b = _exchange(B, "b1")
    boots = [f"r{n}" for n in range(heartbeat.RETIRED_BOOTS_MAX + 2)]
    for boot in boots:
        _meet(_exchange(A, boot), b)
    old = [_exchange(A, boot).make(B, {}) for boot in boots[:2]]
    assert [_reason(b.receive(data)) for data in old] == [
        DropReason.UNPROVEN,  # forgotten: it is asked to prove itself again
        DropReason.OLD_BOOT,
    ]


NAMES = r"^names are 1 to 63 ASCII characters: \("
BOOTS = "^a site has a boot and a key, and is not its own neighbor$"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cluster": ""}, NAMES),
        ({"cluster": "x" * 64}, NAMES),
        ({"cluster": "\u00e9"}, NAMES),
        ({"site": SiteName("")}, NAMES),
        ({"others": frozenset({SiteName("x" * 64)})}, NAMES),
        ({"others": frozenset({A})}, BOOTS),
        ({"boot": ""}, BOOTS),
        ({"boot": "x" * 17}, BOOTS),
        ({"keys": ()}, BOOTS),
    ],
)
def test_what_cannot_be_an_end_is_refused(changes: dict[str, Any], why: str) -> None:
    right: dict[str, Any] = {
        "cluster": "c",
        "site": A,
        "others": frozenset({B}),
        "boot": "x",
        "keys": (KEY,),
    }
    Exchange(**right)
    Exchange(**(right | {"boot": "x" * 16, "cluster": "x" * 63}))
    with pytest.raises(ValueError, match=why):
        Exchange(**(right | changes))


def test_what_is_too_short_or_too_long_is_said() -> None:
    with pytest.raises(
        ValueError, match=r"^a heartbeat key has at least 32 characters on one line$"
    ):
        heartbeat.parse_keys("k" * 31)
    assert heartbeat.parse_keys("k" * 32) == (b"k" * 32,)
    with pytest.raises(
        heartbeat.PayloadTooLargeError,
        match=r"^a heartbeat payload of 769 bytes is above the limit of 768$",
    ):
        heartbeat.validate_payload({"p": "x" * (769 - len('{"p":""}'))})
    with pytest.raises(ValueError, match="not JSON compliant"):
        heartbeat.validate_payload({"p": float("inf")})
