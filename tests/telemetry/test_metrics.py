"""The Prometheus text: parses, adds up, and its labels stay few."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tollway.ports import Generation
from tollway.telemetry.exposition import Exposition
from tollway.telemetry.metrics import SERIES_MAX, Metrics
from tollway.telemetry.readings import ledger_readings


def generation(**fields):
    return Generation(
        **{
            "id": "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
            "workspace_id": "ws_1",
            "key_id": "key_1",
            "created_at": 1_790_000_000_000,
            "model_asked": "acme/one",
            "model": "acme/one",
            "provider": "acme",
            "input_tokens": 1_234,
            "output_tokens": 567,
            "cached_tokens": 1_000,
            "reasoning_tokens": 64,
            "cost_nano": 12_207_000,
            "charge_nano": 13_427_700,
            "latency_ms": 812,
        }
        | fields
    )


def samples(metrics):
    found = {}
    for family in text_string_to_metric_families(Exposition(metrics).text().decode()):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(metrics, name, **labels):
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def test_requests_tokens_and_money_add_up():
    metrics = Metrics()
    metrics.ended(generation(), {})
    metrics.ended(generation(), {})
    metrics.ended(generation(status="error", http_status=502, charge_nano=0, cost_nano=0, input_tokens=0), {})
    where = {"model": "acme/one", "provider": "acme"}
    assert value(metrics, "tollway_requests_total", **where, status="ok", code="200") == 2
    assert value(metrics, "tollway_requests_total", **where, status="error", code="502") == 1
    assert value(metrics, "tollway_tokens_total", **where, kind="input") == 2_468
    assert value(metrics, "tollway_tokens_total", **where, kind="output") == 3 * 567
    assert value(metrics, "tollway_tokens_total", **where, kind="cached") == 3_000
    assert value(metrics, "tollway_tokens_total", **where, kind="reasoning") == 192
    assert value(metrics, "tollway_cost_nano_usd_total", **where) == 24_414_000
    assert value(metrics, "tollway_charge_nano_usd_total", **where) == 26_855_400


def test_histograms_are_cumulative():
    metrics = Metrics()
    for ms in (1, 2, 812, 400_000):
        metrics.ended(generation(latency_ms=ms), {"hold": 700, "call": ms * 1000})
    metrics.ended(generation(is_streamed=True, ttft_ms=120, latency_ms=812), {})
    whole = {"kind": "whole", "status": "ok"}
    bucket = "tollway_request_seconds_bucket"
    assert value(metrics, bucket, **whole, le="0.001") == 1
    assert value(metrics, bucket, **whole, le="0.0025") == 2
    assert value(metrics, bucket, **whole, le="1.0") == 3
    assert value(metrics, bucket, **whole, le="300.0") == 3
    assert value(metrics, bucket, **whole, le="+Inf") == 4
    assert value(metrics, "tollway_request_seconds_count", **whole) == 4
    assert value(metrics, "tollway_request_seconds_sum", **whole) == 400.815
    assert value(metrics, "tollway_request_seconds_count", kind="stream", status="ok") == 1
    assert value(metrics, "tollway_time_to_first_token_seconds_bucket", provider="acme", le="0.25") == 1
    assert value(metrics, "tollway_time_to_first_token_seconds_bucket", provider="acme", le="0.1") == 0
    assert value(metrics, "tollway_stage_seconds_count", stage="hold") == 4
    assert value(metrics, "tollway_stage_seconds_bucket", stage="hold", le="0.001") == 4


def test_refusals_and_upstream_errors():
    metrics = Metrics()
    metrics.refused("invalid_api_key", 401)
    metrics.refused("invalid_api_key", 401)
    metrics.upstream_failed("acme", "rate_limited")
    assert value(metrics, "tollway_refused_total", code="invalid_api_key", status="401") == 2
    assert value(metrics, "tollway_upstream_errors_total", provider="acme", reason="rate_limited") == 1


@dataclass(frozen=True)
class Ledger:
    open_holds: int = 3
    held_nano: int = 71_656_200
    queued: int = 2
    commits: int = 10
    written: int = 40
    bad_debt_nano: int = 0
    leaked_holds: int = 0
    leaked_nano: int = 0
    is_available: bool = True


def test_readings_are_read_at_each_scrape():
    metrics, depth = Metrics(), [0.0]
    metrics.gauge("depth", "How deep.", lambda: depth[0])
    metrics.readings += ledger_readings(Ledger)
    assert value(metrics, "tollway_depth") == 0
    depth[0] = 4
    assert value(metrics, "tollway_depth") == 4
    assert value(metrics, "tollway_holds_open") == 3
    assert value(metrics, "tollway_held_nano_usd") == 71_656_200
    assert value(metrics, "tollway_settle_queue_depth") == 2
    assert value(metrics, "tollway_ledger_commits_total") == 10
    assert value(metrics, "tollway_ledger_available") == 1


def test_labels_stay_few():
    metrics = Metrics()
    for number in range(SERIES_MAX + 50):
        metrics.ended(generation(model=f"m/{number}", provider=f"p{number}", ttft_ms=1), {f"stage{number}": 0.1})
        metrics.refused(f"code{number}", 400)
        metrics.upstream_failed(f"p{number}", "server")
    assert len(metrics.requests) == SERIES_MAX + 1
    found = samples(metrics)
    rest = (("code", "200"), ("model", "other"), ("provider", "other"), ("status", "ok"))
    assert found["tollway_requests_total", rest] == 50
    assert found["tollway_refused_total", (("code", "other"), ("status", "other"))] == 50
    for family in (metrics.ttft, metrics.stages, metrics.refusals, metrics.upstream_errors):
        assert len(family) == SERIES_MAX + 1


def test_label_values_are_escaped():
    metrics = Metrics()
    metrics.ended(generation(model='odd"\\\nname'), {})
    assert value(metrics, "tollway_cost_nano_usd_total", model='odd"\\\nname', provider="acme") == 12_207_000


def test_an_empty_installation_scrapes_too():
    names = {name for name, _ in samples(Metrics())}
    assert "process_resident_memory_bytes" in names
    assert "tollway_telemetry_dropped_total" in names
