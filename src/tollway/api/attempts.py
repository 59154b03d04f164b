"""How often somebody may try: logins, sign-ups, mails asked for. Counted per UTC minute, in memory."""

from collections import Counter
from ipaddress import IPv6Address, ip_address

from starlette.requests import Request

from tollway.errors import RateLimited
from tollway.ports import Clock

_KEPT_MAX = 100_000


class Attempts:
    """Counts of this minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    def take(self, what: str, who: str, most: int) -> None:
        """Count one try of `who`. Raises RateLimited when `most` were made in this minute."""
        now = int(self._clock.now())
        if self._minute != now // 60:
            self._minute = now // 60
            self._counts.clear()
        # A crowd of strangers must not fill the memory; beyond it, only those are counted who are counted already.
        is_full = len(self._counts) >= _KEPT_MAX and (what, who) not in self._counts
        if self._counts[what, who] >= most or is_full:
            reset = (self._minute + 1) * 60
            raise RateLimited(
                f"too many tries to {what}: at most {most} per minute; try again in {reset - now} s",
                limit=most,
                reset=reset,
                retry_after_seconds=reset - now,
            )
        self._counts[what, who] += 1

    def give_back(self, what: str, who: str) -> None:
        """The try was a good one and does not count."""
        if self._counts[what, who] > 0:
            self._counts[what, who] -= 1


def address_of(request: Request) -> str:
    """Who is at the other end of the connection: an IPv4 address, or the /64 network of an IPv6 address."""
    host = "" if request.client is None else request.client.host
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped) if address.ipv4_mapped else str(IPv6Address(int(address) >> 64 << 64))
