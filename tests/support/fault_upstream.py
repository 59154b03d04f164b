"""A provider that fails on demand, byte by byte: HTTP/1.1 on raw asyncio, speaking OpenAI, Anthropic and Gemini.

    POST /v1/chat/completions    POST /v1/messages    POST /v1beta/models/M:generateContent  and  :streamGenerateContent

What it does is the last part of the model's name (`fault-reset-mid`, `acme/fault-hang`); any name that does not begin with
`fault-` is `ok`: zero delay, the usage 1234/567. A test that cannot choose the model's name says it in advance with
POST /__program, a list of what the next requests get in turn: `["fault-status-500", "ok chunks=3"]`.

    ok                  a complete answer             reset-0             connection reset before the first byte
    slow-Nbps           N bytes per second            reset-headers       reset between the headers and the body
    split-N             N bytes per write             reset-mid           half the content, then reset
    coalesced           all frames in one write       reset-before-usage  all content, reset before the final usage
    crlf, comments      other shapes of SSE           reset-last          all but the terminator (JSON: the last byte)
    malformed           a frame of half a JSON        close-mid           half the content, then FIN without the last chunk
    html                200 with a web page           truncate-mid        half the content, then a correct end of HTTP
    empty               200 that says nothing         hang, hang-mid      silence at once, or after half the content
    status-N            error N, as documented        error-frame-mid     half the content, then an error frame
    error-200           an error body under 200       ...                 every usage behaviour of fault_usage.py

Options, anywhere in the request's text as `((chunks=30 output=7))`, in the header `x-fault`, or after a programmed behaviour:
`chunks`, `input`, `output` (the answer), `delay_ms` (before the first byte), `chunk_ms` (between frames), `retry_after`
(seconds; 429 says 1 by itself).

GET /__journal lists every request with what became of it; `client_closed_early` is true when the caller went before the
answer was complete, which is what "the upstream was cancelled" means. POST /__usage says what `usage-told` reports, until
told otherwise. POST /__reset forgets all. GET /health answers 200.
"""

import argparse
import asyncio
import json
import re
import urllib.parse
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from support.fault_answers import broken_frame, empty, error_body, error_frame, stream, whole
from support.fault_usage import Call
from support.fault_wire import SETTLE_S, ClientGoneError, Connection, Entry, Wire, read_request

USAGE_BEHAVIOURS = frozenset(
    "no-usage usage-cached usage-cache-write usage-reasoning usage-audio usage-search usage-zero usage-snapshots "
    "negative-usage cached-gt-prompt reasoning-gt-output huge-usage text-usage usage-late usage-told".split()
)
WIRE_BEHAVIOURS = frozenset(
    "ok coalesced crlf comments malformed html empty error-200 error-frame-mid reset-0 reset-headers reset-mid "
    "reset-before-usage reset-last close-mid truncate-mid hang hang-mid".split()
)
_NUMBERED = re.compile(r"(slow|split|status)-(\d+)(?:bps)?")
_TOLD = re.compile(rb"\(\(([a-z_]+=\d+(?: [a-z_]+=\d+)*)\)\)")
_JOURNAL_MAX = 5000


@dataclass
class Plan:
    """What one request gets. number: the N of `slow-N`, `split-N`, `status-N`."""

    behaviour: str
    number: int = 0
    options: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> "Plan":
        """`fault-slow-50bps chunks=3`; ValueError for a behaviour that does not exist."""
        name, *told = text.split()
        options = {key: int(value) for key, _, value in (one.partition("=") for one in told)}
        name = name.rpartition("/")[2]
        if not name.startswith("fault-"):
            return Plan("ok", 0, options)
        behaviour = name.removeprefix("fault-")
        if numbered := _NUMBERED.fullmatch(behaviour):
            return Plan(numbered[1], int(numbered[2]), options)
        if behaviour not in USAGE_BEHAVIOURS | WIRE_BEHAVIOURS:
            raise ValueError(
                f"no such behaviour: {name}; known: {', '.join(sorted(USAGE_BEHAVIOURS | WIRE_BEHAVIOURS))}"
            )
        return Plan(behaviour, 0, options)


