"""How each offer is doing: what the road writes down after every attempt, and ranking reads before the next request.

Writing must cost next to nothing, since every request does it: fixed arrays per offer, nothing is worked out. Reading
works out what it needs and keeps it until there is something new. All of it is this process's own and is lost with it.

| what happened | error rate | breaker (routing/breaker.py) |
|---|---|---|
| server, connection, timeout, malformed, overloaded | counts | counts |
| rate_limited | counts | counts half: it is our pace, not their fault |
| no_auth, not_found | counts | opens it at once and for longer, unless the offer has answered in the last minute |
| bad_request, context_length, content_filter, cancelled | nothing | nothing: it is about the request |
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from math import ceil, inf

from tollway.routing.breaker import GRAVE, LIGHT, PLAIN, PROBE_TIMEOUT_S, Breaker
from tollway.routing.failure import FailureKind
from tollway.routing.standing import UNKNOWN, OfferHealth

OFFERS_MAX = 10_000
"""More than a catalogue's offers that are ever called; beyond it the offer that was called first is forgotten."""
LATENCIES = 200
LATENCY_AGE_S = 600.0
BUCKETS, BUCKET_S = 10, 30
"""The error rate is that of the last five minutes."""
SMOOTHING = 0.2
"""What the newest observation weighs in an average that forgets."""
_KEPT_S = 1.0
_RESORT_EVERY = 16

WEIGHTS: dict[str, int] = {
    FailureKind.SERVER: PLAIN,
    FailureKind.CONNECTION: PLAIN,
    FailureKind.TIMEOUT: PLAIN,
    FailureKind.MALFORMED: PLAIN,
    FailureKind.OVERLOADED: PLAIN,
    FailureKind.RATE_LIMITED: LIGHT,
    FailureKind.NO_AUTH: GRAVE,
    FailureKind.NOT_FOUND: GRAVE,
}
"""What counts against an offer; every other kind, known or not, says nothing of it."""


