"""Lines: what is in them, and what never is."""

import io
import json
import logging
import sys

import pytest

from tollway.ports import Generation
from tollway.telemetry.logs import (
    Formatter,
    Redaction,
    configure_logging,
    json_line,
    json_refusal,
    redact,
    text_line,
    text_refusal,
)

ONE = Generation(
    id="019b0000-0000-7e5f-8a9b-0c1d2e3f4a5b",
    workspace_id="ws_1",
    key_id="key_1",
    created_at=1_790_000_000_000,
    model_asked="one",
    model="acme/one",
    provider="acme",
    is_streamed=True,
    finish_reason="stop",
    input_tokens=1_234,
    output_tokens=567,
    usage_source="provider",
    cost_nano=12_207_000,
    charge_nano=13_427_700,
    latency_ms=812,
    ttft_ms=120,
    receipt=b'{"secret": "never"}',
)
STAGES = {"hold": 700, "call": 800_000, "total": 812_000}


def test_a_json_line():
    line = json.loads(json_line(ONE, STAGES))
    assert line == {
        "ts": "2026-09-21T14:13:20.812Z",
        "level": "info",
        "event": "request",
        "request_id": "019b0000-0000-7e5f-8a9b-0c1d2e3f4a5b",
        "workspace_id": "ws_1",
        "key_id": "key_1",
        "model_asked": "one",
        "model": "acme/one",
        "provider": "acme",
        "status": "ok",
        "http_status": 200,
        "error_code": "",
        "stream": True,
        "finish_reason": "stop",
        "input_tokens": 1234,
        "output_tokens": 567,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "usage_source": "provider",
        "cost_nano_usd": 12207000,
        "charge_nano_usd": 13427700,
        "ms": 812,
        "ttft_ms": 120,
        "stages_us": {"hold": 700, "call": 800000, "total": 812000},
    }


def test_a_text_line():
    assert text_line(ONE, STAGES).decode() == (
        "14:13:20.812 200 ok one via acme: 1234+567 tokens, $0.0134277, 812 ms, first byte 120 ms, most in call "
        "[019b0000-0000-7e5f-8a9b-0c1d2e3f4a5b]"
    )
    failed = Generation(
        "id", "w", "k", 1_790_000_000_000, "m", status="error", http_status=502, error_code="upstream_error"
    )
    assert (
        text_line(failed, {}).decode() == "14:13:20.000 502 error upstream_error m via -: 0+0 tokens, $0.00, 0 ms [id]"
    )


def test_refusals_know_their_time_by_their_id():
    # The example of RFC 9562, A.6: made on 2022-02-22 at 14:22:22.00 GMT-05:00.
    request_id = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    line = json.loads(json_refusal("invalid_api_key", 401, request_id))
    assert line == {
        "ts": "2022-02-22T19:22:22.000Z",
        "level": "warning",
        "event": "refused",
        "request_id": request_id,
        "http_status": 401,
        "error_code": "invalid_api_key",
    }
    text = text_refusal("ledger_unavailable", 503, request_id).decode()
    assert text == f"19:22:22.000 503 refused ledger_unavailable [{request_id}]"
    assert json.loads(json_refusal("x", 503, "no id"))["level"] == "error"


def test_what_a_caller_wrote_is_cut_redacted_and_harmless():
    def asked(name):
        return Generation("id", "w", "k", 0, name, http_status=400, status="error")

    assert len(json.loads(json_line(asked("x" * 5_000), {}))["model_asked"]) == 128
    assert json.loads(json_line(asked("sk-live-0123456789abcdef"), {}))["model_asked"] == "[redacted]"
    text = text_line(asked("a\n14:00:00 200 ok \x1b[31mforged\u202e"), {}).decode()
    assert "\n" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


CANARY = "C4n4ry" * 4
SECRETS = [
    f"sk-{CANARY}",
    f"sk-proj-{CANARY}_x-Y",
    f"sk-ant-api03-{CANARY}",
    f"tw_{CANARY}",
    f"twa_{CANARY}",
    f"tws_{CANARY}",
    f"twi_{CANARY}",
    f"twr_{CANARY}",
    f"gsk_{CANARY}",
    f"xai-{CANARY}",
    f"AIza{CANARY}",
    f"whsec_{CANARY}",
    f"Bearer {CANARY}",
    f"authorization: bearer {CANARY}=",
    f"Basic {CANARY}==",
    f"https://acme.test/v1?key={CANARY}&alt=sse",
    f"eyJ{CANARY}.{CANARY}.{CANARY}",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_credentials_are_redacted(secret):
    shown = redact(f"connection to {secret} failed")
    assert CANARY not in shown
    assert shown.startswith("connection to ")
    assert shown.endswith(" failed")


@pytest.mark.parametrize(
    "text",
    [
        "openai/gpt-5.1-mini",
        "task-force and risk-taking",
        "key-value",
        "monkey_business",
        "tw_",
        "Basic auth",
        "twenty_one",
    ],
)
def test_words_are_left_alone(text):
    assert redact(text) == text


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("secret", SECRETS)
def test_records_of_the_standard_library_are_redacted(log_format, secret):
    formatter = Formatter(log_format)
    try:
        raise RuntimeError(secret)
    except RuntimeError:
        caught = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "call %s %s", (secret, {"header": secret}), caught)
    line = formatter.format(record)
    assert CANARY not in line
    assert "RuntimeError" in line
    if log_format == "json":
        assert json.loads(line)["level"] == "error"


def test_the_filter_serves_other_handlers():
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "key %s", (SECRETS[0],), None)
    assert Redaction().filter(record)
    assert record.getMessage() == "key [redacted]"


def test_configure_logging():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()
    try:
        configure_logging("json", "warning", out)
        logging.getLogger("some.library").info("not shown")
        logging.getLogger("some.library").warning("shown %s", SECRETS[0])
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    lines = out.getvalue().splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert (line["logger"], line["message"], line["event"]) == ("some.library", "shown [redacted]", "log")
