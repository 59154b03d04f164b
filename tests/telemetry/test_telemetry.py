"""The three together: nothing lost, nothing leaked, nobody blocked."""

import io
import json
import threading
import timeit

from prometheus_client.parser import text_string_to_metric_families

from tollway import telemetry
from tollway.ports import Generation, Telemetry
from tollway.telemetry import RequestTelemetry

ID = "019b0000-0000-7e5f-8a9b-0c1d2e3f4a5b"


def generation(number=0, **fields):
    return Generation(
        **{
            "id": f"{ID[:-6]}{number:06x}",
            "workspace_id": "w",
            "key_id": "k",
            "created_at": 0,
            "model_asked": "m",
            "model": "m",
            "provider": "p",
        }
        | fields
    )


def count(text, name):
    families = text_string_to_metric_families(text.decode())
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def test_it_is_the_port():
    port: Telemetry = RequestTelemetry(stream=io.BytesIO())
    port.finished(generation(), {})


def test_every_request_has_one_line_and_is_counted_once():
    out = io.BytesIO()
    one = RequestTelemetry(stream=out)
    for number in range(5_000):
        one.finished(generation(number), {"call": 100_000})
        if number % 10 == 0:
            one.refused("invalid_api_key", 401, ID)
            one.upstream_failed("p", "server")
        if number % 1_000 == 0:
            one.metrics_text()  # a scrape in between takes nothing away
    one.close()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["request_id"] for line in lines if line["event"] == "request"] == [
        generation(n).id for n in range(5_000)
    ]
    assert sum(line["event"] == "refused" for line in lines) == 500
    text = one.metrics_text()
    assert count(text, "tollway_requests_total") == 5_000
    assert count(text, "tollway_refused_total") == 500
    assert count(text, "tollway_upstream_errors_total") == 500
    assert count(text, "tollway_telemetry_dropped_total") == 0


def test_a_scrape_sees_what_has_just_ended():
    one = RequestTelemetry(stream=io.BytesIO())
    one.finished(generation(), {})
    one.upstream_failed("p", "timeout")
    assert count(one.metrics_text(), "tollway_requests_total") == 1
    assert count(one.metrics_text(), "tollway_upstream_errors_total") == 1
    one.close()


def test_a_log_that_nobody_reads_stops_nobody(monkeypatch):
    monkeypatch.setattr(telemetry, "PENDING_MAX", 100)
    gate = threading.Event()

    class Stuck(io.BytesIO):
        def write(self, data):
            gate.wait()
            return super().write(data)

    out = Stuck()
    one = RequestTelemetry(stream=out)
    for number in range(1_000):
        one.finished(generation(number), {})
    assert len(one._pending) <= 100
    dropped = count(one.metrics_text(), "tollway_telemetry_dropped_total")
    assert dropped >= 700
    monkeypatch.setattr(telemetry, "CLOSE_S", 0.1)
    one.close()
    gate.set()
    one._thread.join()
    monkeypatch.undo()
    one.close()
    assert out.getvalue().count(b"\n") == 1_000 - one.metrics.dropped


def test_a_closed_log_is_survived():
    out = io.BytesIO()
    one = RequestTelemetry(stream=out)
    out.close()
    one.finished(generation(), {})
    one.close()
    assert count(one.metrics_text(), "tollway_requests_total") == 1


def test_one_request_that_cannot_be_told_does_not_silence_the_others(caplog):
    out = io.BytesIO()
    one = RequestTelemetry(stream=out)
    real, seen = one._line, threading.Event()

    def line(ended, stages):
        if ended.model == "bad":
            seen.set()
            raise RuntimeError("cannot be told")
        return real(ended, stages)

    one._line = line
    one.finished(generation(1, model="bad"), {})
    one.finished(generation(2), {})
    assert seen.wait(10)
    one.close()
    assert [json.loads(written)["request_id"] for written in out.getvalue().splitlines()] == [generation(2).id]
    assert one.metrics.dropped == 1
    assert "could not be told" in caplog.text


def test_text_format():
    out = io.BytesIO()
    one = RequestTelemetry("text", stream=out)
    one.finished(generation(), {})
    one.close()
    assert out.getvalue().startswith(b"00:00:00.000 200 ok m via p: 0+0 tokens")


def test_closing_without_a_request():
    RequestTelemetry(stream=io.BytesIO()).close()


CANARY = "canary-5d0c7b1e"


def test_neither_prompts_nor_receipts_reach_lines_or_metrics():
    for log_format in ("json", "text"):
        out = io.BytesIO()
        one = RequestTelemetry(log_format, stream=out)
        one.finished(
            generation(
                user_id=CANARY,
                receipt=json.dumps({"metadata": {"x": CANARY}, "attempts": [{"message": CANARY}]}).encode(),
                model_asked=f"sk-{CANARY}0123",
            ),
            {"call": 100_000},
        )
        one.close()
        assert CANARY.encode() not in out.getvalue() + one.metrics_text()


def test_a_request_costs_the_loop_next_to_nothing():
    one = RequestTelemetry(stream=io.BytesIO())
    ended, stages = generation(), {"call": 100_000, "hold": 1_000}
    # About 0.7 us, while the thread runs beside it; the bound is for machines under load.
    assert min(timeit.repeat(lambda: one.finished(ended, stages), number=500, repeat=9)) / 500 < 50e-6
    one.close()