class _Record:
    """What is remembered of one offer."""

    __slots__ = (
        "at", "bads", "breaker", "count", "eras", "ewma_ms", "failed_at", "fresh", "health", "kept_until", "latencies",
        "oks", "p50_ms", "p95_ms", "place", "sorted_until", "tokens_per_s", "ttft_ms", "whole_tokens_per_s",
    )  # fmt: skip

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.latencies = array("d", bytes(8 * LATENCIES))
        self.at = array("d", bytes(8 * LATENCIES))
        self.place = self.count = self.fresh = 0
        self.eras = [-1] * BUCKETS
        self.oks = [0] * BUCKETS
        self.bads = [0] * BUCKETS
        self.ewma_ms = self.ttft_ms = self.tokens_per_s = self.whole_tokens_per_s = self.failed_at = 0.0
        self.p50_ms = self.p95_ms = self.sorted_until = self.kept_until = 0.0
        self.health: OfferHealth | None = None

    def timed(self, latency_ms: float, now: float) -> None:
        """An answer took so long."""
        place = self.place
        self.latencies[place], self.at[place] = latency_ms, now
        self.place = place + 1 if place + 1 < LATENCIES else 0
        self.count += 1
        self.fresh += 1
        average = self.ewma_ms
        self.ewma_ms = average + SMOOTHING * (latency_ms - average) if average else latency_ms

    def first_byte(self, ttft_ms: float) -> None:
        """A stream began so long after it was asked for."""
        average = self.ttft_ms
        self.ttft_ms = average + SMOOTHING * (ttft_ms - average) if average else ttft_ms

    def errors(self, now: float) -> tuple[int, int]:
        """(samples, failures) of the last five minutes."""
        oldest = int(now // BUCKET_S) - BUCKETS
        bad = samples = 0
        for era, oks, bads in zip(self.eras, self.oks, self.bads, strict=True):
            if era > oldest:
                samples += oks + bads
                bad += bads
        return samples, bad

    def sort(self, now: float) -> None:
        """Work out the percentiles, unless too little has changed."""
        if self.fresh < min(_RESORT_EVERY, self.count // 8 + 1) and now < self.sorted_until:
            return
        since = now - LATENCY_AGE_S
        size = min(self.count, LATENCIES)
        recent = sorted(ms for ms, at in zip(self.latencies[:size], self.at[:size], strict=True) if at > since)
        self.p50_ms, self.p95_ms = _ranked(recent, 0.5), _ranked(recent, 0.95)
        self.fresh, self.sorted_until = 0, now + _KEPT_S


class OfferHealthBook:
    """See `routing.standing.Health`. Every `now` is unix seconds; not thread-safe, the event loop's alone."""

    def __init__(self) -> None:
        self._offers = dict[str, _Record]()

    def record(
        self,
        offer_id: str,
        *,
        is_ok: bool,
        kind: str = "",
        latency_ms: float = 0.0,
        ttft_ms: float = 0.0,
        output_tokens: int = 0,
        now: float,
    ) -> None:
        """An attempt ended, or a stream began to answer.

        Args:
            kind: of the failure, or `cancelled`.
            latency_ms: to the end of the answer, or to the failure; 0: it is a stream that has only begun.
            ttft_ms: to its first byte; 0 for a whole answer.
            output_tokens: 0 when not known yet: see `finished`.
        """
        one = self._offers.get(offer_id) or self._added(offer_id)
        began = now - (latency_ms or ttft_ms) / 1000
        if not is_ok:
            self._failed(one, kind, began, now)
            return
        era = int(now // BUCKET_S)
        slot = era % BUCKETS
        if one.eras[slot] != era:
            one.eras[slot], one.oks[slot], one.bads[slot] = era, 0, 0
        one.oks[slot] += 1
        one.kept_until = 0.0
        one.breaker.succeeded(began, now)
        if ttft_ms:
            one.first_byte(ttft_ms)
        if latency_ms:
            one.timed(latency_ms, now)
            if output_tokens:
                _wrote(one, latency_ms, ttft_ms, output_tokens)

    def finished(self, offer_id: str, *, latency_ms: float, ttft_ms: float, output_tokens: int, now: float) -> None:
        """An answer that `record` knows of has come to its end: how long a stream took, and how fast it was written.

        Args:
            latency_ms: from asking to the end. ttft_ms: to the first byte; 0 for a whole answer, which was timed already.
            output_tokens: that were delivered.
        """
        one = self._offers.get(offer_id) or self._added(offer_id)
        if ttft_ms:
            one.timed(latency_ms, now)
        if output_tokens:
            _wrote(one, latency_ms, ttft_ms, output_tokens)
        one.kept_until = 0.0

    def broke(self, offer_id: str, *, kind: str, latency_ms: float, now: float) -> None:
        """A stream that had begun to answer broke off: it was no success after all."""
        one = self._offers.get(offer_id) or self._added(offer_id)
        slot = int(now // BUCKET_S) % BUCKETS
        if one.eras[slot] == now // BUCKET_S and one.oks[slot] and kind in WEIGHTS:
            one.oks[slot] -= 1
        self._failed(one, kind, now - latency_ms / 1000, now, takes_back=True)

    def admits(self, offer_id: str, now: float) -> bool:
        """The offer may be asked now. A yes may be the one probe of a half-open breaker: ask only right before an attempt."""
        one = self._offers.get(offer_id)
        if one is None or one.breaker.state == "closed":
            return True
        one.kept_until = 0.0
        return one.breaker.admits(now)

    def released(self, offer_id: str) -> None:
        """What `admits` or `last_resort` let through was not sent after all."""
        one = self._offers.get(offer_id)
        if one is not None:
            one.breaker.ended(inf)

    def last_resort(self, offer_ids: Iterable[str], now: float) -> str | None:
        """The offer to ask when none of these is admitted: the one whose pause ends first, as a probe before its time.

        None: each has a probe on its way already, and this request has to be refused.
        """
        chosen: Breaker | None = None
        chosen_id: str | None = None
        for offer_id in offer_ids:
            breaker = (self._offers.get(offer_id) or self._added(offer_id)).breaker
            if not breaker.is_probed(now) and (chosen is None or breaker.reopens_at < chosen.reopens_at):
                chosen, chosen_id = breaker, offer_id
        if chosen is not None:
            chosen.probe(now)
        return chosen_id

    def retry_after_s(self, offer_ids: Iterable[str], now: float) -> int:
        """Whole seconds, at least 1, after which one of these, none of which is admitted now, can be asked again."""
        waits = list[float]()
        for offer_id in offer_ids:
            one = self._offers.get(offer_id)
            if one is not None:
                waits.append(one.breaker.reopens_at - now)
        return max(1, ceil(min(PROBE_TIMEOUT_S, *waits))) if waits else 1

    def of(self, offer_id: str, now: float) -> OfferHealth:
        """See `Health.of`: as of now, or of at most a second ago if nothing has happened since."""
        one = self._offers.get(offer_id)
        if one is None:
            return UNKNOWN
        if one.health is not None and now < one.kept_until:
            return one.health
        one.sort(now)
        samples, bad = one.errors(now)
        state = one.breaker.state_at(now)
        one.health = OfferHealth(
            state,
            bad / samples if samples else 0.0,
            one.ewma_ms,
            one.p50_ms,
            one.p95_ms,
            one.ttft_ms,
            one.tokens_per_s or one.whole_tokens_per_s,
            one.failed_at,
            samples,
        )
        one.kept_until = now + _KEPT_S if state == "closed" else min(now + _KEPT_S, _turns_at(one.breaker, now))
        return one.health

    def all(self, now: float) -> Iterator[tuple[str, OfferHealth]]:
        """Every offer that was called, in the order of their first calls."""
        for offer_id in tuple(self._offers):
            yield offer_id, self.of(offer_id, now)

    def show(self, gauge: Callable[[str, str, Callable[[], float]], None], now: Callable[[], float]) -> None:
        """Show as metrics how many offers are in which state; `gauge` takes a name, a meaning and how to read it."""

        def count(state: str) -> Callable[[], float]:
            return lambda: sum(one.breaker.state_at(now()) == state for one in tuple(self._offers.values()))

        gauge("offers_called", "Offers that were called.", lambda: len(self._offers))
        gauge("offers_open", "Offers that are out until their pause is over.", count("open"))
        gauge("offers_half_open", "Offers that are tried by one request at a time.", count("half_open"))

    def reset(self, offer_id: str) -> None:
        """Forget an offer: its credential or its place in the catalogue was changed."""
        self._offers.pop(offer_id, None)

    def clear(self) -> None:
        """Forget every offer."""
        self._offers.clear()

    def _added(self, offer_id: str) -> _Record:
        offers = self._offers
        if len(offers) >= OFFERS_MAX:
            del offers[next(iter(offers))]
        return offers.setdefault(offer_id, _Record())

    def _failed(self, one: _Record, kind: str, began: float, now: float, *, takes_back: bool = False) -> None:
        weight = WEIGHTS.get(kind)
        if weight is None:
            one.breaker.ended(began)
            return
        era = int(now // BUCKET_S)
        slot = era % BUCKETS
        if one.eras[slot] != era:
            one.eras[slot], one.oks[slot], one.bads[slot] = era, 0, 0
        one.bads[slot] += 1
        one.failed_at, one.kept_until = now, 0.0
        one.breaker.failed(weight, began, now, takes_back=takes_back)


def _wrote(one: _Record, latency_ms: float, ttft_ms: float, output_tokens: int) -> None:
    """How fast output came: after the first byte of a stream; of a whole answer all of it, and only until a stream tells."""
    writing_ms = latency_ms - ttft_ms
    if writing_ms < 1:
        # All of it came at once: that says how it was sent, not how fast it was written.
        return
    pace = output_tokens * 1000 / writing_ms
    if ttft_ms:
        average = one.tokens_per_s
        one.tokens_per_s = average + SMOOTHING * (pace - average) if average else pace
    else:
        average = one.whole_tokens_per_s
        one.whole_tokens_per_s = average + SMOOTHING * (pace - average) if average else pace


def _ranked(ordered: list[float], share: float) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    return ordered[ceil(share * len(ordered)) - 1] if ordered else 0.0


def _turns_at(breaker: Breaker, now: float) -> float:
    """The next instant at which an open breaker looks different by itself."""
    return breaker.reopens_at if breaker.reopens_at > now else inf
