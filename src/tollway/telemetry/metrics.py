"""Metrics: plain counters that are folded from ended requests; exposition.py makes Prometheus text of them at a scrape.

Nothing of prometheus_client runs, or is even imported, before that. Labels come from the catalogue and from
our own lists, never from what a caller wrote, and each family is cut at SERIES_MAX: what comes after is counted as
`other`. Money is counted in nano-USD, so that the sums are exact.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping

from tollway.ports import Generation
from tollway.telemetry.readings import Reading

SERIES_MAX = 1_000
"""Per family: models x providers x outcomes of one installation stay far below."""
OTHER = "other"
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
TOKEN_KINDS = ("input", "output", "cached", "reasoning")

Labels = tuple[str, ...]


class Histogram:
    """Observations of one series, in seconds, by BOUNDS_S and above."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total += seconds


class Sums:
    """What is summed per (model, provider, status, HTTP code); tokens in the order of TOKEN_KINDS."""

    __slots__ = ("charge_nano", "cost_nano", "count", "tokens")

    def __init__(self) -> None:
        self.count = self.cost_nano = self.charge_nano = 0
        self.tokens = [0, 0, 0, 0]


class Metrics:
    """All metrics of one process. Not thread-safe: fold and scrape under one lock."""

    def __init__(self) -> None:
        self.requests = dict[Labels, Sums]()
        self.seconds = dict[Labels, Histogram]()
        self.stages = dict[Labels, Histogram]()
        self.ttft = dict[Labels, Histogram]()
        self.refusals = dict[Labels, int]()
        self.upstream_errors = dict[Labels, int]()
        self.readings = list[Reading]()
        self.dropped = 0
        """Ended requests that were not recorded because the writer could not keep up."""

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a number that somebody else keeps, read at each scrape: `tollway_` + `name`."""
        self.readings.append(Reading(f"tollway_{name}", meaning, is_counter=False, read=read))

    def ended(self, generation: Generation, stages: Mapping[str, int]) -> None:
        """Fold in one request; `stages` in microseconds."""
        requests = self.requests
        series = (generation.model, generation.provider, generation.status, str(generation.http_status))
        sums = requests.get(series)
        if sums is None:
            if len(requests) >= SERIES_MAX:
                series = (OTHER, OTHER, generation.status, str(generation.http_status))
            sums = requests.setdefault(series, Sums())
        sums.count += 1
        sums.cost_nano += generation.cost_nano
        sums.charge_nano += generation.charge_nano
        tokens = sums.tokens
        tokens[0] += generation.input_tokens
        tokens[1] += generation.output_tokens
        tokens[2] += generation.cached_tokens
        tokens[3] += generation.reasoning_tokens
        kind = "stream" if generation.is_streamed else "whole"
        _series(self.seconds, (kind, generation.status)).observe(generation.latency_ms / 1000)
        if generation.ttft_ms:
            _series(self.ttft, (generation.provider,)).observe(generation.ttft_ms / 1000)
        known = self.stages
        for stage, micros in stages.items():
            labels, seconds = (stage,), micros / 1_000_000
            histogram = known.get(labels) or _series(known, labels)
            histogram.counts[bisect_left(BOUNDS_S, seconds)] += 1
            histogram.total += seconds

    def refused(self, code: str, status: int) -> None:
        """Fold in a request that was refused before it had a hold."""
        _count(self.refusals, (code, str(status)))

    def upstream_failed(self, provider: str, reason: str) -> None:
        """Fold in a failed attempt."""
        _count(self.upstream_errors, (provider, reason))


def _series(family: dict[Labels, Histogram], labels: Labels) -> Histogram:
    found = family.get(labels)
    if found is None:
        if len(family) >= SERIES_MAX:
            labels = (OTHER,) * len(labels)
        found = family.setdefault(labels, Histogram())
    return found


def _count(family: dict[Labels, int], labels: Labels) -> None:
    if labels not in family and len(family) >= SERIES_MAX:
        labels = (OTHER,) * len(labels)
    family[labels] = family.get(labels, 0) + 1