class FaultUpstream:
    """The server: its journal, its program, and the dispatch of requests."""

    def __init__(self) -> None:
        self.journal: deque[Entry] = deque(maxlen=_JOURNAL_MAX)
        self.program: deque[str] = deque()
        self.told: dict[str, Any] | None = None
        self._connections = self._requests = 0

    def next_connection(self) -> int:
        self._connections += 1
        return self._connections

    async def serve(self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Every request of one connection, in turn."""
        try:
            while not connection.gone.is_set():
                method, path, headers, body = await read_request(reader)
                self._requests += 1
                entry = Entry(self._requests, connection.number, method, path, headers)
                wire = Wire(connection, writer, entry)
                if path.startswith(("/__", "/health", "/v1/models")) and method != "OPTIONS":
                    await self._control(wire, path, body)
                    continue
                self.journal.append(entry)
                try:
                    is_open = await self._answer(wire, body)
                except ClientGoneError:
                    entry.client_closed_early = True
                    return
                finally:
                    entry.done = True
                if not is_open:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _control(self, wire: Wire, path: str, body: bytes) -> None:
        answer: Any = {"status": "ok"}
        if path == "/__journal":
            answer = [asdict(entry) for entry in self.journal]
        elif path == "/__program":
            told = json.loads(body)
            try:
                for one in told:
                    Plan.parse(one)
            except ValueError as unknown:
                return await _error(wire, "openai", 400, str(unknown))
            self.program.extend(told)
        elif path == "/__usage":
            self.told = json.loads(body)
        elif path == "/__reset":
            self.journal.clear()
            self.program.clear()
            self.told = None
        elif path.startswith("/v1/models"):
            models = ["ok", *(f"fault-{name}" for name in sorted(WIRE_BEHAVIOURS | USAGE_BEHAVIOURS))]
            answer = {"object": "list", "data": [{"id": one, "object": "model", "owned_by": "fault"} for one in models]}
        text = json.dumps(answer).encode()
        await wire.head(200, "application/json", len(text))
        return await wire.send(text)

    async def _answer(self, wire: Wire, body: bytes) -> bool:
        """True if the connection can be used again."""
        entry = wire.entry
        read = _read(entry.path, body)
        if read is None:
            await _error(wire, "openai", 404, f"no such path: {entry.path}")
            return True
        entry.dialect, entry.model, entry.stream, entry.body = read
        try:
            plan = Plan.parse(self.program.popleft() if self.program else entry.model.replace(" ", "-") or "ok")
            plan.options.update(_told(entry, body))
        except ValueError as unknown:
            await _error(wire, entry.dialect, 400, str(unknown))
            return True
        entry.behaviour = plan.behaviour + (f"-{plan.number}" if plan.number else "")
        wants_usage = bool(((entry.body or {}).get("stream_options") or {}).get("include_usage"))
        call = Call(entry.dialect, entry.model, plan.behaviour, entry.stream, wants_usage, plan.options, self.told)
        await wire.pause(plan.options.get("delay_ms", 0) / 1000)
        return await play(wire, plan, call)


async def play(wire: Wire, plan: Plan, call: Call) -> bool:
    """Act out a plan; True if the connection can be used again."""
    match plan.behaviour:
        case "hang":
            await wire.pause(None)
        case "reset-0":
            await wire.reset()
            return False
        case "status":
            retry_after = plan.options.get("retry_after", 1 if plan.number == 429 else None)
            await _error(
                wire, call.dialect, plan.number, f"The fault upstream answers {plan.number}, as asked.", retry_after
            )
        case "error-200":
            text = error_body(call.dialect, 503, "The fault upstream fails under status 200, as asked.")
            await wire.head(200, "application/json", len(text))
            await wire.send(text)
        case "html":
            text = b"<!doctype html><title>Gateway</title><p>Not what you asked for.</p>"
            await wire.head(200, "text/html; charset=utf-8", len(text))
            await wire.send(text)
        case _ if call.is_stream:
            return await _play_stream(wire, plan, call)
        case _:
            return await _play_whole(wire, plan, call)
    return True


async def _play_whole(wire: Wire, plan: Plan, call: Call) -> bool:
    behaviour = plan.behaviour
    text = empty(call)[0] if behaviour == "empty" else whole(call)
    half = len(text) // 2
    if behaviour in {"malformed", "truncate-mid"}:
        text = text[:half]
    elif behaviour == "error-frame-mid":
        text = error_body(call.dialect, 503, "The fault upstream fails under status 200, as asked.")
    await wire.head(200, "application/json", len(text))
    cut = {"reset-headers": 0, "reset-last": len(text) - 1}.get(behaviour, half)
    if behaviour in {"slow", "split"}:
        await _in_pieces(wire, plan, text, wire.send)
    elif behaviour.startswith("reset-"):
        await wire.send(text[:cut])
        await wire.reset()
        return False
    elif behaviour in {"close-mid", "hang-mid"}:
        await wire.send(text[:half])
        await wire.pause(SETTLE_S if behaviour == "close-mid" else None)
        return False
    else:
        await wire.send(text)
    return True


async def _play_stream(wire: Wire, plan: Plan, call: Call) -> bool:
    behaviour, entry = plan.behaviour, wire.entry
    script = empty(call)[1] if behaviour == "empty" else stream(call)
    frames, count = list(script.frames), len(script.frames)
    stop = {
        "reset-headers": 0,
        "reset-before-usage": script.usage_at,
        "reset-last": count - script.has_terminator,
        **dict.fromkeys(("reset-mid", "close-mid", "truncate-mid", "hang-mid", "error-frame-mid"), script.middle),
    }.get(behaviour, count)
    frames, entry.frames_total = frames[:stop], count
    if behaviour == "malformed":
        frames.insert(script.middle, broken_frame(call.dialect))
    elif behaviour == "error-frame-mid":
        frames.append(error_frame(call.dialect))
    elif behaviour == "crlf":
        frames = [frame.replace(b"\n", b"\r\n") for frame in frames]
    elif behaviour == "comments":
        frames = [b": FAULT PROCESSING\n\n" + frame for frame in frames]
    elif behaviour == "coalesced":
        frames = [b"".join(frames)]
    await wire.head(200, "text/event-stream", None, cache_control="no-cache")
    if behaviour in {"slow", "split"}:
        await _in_pieces(wire, plan, b"".join(frames), wire.chunk)
        entry.frames_sent = count
    else:
        for number, frame in enumerate(frames):
            # What breaks the answer comes by itself, or a caller might read it together with the good part.
            is_bad = number == script.middle and behaviour in {"malformed", "error-frame-mid"}
            await wire.pause(SETTLE_S if is_bad else plan.options.get("chunk_ms", 0) / 1000 if number else 0)
            await wire.chunk(frame)
            entry.frames_sent += 1
    if behaviour.startswith("reset-"):
        await wire.reset()
        return False
    if behaviour in {"close-mid", "hang-mid"}:
        await wire.pause(SETTLE_S if behaviour == "close-mid" else None)
        return False
    await wire.send(b"0\r\n\r\n")
    return True


async def _in_pieces(wire: Wire, plan: Plan, data: bytes, send: Any) -> None:
    """`slow`: a byte at a time, N in a second; `split`: N bytes at a time, at once."""
    size, wait_s = (1, 1 / plan.number) if plan.behaviour == "slow" else (plan.number, 0)
    for start in range(0, len(data), size):
        await send(data[start : start + size])
        # Without a turn of the loop, small writes would be glued together again.
        await (wire.pause(wait_s) if wait_s else asyncio.sleep(0))


async def _error(wire: Wire, dialect: str, status: int, message: str, retry_after: int | None = None) -> None:
    text = error_body(dialect, status, message)
    headers = {} if retry_after is None else {"retry_after": str(retry_after)}
    await wire.head(status, "application/json", len(text), **headers)
    await wire.send(text)


def _read(path: str, body: bytes) -> tuple[str, str, bool, Any] | None:
    """(dialect, model, is a stream, body), None for a path of no dialect."""
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        document = {}
    place = urllib.parse.unquote(path.partition("?")[0])
    if place.endswith("/chat/completions"):
        return "openai", str(document.get("model", "")), bool(document.get("stream")), document
    if place.endswith("/messages"):
        return "anthropic", str(document.get("model", "")), bool(document.get("stream")), document
    if found := re.search(r"/models/([^:]+):(generateContent|streamGenerateContent)$", place):
        return "gemini", found[1], found[2] == "streamGenerateContent", document
    return None


def _told(entry: Entry, body: bytes) -> dict[str, int]:
    said = [found[1].decode() for found in _TOLD.finditer(body)] + [entry.headers.get("x-fault", "")]
    return {key: int(value) for text in said for key, _, value in (one.partition("=") for one in text.split())}


async def listen(port: int) -> None:
    """Serve on loopback for ever; says its port."""
    upstream = FaultUpstream()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(upstream.next_connection(), upstream.serve), "127.0.0.1", port, backlog=2048
    )
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="A provider that fails on demand.")
    options.add_argument("--port", type=int, default=0)
    asyncio.run(listen(options.parse_args().port))
