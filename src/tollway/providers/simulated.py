"""The built-in provider `simulated`: no network, no key, deterministic answers of the OpenAI shape at a realistic pace.

It lets a first call work with no account anywhere, and shows an operator what failures look like. Models:

    simulated/echo     repeats the last user message          simulated/flaky    every second request fails with 503
    simulated/small    a short paragraph                      simulated/slow     first token after two seconds
    simulated/large    a long answer with thinking tokens     simulated/priced   as small, at 3 / 15 USD per million

A request may say more with a top-level field `simulate`, an object of: `status` (fail with this HTTP status), `delay_ms`
(before the first byte), `chunk_ms` (between chunks), `chunks` (words to answer), `fail_after_chunks` (break the connection),
`error_after_chunks` (an error frame), `no_usage` (leave the usage out).
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from tollway.jsontypes import JSON, JSONObject
from tollway.metering.sse import DONE, encode
from tollway.ports import Outgoing

SCHEME = "simulated:"

_TEXT = (
    "A toll road answers one question at every gate: who is passing, what does it cost, and who has paid. "
    "The meter counts what was used, the till takes exactly that, and the receipt says why. "
    "Nothing passes unpaid, nothing is paid twice, and whoever asks can add it up by hand."
)
_WORDS: list[str] = [*_TEXT.split()]
_PACE_S: Mapping[str, tuple[float, float]] = {"slow": (2.0, 0.05), "large": (0.3, 0.012), "echo": (0.0, 0.0)}
_PACE_DEFAULT_S = (0.12, 0.015)


class _Asked(msgspec.Struct):
    model: str
    messages: list[dict[str, JSON]]
    stream: bool = False
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    simulate: dict[str, JSON] = msgspec.field(default_factory=dict[str, JSON])


@dataclass(slots=True)
class _Script:
    """What one request will get."""

    words: list[str]
    finish_reason: str
    prompt_tokens: int
    reasoning_tokens: int
    first_s: float
    chunk_s: float
    status: int = 200
    fail_after: int = -1
    error_after: int = -1
    has_usage: bool = True
    model: str = ""
    id: str = ""
    usage: JSONObject = field(default_factory=dict[str, JSON])


class SimulatedProvider:
    """See `Upstream`; the same verbs, no socket."""

    def __init__(self) -> None:
        self._turn = 0

    async def fetch(self, outgoing: Outgoing, timeout_s: float) -> tuple[int, Mapping[str, str], bytes]:
        script = self._script(outgoing.body)
        async with asyncio.timeout(timeout_s):
            await asyncio.sleep(script.first_s)
        if script.fail_after >= 0:
            raise ConnectionError("simulated")
        return script.status, _NO_HEADERS, _error(script) if script.status != 200 else _whole(script)

    async def open(self, outgoing: Outgoing, timeout_s: float) -> "SimulatedStream":
        script = self._script(outgoing.body)
        return SimulatedStream(script, timeout_s)

    def _script(self, body: bytes) -> _Script:
        asked = msgspec.json.decode(body, type=_Asked)
        first_s, chunk_s = _PACE_S.get(asked.model, _PACE_DEFAULT_S)
        words, finish = _answer(asked), "stop"
        limit = asked.max_completion_tokens or asked.max_tokens
        reasoning = 24 if asked.model == "large" else 0
        if limit is not None and len(words) + reasoning > limit:
            reasoning = min(reasoning, limit)
            words, finish = words[: limit - reasoning], "length"
        told = asked.simulate
        script = _Script(
            words=words,
            finish_reason=finish,
            prompt_tokens=sum(4 + len(_text(message).split()) for message in asked.messages),
            reasoning_tokens=reasoning,
            first_s=_number(told, "delay_ms", round(first_s * 1000)) / 1000,
            chunk_s=_number(told, "chunk_ms", round(chunk_s * 1000)) / 1000,
            status=_number(told, "status", 200),
            fail_after=_number(told, "fail_after_chunks", -1),
            error_after=_number(told, "error_after_chunks", -1),
            has_usage=not told.get("no_usage"),
            model=asked.model,
            id=f"chatcmpl-sim{zlib.crc32(body):08x}",
        )
        if asked.model == "flaky":
            self._turn += 1
            script.status = 503 if self._turn % 2 else script.status
        script.usage = _usage(script)
        return script


class SimulatedStream:
    """See `UpstreamStream`."""

    def __init__(self, script: _Script, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._chunks = _play(script)
        self.status = script.status

    def header(self, name: str) -> str | None:
        return None

    async def next(self) -> bytes | None:
        async with asyncio.timeout(self._timeout_s):
            return await anext(self._chunks, None)

    async def pump(self, take: Callable[[bytes], bool]) -> bool:
        """See `UpstreamStream`."""
        while (chunk := await self.next()) is not None:
            if not take(chunk):
                return True
        return False

    def allow(self, timeout_s: float) -> None:
        """See `UpstreamStream`."""
        self._timeout_s = timeout_s

    @property
    def is_over(self) -> bool:
        """See `UpstreamStream`."""
        return False

    async def read(self, limit: int) -> bytes:
        whole = b""
        while len(whole) < limit and (chunk := await self.next()) is not None:
            whole += chunk
        return whole[:limit]

    async def close(self) -> None:
        await self._chunks.aclose()


async def _play(script: _Script) -> AsyncGenerator[bytes, None]:
    await asyncio.sleep(script.first_s)
    if script.status != 200:
        yield _error(script)
        return
    yield _chunk(script, {"role": "assistant", "content": ""})
    for number, word in enumerate(script.words):
        if number == script.fail_after:
            raise ConnectionError("simulated")
        if number == script.error_after:
            yield encode(_error(script))
            return
        yield _chunk(script, {"content": word if number == 0 else " " + word})
        if script.chunk_s:
            await asyncio.sleep(script.chunk_s)
    yield _chunk(script, {}, script.finish_reason)
    if script.has_usage:
        final: JSONObject = {**_envelope(script, "chat.completion.chunk"), "choices": [], "usage": script.usage}
        yield encode(msgspec.json.encode(final))
    yield DONE


def _answer(asked: _Asked) -> list[str]:
    last = next((_text(message) for message in reversed(asked.messages) if message.get("role") == "user"), "")
    wanted = _number(asked.simulate, "chunks", 0)
    if wanted:
        return [_WORDS[number % len(_WORDS)] for number in range(wanted)]
    if asked.model == "echo":
        return last.split() or ["(nothing)"]
    if asked.model == "large":
        return _WORDS * 4
    return _WORDS[:]


def _text(message: Mapping[str, JSON]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _number(told: Mapping[str, JSON], name: str, default: int) -> int:
    value = told.get(name, default)
    return value if isinstance(value, int) else default


def _usage(script: _Script) -> JSONObject:
    completion = len(script.words) + script.reasoning_tokens
    return {
        "prompt_tokens": script.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": script.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens},
    }


def _envelope(script: _Script, kind: str) -> JSONObject:
    return {"id": script.id, "object": kind, "created": 1_767_225_600, "model": script.model}


def _chunk(script: _Script, delta: JSONObject, finish_reason: str | None = None) -> bytes:
    choice: JSONObject = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return encode(msgspec.json.encode({**_envelope(script, "chat.completion.chunk"), "choices": [choice]}))


def _whole(script: _Script) -> bytes:
    message: JSONObject = {"role": "assistant", "content": " ".join(script.words)}
    choice: JSONObject = {"index": 0, "message": message, "finish_reason": script.finish_reason}
    body = {**_envelope(script, "chat.completion"), "choices": [choice]}
    if script.has_usage:
        body["usage"] = script.usage
    return msgspec.json.encode(body)


def _error(script: _Script) -> bytes:
    status = script.status if script.status != 200 else 500
    return msgspec.json.encode(
        {"error": {"message": f"simulated failure {status}", "type": "simulated", "code": str(status)}}
    )


_NO_HEADERS: Mapping[str, str] = {}
