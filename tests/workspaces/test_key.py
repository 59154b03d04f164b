"""Keys: their form, their public part, their digest."""

import os
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.errors import ValidationFailed
from tollway.workspaces.key import (
    ADMIN_PREFIX,
    Key,
    checked_networks,
    digest,
    ip_is_allowed,
    lies_within,
    looks_like_key,
    new_secret,
    public_part,
)


def test_a_key_has_32_random_bytes_and_a_public_part() -> None:
    secret = new_secret(os.urandom)
    assert secret.startswith("tw_")
    assert len(secret) == 3 + 4 + 43
    assert looks_like_key(secret)
    assert public_part(secret) == secret[:7]
    assert 62**43 > 2**256


def test_an_operator_token_is_no_key() -> None:
    token = new_secret(os.urandom, ADMIN_PREFIX)
    assert looks_like_key(token, ADMIN_PREFIX)
    assert not looks_like_key(token)


def test_only_a_digest_under_the_pepper_is_kept() -> None:
    secret = new_secret(os.urandom)
    assert len(digest(secret, b"a" * 32)) == 32
    assert digest(secret, b"a" * 32) != digest(secret, b"b" * 32)


@given(st.text(max_size=60))
def test_other_text_does_not_look_like_a_key(text) -> None:
    assert not looks_like_key(text) or (text.isascii() and text.startswith("tw_") and len(text) == 50)


@given(st.binary(min_size=32, max_size=32))
def test_every_32_bytes_give_a_well_formed_key(number) -> None:
    assert looks_like_key(new_secret(lambda count: number[:count]))


def from_(*networks: str) -> Key:
    return Key("k", "w", "o", "name", "tw_abcd", ip_allow=checked_networks(networks))


@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        (("203.0.113.7",), ("203.0.113.7", "::ffff:203.0.113.7"), ("203.0.113.8", "::1")),
        (("::ffff:203.0.113.7",), ("203.0.113.7",), ("203.0.113.8",)),
        (("10.0.0.0/8", "::1"), ("10.255.255.255", "::1", "0:0:0:0:0:0:0:1"), ("11.0.0.0", "::2", "127.0.0.1")),
        (("2001:db8::/32",), ("2001:db8::", "2001:db8:ffff::1"), ("2001:db9::", "10.0.0.1", "::ffff:10.0.0.1")),
        (("0.0.0.0/0",), ("1.2.3.4", "::ffff:1.2.3.4"), ("::1",)),
        (("::/0",), ("::1", "2001:db8::1"), ("1.2.3.4",)),
        (("10.0.0.0/8",), (), ("", "unix", "10.0.0.1:80", "10.0.0", "010.0.0.1")),
    ],
)
def test_a_key_works_from_its_networks_only(networks, inside, outside) -> None:
    key = from_(*networks)
    assert [one for one in inside if not ip_is_allowed(key, one)] == []
    assert [one for one in outside if ip_is_allowed(key, one)] == []


def test_a_key_without_networks_works_from_everywhere() -> None:
    assert all(ip_is_allowed(from_(), one) for one in ("1.2.3.4", "::1", "", "unix"))


def test_networks_are_kept_in_one_form() -> None:
    given = [" 10.0.0.0/8", "203.0.113.7/32", "203.0.113.7", "2001:DB8:0::/32", "::ffff:10.1.0.0/112"]
    assert checked_networks(given) == ("10.0.0.0/8", "203.0.113.7", "2001:db8::/32", "10.1.0.0/16")


@pytest.mark.parametrize(
    "text", ["", "x", "10.0.0.1/8", "1.2.3.4/33", "fe80::1%eth0", "1.2.3", "1.2.3.4:80", "::1/129"]
)
def test_what_is_no_network(text) -> None:
    with pytest.raises(ValidationFailed) as refused:
        checked_networks(["::1", text])
    assert refused.value.param == "ip_allow[1]"
    assert "Write" in refused.value.message


def test_a_key_takes_a_hundred_networks() -> None:
    assert len(checked_networks([f"10.0.0.{n}" for n in range(100)])) == 100
    with pytest.raises(ValidationFailed, match="takes 100"):
        checked_networks([f"10.0.0.{n}" for n in range(101)])


networks = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda one: str(ip_network((one[0], one[1]), strict=False))
)


@given(st.lists(networks, max_size=4), st.integers(0, 2**32 - 1))
def test_allowed_is_what_the_standard_library_says(some, number) -> None:
    address = ip_address(number)
    expected = not some or any(address in ip_network(one) for one in some)
    assert ip_is_allowed(from_(*some), str(address)) is expected
    assert ip_is_allowed(from_(*some), f"::ffff:{address}") is expected


@given(st.lists(networks, max_size=3), st.lists(networks, max_size=3), st.integers(0, 2**32 - 1))
def test_what_lies_within_allows_no_address_more(inner, outer, number) -> None:
    a, b = from_(*inner), from_(*outer)
    if lies_within(a.ip_allow, b.ip_allow) and ip_is_allowed(a, str(ip_address(number))):
        assert ip_is_allowed(b, str(ip_address(number)))


def test_lies_within() -> None:
    for inner, outer, expected in (
        ((), (), True), (("10.0.0.1",), (), True), ((), ("10.0.0.0/8",), False), (("10.0.0.1",), ("10.0.0.0/8",), True),
        (("10.0.0.1", "::1"), ("10.0.0.0/8",), False), (("10.0.0.1", "::1"), ("::/0", "10.0.0.0/8"), True),
        (("10.0.0.0/7",), ("10.0.0.0/8",), False),
    ):  # fmt: skip
        assert lies_within(inner, outer) is expected


@pytest.mark.parametrize(
    ("state", "is_disabled", "is_revoked", "told"),
    [
        ("active", False, False, ""),
        ("disabled", True, False, "Enable it again"),
        ("revoked", True, True, "Create another"),
        ("workspace_deleted", True, False, "Restore the workspace"),
    ],
)
def test_what_a_key_is_and_what_would_do(state, is_disabled, is_revoked, told) -> None:
    key = Key("k", "w", "o", "name", "tw_abcd", state=state)
    assert (key.is_disabled, key.is_revoked) == (is_disabled, is_revoked)
    assert told in key.refusal
