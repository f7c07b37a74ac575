import pytest

from bgp.route import AsPath, BadRoute, Community, Family, Med, Prefix, family_of


@pytest.mark.parametrize(
    "text",
    [
        "198.51.100.1/24",
        "198.51.100.0",
        "0.0.0.0/0",
        "::/0",
        "2001:DB8::/32",
        "2001:db8:0::/48",
        "fe80::%eth0/64",
        "198.51.100.0/33",
        "x",
        "",
        "198.51.100.0/24 json",
        "198.51.100.0/24\n",
        "198.51.100.0/255.255.255.0",
    ],
)
def test_what_is_not_a_canonical_prefix_is_refused(text: str) -> None:
    with pytest.raises(BadRoute):
        Prefix(text)


def test_prefixes_know_their_family_and_what_holds_them() -> None:
    assert Prefix("198.51.100.0/24").family is Family.IPV4
    assert Prefix("2001:db8:100::/48").family is Family.IPV6
    assert Prefix("198.51.100.128/25").within(Prefix("198.51.100.0/24"))
    assert not Prefix("198.51.0.0/16").within(Prefix("198.51.100.0/24"))
    assert not Prefix("2001:db8::/32").within(Prefix("198.51.100.0/24"))


@pytest.mark.parametrize("address", ["203.0.113.01", "2001:DB8::1", "fe80::1%eth0", "", "host"])
def test_addresses_are_canonical(address: str) -> None:
    with pytest.raises(BadRoute):
        family_of(address)


def test_as_path_is_never_empty_nor_absurd() -> None:
    assert AsPath.own(64510, 2).asns == (64510, 64510, 64510)
    for asns in ((), (0,), (2**32,), (64510,) * 33):
        with pytest.raises(BadRoute):
            AsPath(asns)
    with pytest.raises(BadRoute):
        AsPath.own(64510, -1)


def test_communities_read_as_they_are_written() -> None:
    for text in ("64500:100", "65535:0", "64500:1:4294967295"):
        assert str(Community.parse(text)) == text
    for text in ("65536:0", "1", "1:2:3:4", "no-export", "1:-2", "1:2 json", "1:", "1:²", " 1:2"):
        with pytest.raises(BadRoute):
            Community.parse(text)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_med_has_32_bits(value: int) -> None:
    with pytest.raises(BadRoute):
        Med(value)
