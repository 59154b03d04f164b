"""Where a webhook may go: forms of inside addresses, all refused; addresses of the internet, all taken."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.delivery.address import Target, is_inside, target
from tollway.errors import InvalidField

INSIDE = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.0.9",
    "169.254.169.254", "168.63.129.16", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
    "2002:7f00:1::", "2002:c0a8:101::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "febf::1", "fec0::1", "ff02::1", "100::1",
)  # fmt: skip
OUTSIDE = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.1.1",
           "2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808")  # fmt: skip


@pytest.mark.parametrize("text", INSIDE)
def test_inside(text) -> None:
    address = ipaddress.ip_address(text)
    assert is_inside(address)
    host = f"[{text}]" if address.version == 6 else text
    with pytest.raises(InvalidField) as refused:
        target(f"https://{host}/")
    assert refused.value.param == "url"
    assert target(f"https://{host}:8443/x", allow_private=True).port == 8443


@pytest.mark.parametrize("text", OUTSIDE)
def test_outside(text) -> None:
    assert not is_inside(ipaddress.ip_address(text))


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_judged_alike_however_it_is_wrapped(number) -> None:
    plain = ipaddress.IPv4Address(number)
    for prefix in (0xFFFF << 32, 0x64FF9B << 96, 0):
        assert is_inside(ipaddress.IPv6Address(prefix | number)) == is_inside(plain) or (prefix == 0 and number < 2)
    assert is_inside(ipaddress.IPv6Address(0x2002 << 112 | number << 80)) == is_inside(plain)


@given(st.sampled_from([one for one in INSIDE if ":" not in one]), st.data())
def test_no_spelling_of_an_inside_address_is_taken(text, data) -> None:
    octets = [int(one) for one in text.split(".")]
    number = int(ipaddress.IPv4Address(text))
    base = data.draw(st.sampled_from(["{}", "0x{:x}", "0X{:X}", "0{:o}", "00{}"]))
    written = data.draw(
        st.sampled_from(
            [
                base.format(number),
                ".".join(base.format(one) for one in octets),
                f"{octets[0]}.{base.format(number & 0xFFFFFF)}",
                f"{octets[0]}.{octets[1]}.{base.format(number & 0xFFFF)}",
                text + ".",
                f"[::ffff:{text}]",
                f"[0:0:0:0:0:ffff:{octets[0]:x}{octets[1]:02x}:{octets[2]:x}{octets[3]:02x}]",
                f"a@{text}",
                f"{text}@{text}",
            ]
        )
    )
    with pytest.raises(InvalidField):
        target(f"https://{written}/")


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "//example.com", "http://example.com/", "ftp://example.com/", "https:///x", "https://", "https:example.com",
        "https://user:pass@example.com/", "https://user@example.com/", "https://example.com@127.0.0.1/", "https://example.com\\@127.0.0.1/",
        "https://exa mple.com/", "https://example.com/a b", "https://example.com/\r\nhost: x", "https://example.com/\n", "https://example.com/#x",
        "https://example.com:0/", "https://example.com:65536/", "https://example.com:99999999/", "https://example.com:/", "https://example.com:x/",
        "https://[::1/", "https://[::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[12345::]/", "https://ex\u00e4mple.com/", "https://\u24d4xample.com/",
        "https://example..com/", "https://-a.com/", "https://a-.com/", f"https://{'a' * 64}.com/", f"https://{'a.' * 130}com/",
        "https://localhost/", "https://LOCALHOST./", "https://1.2.3/", "https://1.2.3.4.5/", "https://256.1.1.1/", "https://0x7f.1/", "https://foo.0x7f/",
        f"https://example.com/{'a' * 2_048}", "https://example.com?x=1", "HTTPS://example.com/", "javascript:alert(1)", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_refused_as_text(url) -> None:
    with pytest.raises(InvalidField) as refused:
        target(url)
    assert refused.value.param == "url"


@pytest.mark.parametrize(
    ("url", "expected", "authority"),
    [
        ("https://example.com", Target(True, "example.com", 443, "/"), "example.com"),
        ("https://Example.COM./a?b=c%20d", Target(True, "example.com", 443, "/a?b=c%20d"), "example.com"),
        ("https://hooks.example.com:8443/x", Target(True, "hooks.example.com", 8443, "/x"), "hooks.example.com:8443"),
        ("https://xn--bcher-kva.example/", Target(True, "xn--bcher-kva.example", 443, "/"), "xn--bcher-kva.example"),
        ("https://8.8.8.8/", Target(True, "8.8.8.8", 443, "/"), "8.8.8.8"),
        ("https://[2606:4700::1111]:444/", Target(True, "2606:4700::1111", 444, "/"), "[2606:4700::1111]:444"),
        ("https://a_b.example.com/", Target(True, "a_b.example.com", 443, "/"), "a_b.example.com"),
    ],
)
def test_taken_apart(url, expected, authority) -> None:
    assert target(url) == expected
    assert target(url).authority == authority


def test_http_where_the_operator_allows_it() -> None:
    assert target("http://example.com/x", allow_http=True) == Target(False, "example.com", 80, "/x")
    assert target("http://127.0.0.1:9/", allow_http=True, allow_private=True).authority == "127.0.0.1:9"
