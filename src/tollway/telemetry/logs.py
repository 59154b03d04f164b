"""Log lines: one structured line per request, never a prompt, never a secret; all else goes through the same filter.

A line is made from a `Generation`, which holds no text of a conversation. What a caller wrote and we repeat (the name
of a model) is cut, redacted and freed of control characters. `json` is for machines, `text` for terminals.
"""

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, TextIO

import msgspec

from tollway.money.amount import format_usd
from tollway.ports import Generation

LogFormat = Literal["json", "text"]
NAME_LENGTH_MAX = 128

_SECRET = re.compile(
    r"""(?ix)
    \b (?: sk | rk | pk | gsk | xai | whsec | key ) [-_] [a-z0-9_-]{8,}      # providers' and payment keys
    | \b tw[asir]? _ [a-z0-9]{8,}                                            # ours
    | \b AIza [a-z0-9_-]{10,}
    | \b (?: bearer | basic ) \s+ [a-z0-9._~+/=-]{8,}
    | (?<= [?&] key= ) [^&\s"']+                                             # a credential in a query
    | \b eyJ [a-z0-9_-]{8,} \. [a-z0-9_-]{8,} \. [a-z0-9_-]{8,}              # a JSON web token
    """
)


def redact(text: str) -> str:
    """The text with everything that looks like a credential replaced by `[redacted]`."""
    return _SECRET.sub("[redacted]", text)


class _Line(msgspec.Struct):
    """The JSON of one ended request. Money in nano-USD; `stages_us` in microseconds."""

    ts: str
    level: str
    event: str
    request_id: str
    workspace_id: str
    key_id: str
    model_asked: str
    model: str
    provider: str
    status: str
    http_status: int
    error_code: str
    stream: bool
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    usage_source: str
    cost_nano_usd: int
    charge_nano_usd: int
    ms: int
    ttft_ms: int
    stages_us: Mapping[str, int]


class _Refusal(msgspec.Struct):
    """The JSON of a request that was refused before it had a hold."""

    ts: str
    level: str
    event: str
    request_id: str
    http_status: int
    error_code: str


_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=4)
def _second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _instant(unix_ms: int) -> str:
    """ISO 8601 with milliseconds, UTC. Many lines fall into one second, so that part is kept."""
    second, ms = divmod(unix_ms, 1000)
    return f"{_second(second)}.{ms:03d}Z"


def _named(asked: str, answered: str) -> str:
    if asked == answered:
        return asked
    shown = redact(asked[:NAME_LENGTH_MAX])
    return shown if shown.isprintable() else "".join(one if one.isprintable() else "?" for one in shown)


def json_line(generation: Generation, stages: Mapping[str, int]) -> bytes:
    """One ended request as a line of JSON. `stages` in microseconds."""
    one = generation
    return _encode(
        _Line(
            _instant(one.created_at + one.latency_ms),
            "info" if one.http_status < 500 else "error",
            "request",
            one.id,
            one.workspace_id,
            one.key_id,
            _named(one.model_asked, one.model),
            one.model,
            one.provider,
            one.status,
            one.http_status,
            one.error_code,
            one.is_streamed,
            one.finish_reason,
            one.input_tokens,
            one.output_tokens,
            one.cached_tokens,
            one.reasoning_tokens,
            one.usage_source,
            one.cost_nano,
            one.charge_nano,
            one.latency_ms,
            one.ttft_ms,
            stages,
        )
    )


def text_line(generation: Generation, stages: Mapping[str, int]) -> bytes:
    """One ended request for a person: time, status, model, tokens, charge, duration, id. `stages` in microseconds."""
    one = generation
    first = f", first byte {one.ttft_ms} ms" if one.ttft_ms else ""
    wrong = f" {one.error_code}" if one.error_code else ""
    slowest = max((stage for stage in stages if stage != "total"), key=lambda stage: stages[stage], default="")
    where = f", most in {slowest}" if slowest else ""
    charge = format_usd(one.charge_nano, 2)
    return (
        f"{_instant(one.created_at + one.latency_ms)[11:23]} {one.http_status} {one.status}{wrong} "
        f"{_named(one.model_asked, one.model)} via {one.provider or '-'}: "
        f"{one.input_tokens}+{one.output_tokens} tokens, ${charge}, {one.latency_ms} ms{first}{where} [{one.id}]"
    ).encode()


def json_refusal(code: str, status: int, request_id: str) -> bytes:
    """A refused request as a line of JSON; when it came is in its id."""
    level = "warning" if status < 500 else "error"
    return _encode(_Refusal(_instant(_made_at(request_id)), level, "refused", request_id, status, code))


def text_refusal(code: str, status: int, request_id: str) -> bytes:
    """A refused request for a person; when it came is in its id."""
    return f"{_instant(_made_at(request_id))[11:23]} {status} refused {code} [{request_id}]".encode()


def _made_at(request_id: str) -> int:
    """Unix ms in a UUIDv7 (RFC 9562 5.7), 0 in anything else."""
    try:
        return int(request_id.replace("-", "")[:12], 16)
    except ValueError:
        return 0


class Formatter(logging.Formatter):
    """Records of the standard library in the same two formats, redacted whole: message, arguments and traceback."""

    def __init__(self, log_format: LogFormat) -> None:
        super().__init__()
        self._is_json = log_format == "json"

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, or text."""
        message = redact(record.getMessage())
        trace = redact(self.formatException(record.exc_info)) if record.exc_info else ""
        level, when = record.levelname.lower(), _instant(int(record.created * 1000))
        if not self._is_json:
            line = f"{when[11:23]} {level} {record.name}: {message}"
            return f"{line}\n{trace}" if trace else line
        document = {"ts": when, "level": level, "event": "log", "logger": record.name, "message": message}
        return _encode(document | {"trace": trace} if trace else document).decode()


class Redaction(logging.Filter):
    """For handlers that are not ours: takes credentials out of a record before anybody formats it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; lets everything through."""
        record.msg, record.args = redact(record.getMessage()), None
        return True


def configure_logging(log_format: LogFormat, level: str, stream: TextIO) -> None:
    """Send every record of the process to `stream`, formatted and redacted; replaces the root logger's handlers."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter(log_format))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
