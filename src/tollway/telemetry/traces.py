"""Traces by OpenTelemetry, only when an endpoint is configured: one span per request, one child per attempt.

Names and attributes are those of the GenAI conventions, and no content is ever recorded. The trace's id is that of the
request, so that X-Request-ID finds it. Spans are made after the fact, in the writer's thread, out of the receipt.
Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans (read 2026-11-24).
"""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from tollway.errors import ConfigurationError
from tollway.ports import Generation

if TYPE_CHECKING:
    from opentelemetry.trace import Span

CLOSE_S = 3.0
_NANO_PER_MS = 1_000_000
_WELL_KNOWN = {
    "google": "gcp.gemini",
    "gemini": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "azure": "azure.ai.openai",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "xai": "x_ai",
}
"""Our provider ids where the convention has another name."""

Attribute = str | int | float | bool | list[str]


class _Attempt(msgspec.Struct):
    """An attempt as the receipt keeps it; times in ms since the request began."""

    provider: str = ""
    model: str = ""
    status: int = 0
    reason: str = ""
    started_ms: float = 0
    ended_ms: float = 0


class _Receipt(msgspec.Struct):
    attempts: list[_Attempt] = []


_receipt = msgspec.json.Decoder(_Receipt).decode


class Traces:
    """Sends spans to an OTLP/HTTP collector, in batches. Use from one thread."""

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str] | None = None,
        service_name: str = "tollway",
        hosts: Mapping[str, tuple[str, int]] | None = None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            endpoint: base URL of the collector; `/v1/traces` is added where it is missing.
            headers: sent with each batch; may carry a credential.
            service_name: as the collector will show us.
            hosts: provider id -> (host, port), for `server.address` and `server.port`.

        Raises:
            ConfigurationError: the `otel` extra is not installed.
        """
        try:
            # Heavy, optional, and useless without an endpoint.
            from opentelemetry import trace  # noqa: PLC0415
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415
        except ImportError:
            raise ConfigurationError(
                file="environment",
                line=None,
                key="telemetry.otlp_endpoint",
                problem="traces are asked for, but OpenTelemetry is not installed",
                fix="start with the extra: `uv run --extra otel tollway serve`, or leave the setting out",
            ) from None
        url = endpoint.rstrip("/")
        url = url if url.endswith("/v1/traces") else f"{url}/v1/traces"

        class RequestIds(RandomIdGenerator):
            """The trace of a request has the request's id."""

            trace_id = 0

            def generate_trace_id(self) -> int:
                return self.trace_id or super().generate_trace_id()

        self._api = trace
        self._ids = RequestIds()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service_name}), id_generator=self._ids, shutdown_on_exit=False
        )
        self._exporter = OTLPSpanExporter(endpoint=url, headers=dict(headers or {}))
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("tollway")
        self._hosts = dict(hosts or {})

    def ended(self, generation: Generation) -> None:
        """Record one request and its attempts."""
        one = generation
        kind = self._api.SpanKind
        began = one.created_at * _NANO_PER_MS
        self._ids.trace_id = _trace_id(one.id)
        # SERVER, not the convention's CLIENT: this process answers; it is the attempts below that ask.
        root = self._tracer.start_span(
            f"chat {one.model or one.model_asked[:128]}",
            kind=kind.SERVER,
            start_time=began,
            attributes=self._attributes(one),
        )
        self._blame(root, _what_failed(one))
        below = self._api.set_span_in_context(root)
        for attempt in _attempts(one.receipt):
            span = self._tracer.start_span(
                f"attempt {attempt.provider}",
                context=below,
                kind=kind.CLIENT,
                start_time=began + int(attempt.started_ms * _NANO_PER_MS),
                attributes={
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": provider_name(attempt.provider),
                    "gen_ai.request.model": attempt.model,
                    "http.response.status_code": attempt.status,
                    **self._server(attempt.provider),
                },
            )
            self._blame(span, "" if attempt.reason == "ok" else attempt.reason)
            span.end(began + int(attempt.ended_ms * _NANO_PER_MS))
        root.end(began + one.latency_ms * _NANO_PER_MS)

    def close(self) -> None:
        """Send what is left; a collector that is away is waited for CLOSE_S, not for its own retries."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        if closing.is_alive():
            # Wakes it from its pause between two retries.
            self._exporter.shutdown()

    def _attributes(self, one: Generation) -> dict[str, Attribute]:
        attributes: dict[str, Attribute] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider_name(one.provider),
            "gen_ai.request.model": one.model_asked[:128],
            "gen_ai.response.model": one.model,
            "gen_ai.response.id": one.id,
            "gen_ai.usage.input_tokens": one.input_tokens,
            "gen_ai.usage.output_tokens": one.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": one.cached_tokens,
            "http.response.status_code": one.http_status,
            "tollway.request_id": one.id,
            "tollway.workspace_id": one.workspace_id,
            "tollway.key_id": one.key_id,
            "tollway.usage_source": one.usage_source,
            "tollway.cost_nano": one.cost_nano,
            "tollway.charge_nano": one.charge_nano,
            "tollway.stream": one.is_streamed,
            **self._server(one.provider),
        }
        if one.finish_reason:
            attributes["gen_ai.response.finish_reasons"] = [one.finish_reason]
        if one.ttft_ms:
            attributes["tollway.ttft_ms"] = one.ttft_ms
        return attributes

    def _server(self, provider: str) -> dict[str, Attribute]:
        host = self._hosts.get(provider)
        return {} if host is None else {"server.address": host[0], "server.port": host[1]}

    def _blame(self, span: "Span", reason: str) -> None:
        if reason:
            span.set_attribute("error.type", reason)
            span.set_status(self._api.StatusCode.ERROR, reason)


def provider_name(provider: str) -> str:
    """The convention's `gen_ai.provider.name` for one of our provider ids."""
    return _WELL_KNOWN.get(provider, provider)


def _what_failed(one: Generation) -> str:
    if one.error_code:
        return one.error_code
    return "" if one.status == "ok" else one.status


def _trace_id(request_id: str) -> int:
    try:
        return int(request_id.replace("-", ""), 16) & ((1 << 128) - 1)
    except ValueError:
        return 0


def _attempts(receipt: bytes) -> list[_Attempt]:
    try:
        return _receipt(receipt).attempts
    except msgspec.DecodeError:
        return []
