"""Spans as a collector receives them."""

import asyncio
import builtins
import io
import json
import socket
import threading
import time

import pytest
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

from tollway.errors import ConfigurationError
from tollway.ports import Generation
from tollway.telemetry import RequestTelemetry, traces
from tollway.telemetry.traces import Traces, provider_name

CANARY = "canary-5d0c7b1e"
ID = "019b0000-1111-7e5f-8a9b-0c1d2e3f4a5b"
ONE = Generation(
    id=ID,
    workspace_id="ws_1",
    key_id="key_1",
    created_at=1_790_000_000_000,
    model_asked="one",
    model="acme/one",
    provider="acme",
    status="ok",
    is_streamed=True,
    finish_reason="stop",
    input_tokens=1_234,
    output_tokens=567,
    cached_tokens=1_000,
    usage_source="provider",
    cost_nano=12_207_000,
    charge_nano=13_427_700,
    latency_ms=812,
    ttft_ms=120,
    user_id=CANARY,
    receipt=json.dumps(
        {
            "metadata": {"x": CANARY},
            "attempts": [
                {
                    "provider": "google",
                    "model": "acme/one",
                    "status": 503,
                    "reason": "overloaded",
                    "started_ms": 1,
                    "ended_ms": 90,
                },
                {
                    "provider": "acme",
                    "model": "acme/one",
                    "status": 200,
                    "reason": "ok",
                    "started_ms": 100,
                    "ended_ms": 812,
                },
            ],
        }
    ).encode(),
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def plain(span):
    def value(any_value):
        kind = any_value.WhichOneof("value")
        if kind == "array_value":
            return [value(one) for one in any_value.array_value.values]
        return getattr(any_value, kind)

    return {one.key: value(one.value) for one in span.attributes}


async def received(*generations, count):
    port = free_port()
    async with OtelTapHttpProtobufReceiver(OtelTapHttpProtobufReceiverSettings(http_port=port)) as tap:
        one = RequestTelemetry(
            otlp_endpoint=f"http://127.0.0.1:{port}", stream=io.BytesIO(), hosts={"acme": ("api.acme.test", 443)}
        )
        spans = []

        def collect(span):
            spans.append(span)
            return len(spans) == count

        coming = asyncio.create_task(tap.await_trace(collect, timeout=20))
        await asyncio.sleep(0)  # it listens from now on
        for generation in generations:
            one.finished(generation, {"call": 800_000})
        await asyncio.to_thread(one.close)
        await coming
        return spans


def test_one_request_and_its_attempts():
    spans = asyncio.run(received(ONE, count=3))
    by_name = {span.name: span for span in spans}
    assert set(by_name) == {"chat acme/one", "attempt google", "attempt acme"}
    root = by_name["chat acme/one"]
    assert root.trace_id.hex() == ID.replace("-", "")
    assert root.kind == 2  # SERVER
    assert root.start_time_unix_nano == 1_790_000_000_000_000_000
    assert root.end_time_unix_nano == 1_790_000_000_812_000_000
    assert plain(root) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "one",
        "gen_ai.response.model": "acme/one",
        "gen_ai.response.id": ID,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 1_234,
        "gen_ai.usage.output_tokens": 567,
        "gen_ai.usage.cache_read.input_tokens": 1_000,
        "server.address": "api.acme.test",
        "server.port": 443,
        "http.response.status_code": 200,
        "tollway.request_id": ID,
        "tollway.workspace_id": "ws_1",
        "tollway.key_id": "key_1",
        "tollway.usage_source": "provider",
        "tollway.cost_nano": 12_207_000,
        "tollway.charge_nano": 13_427_700,
        "tollway.stream": True,
        "tollway.ttft_ms": 120,
    }
    failed, answered = by_name["attempt google"], by_name["attempt acme"]
    for attempt in (failed, answered):
        assert attempt.parent_span_id == root.span_id
        assert attempt.trace_id == root.trace_id
        assert attempt.kind == 3  # CLIENT
    assert plain(failed)["gen_ai.provider.name"] == "gcp.gemini"
    assert plain(failed)["error.type"] == "overloaded"
    assert failed.status.code == 2
    assert (answered.start_time_unix_nano - root.start_time_unix_nano) == 100_000_000
    assert "error.type" not in plain(answered)
    assert CANARY not in "".join(map(str, spans))


def test_a_failed_request_says_what_failed():
    failed = Generation(
        "no uuid",
        "w",
        "k",
        1_790_000_000_000,
        "m" * 500,
        status="error",
        http_status=502,
        error_code="upstream_error",
        receipt=b"not json",
    )
    gone = Generation(ID, "w", "k", 1_790_000_000_000, "m", model="m", status="cancelled", http_status=499)
    first, second = asyncio.run(received(failed, gone, count=2))
    assert first.name == "chat " + "m" * 128
    assert first.trace_id != b"\x00" * 16
    assert plain(first)["error.type"] == "upstream_error"
    assert first.status.code == 2
    assert plain(second)["error.type"] == "cancelled"


def test_a_collector_that_is_away_stops_nobody(monkeypatch):
    monkeypatch.setattr(traces, "CLOSE_S", 0.5)
    one = RequestTelemetry(otlp_endpoint=f"http://127.0.0.1:{free_port()}/v1/traces", stream=io.BytesIO())
    one.finished(ONE, {})
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 5
    for thread in threading.enumerate():
        if thread.name == "traces":
            thread.join(10)
            assert not thread.is_alive()
    assert b"tollway_requests_total" in one.metrics_text()


def test_without_the_extra_the_start_stops_and_says_how(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigurationError, match="uv run --extra otel"):
        Traces("http://127.0.0.1:1")


def test_nothing_is_imported_without_an_endpoint():
    import subprocess
    import sys

    code = "import sys, tollway.telemetry as t; t.RequestTelemetry(); print([m for m in sys.modules if m.startswith(('opentelemetry', 'prometheus'))])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_provider_names_of_the_convention():
    assert provider_name("google") == "gcp.gemini"
    assert provider_name("openai") == "openai"
