"""The Prometheus text of our metrics, in a registry of its own. Imported at the first scrape."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tollway.telemetry.metrics import BOUNDS_S, TOKEN_KINDS, Histogram, Labels, Metrics, Sums

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_BOUNDS = (*map(str, BOUNDS_S), "+Inf")


class Exposition(Collector):
    """Turns counters into metric families when asked."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Everything, in the text format of CONTENT_TYPE."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client's Collector."""
        metrics = self._metrics
        yield from _requests(metrics.requests)
        yield _histogram(
            "tollway_request_seconds", "From admission to the last byte.", ("kind", "status"), metrics.seconds
        )
        yield _histogram("tollway_stage_seconds", "At each stage of the road.", ("stage",), metrics.stages)
        yield _histogram(
            "tollway_time_to_first_token_seconds", "To the first byte of a stream.", ("provider",), metrics.ttft
        )
        yield _counter("tollway_refused", "Requests refused before a hold.", ("code", "status"), metrics.refusals)
        yield _counter(
            "tollway_upstream_errors", "Failed attempts at providers.", ("provider", "reason"), metrics.upstream_errors
        )
        yield CounterMetricFamily(
            "tollway_telemetry_dropped", "Requests that no log line or metric tells of.", value=metrics.dropped
        )
        for name, meaning, is_counter, read in metrics.readings:
            family = CounterMetricFamily if is_counter else GaugeMetricFamily
            yield family(name, meaning, value=read())


def _requests(all_sums: Mapping[Labels, Sums]) -> Iterable[Metric]:
    where = ("model", "provider")
    requests = CounterMetricFamily(
        "tollway_requests", "Requests that had a hold, by how they ended.", labels=(*where, "status", "code")
    )
    tokens = CounterMetricFamily("tollway_tokens", "Tokens by kind.", labels=(*where, "kind"))
    cost = CounterMetricFamily("tollway_cost_nano_usd", "What providers cost.", labels=where)
    charge = CounterMetricFamily("tollway_charge_nano_usd", "What was charged.", labels=where)
    totals = dict[Labels, Sums]()
    for labels, sums in all_sums.items():
        requests.add_metric(labels, sums.count)
        total = totals.setdefault(labels[:2], Sums())
        total.cost_nano += sums.cost_nano
        total.charge_nano += sums.charge_nano
        total.tokens = [one + more for one, more in zip(total.tokens, sums.tokens, strict=True)]
    for labels, total in totals.items():
        cost.add_metric(labels, total.cost_nano)
        charge.add_metric(labels, total.charge_nano)
        for kind, count in zip(TOKEN_KINDS, total.tokens, strict=True):
            tokens.add_metric((*labels, kind), count)
    return requests, tokens, cost, charge


def _counter(name: str, meaning: str, labels: Labels, counts: Mapping[Labels, int]) -> CounterMetricFamily:
    metric = CounterMetricFamily(name, meaning, labels=labels)
    for values, count in counts.items():
        metric.add_metric(values, count)
    return metric


def _histogram(name: str, meaning: str, labels: Labels, family: Mapping[Labels, Histogram]) -> HistogramMetricFamily:
    metric = HistogramMetricFamily(name, meaning, labels=labels)
    for values, histogram in family.items():
        metric.add_metric(values, _buckets(histogram), histogram.total)
    return metric


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """(upper bound, how many up to it), as Prometheus wants them."""
    sums, reached = list[tuple[str, float]](), 0
    for bound, count in zip(_BOUNDS, histogram.counts, strict=True):
        reached += count
        sums.append((bound, reached))
    return sums
