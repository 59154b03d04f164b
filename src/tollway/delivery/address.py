"""Where a webhook may go: one parser of its URL, and the addresses that are nobody's to reach through us.

What customers write is asked for from inside the operator's network, so a URL is taken apart once, by a grammar that
has no two readings (security.md CVE-2026-45400, 45401); its name is resolved once, every address that it stands for is
judged, and the connection goes to the judged address itself. Forms of an address that only some parsers read (decimal,
hexadecimal, short) are refused as text, and would be refused again as the address they come to.
"""

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from tollway.errors import InvalidField

URL_MAX = 2_048
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)?",
    re.ASCII,
)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+", re.ASCII)
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_REFUSED = tuple(
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "168.63.129.16/32",  # a public address that answers virtual machines of one cloud about themselves
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "64:ff9b:1::/48",  # NAT64 of one's own network
        "100::/64",
        "2001::/23",  # Teredo and other tunnels
        "fec0::/10",
    )
)


class Target(NamedTuple):
    """A URL taken apart. host: a name, or an address without brackets. path: with its query, as it is sent."""

    is_tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def target(url: str, *, allow_http: bool = False, allow_private: bool = False) -> Target:
    """A webhook's URL taken apart.

    Raises:
        InvalidField: it is no URL that we send to; `param` is `url`, and the message says what would do.
    """
    if len(url) > URL_MAX:
        raise _bad(f"it has {len(url)} characters; at most {URL_MAX} are taken")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise _bad("it carries credentials; leave them out, our signature says who we are")
    if "#" in url:
        raise _bad("it has a fragment, which is never sent; leave it out")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise _bad("write it whole, in ASCII: https://, then the host (other scripts as xn--...), then the path")
    scheme, host = parts["scheme"], parts["host"].lower()
    if scheme == "http" and not allow_http:
        raise _bad("it is not encrypted; write https://")
    port = int(parts["port"]) if parts["port"] else _PORTS[scheme]
    if not 1 <= port <= 65_535:
        raise _bad(f"port {port} does not exist; ports are 1 to 65535")
    found = Target(scheme == "https", _host(host), port, parts["path"] or "/")
    literal = _literal(found.host)
    if literal is not None and not allow_private and is_inside(literal):
        raise _bad(f"{found.host} is not an address of the internet; webhooks go to public addresses")
    if found.host == "localhost" and not allow_private:
        raise _bad("it leads to this machine; webhooks go to public addresses")
    return found


def _host(host: str) -> str:
    """A host as it is resolved. Raises InvalidField."""
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1]))
        except ValueError:
            raise _bad(f"{host} is not an IPv6 address") from None
    labels = host.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # Only the one form that everybody reads alike: 2130706433, 0x7f.1 and 127.1 are 127.0.0.1 to some.
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise _bad(f"{host} is not an IPv4 address; write four decimal numbers with dots between them") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(one) for one in labels):
        raise _bad(f"{host[:100]} is not the name of a host")
    return ".".join(labels)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_inside(address: IPv4Address | IPv6Address) -> bool:
    """No address of the public internet: private, loopback, link-local, shared, reserved, multicast; however wrapped."""
    if isinstance(address, IPv6Address):
        inner = _wrapped(address)
        if inner is not None:
            return is_inside(inner)
    return (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or any(address in network for network in _REFUSED if network.version == address.version)
    )


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or int(address) >> 32 == 0:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _bad(problem: str) -> InvalidField:
    return InvalidField(f"`url`: {problem}", param="url")
