"""Stop 7, meter, for streams: provider bytes in, caller bytes out, with usage, errors and the end read on the way.

No sockets and no clock: `feed` what the network delivers, emit what it returns, and ask for the `closing` bytes once the
ledger has the settlement. Where the provider speaks our own shape, bytes pass through untouched and most chunks are not
even decoded; the last chunk is held back until it can carry usage and cost.
"""

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec

from tollway.gateway.delivered import Delivered
from tollway.gateway.envelope import Envelope
from tollway.jsontypes import JSON, JSONObject
from tollway.metering.sse import DONE, EventReader, EventTooLarge, ServerEvent, encode
from tollway.routing.failure import Failure, FailureKind, UpstreamError

_MARKS = tuple(
    re.compile(mark).search
    for mark in (rb'"finish_reason"\s*:\s*"', rb'"usage"\s*:\s*\{', rb'"error"\s*:\s*[{"]', rb"data: ?\[DONE\]")
)
"""What makes a chunk worth decoding. Inside a JSON string the quotes are escaped, so content matches none of the first.

One pattern each: what begins with plain text is searched for ten times faster than one pattern of alternatives."""

_WHOLE = b"}\n\n"
"""How an event with a JSON object ends."""


class StreamSource(Protocol):
    """What turns one upstream event into chunks of the OpenAI shape (a dialect's Translator)."""

    usage: JSONObject | None

    @property
    def is_done(self) -> bool: ...

    def event(self, event: ServerEvent) -> list[JSONObject]: ...


class Relay:
    """One stream on its way to the caller.

    is_identity: the provider speaks our shape, so that unremarkable bytes pass through as they are.
    include_usage: the caller asked for a usage chunk of its own; else usage rides on the chunk with the finish reason, and
    clients that read `choices[0]` of every chunk keep working.
    choices: how many answers were asked for (`n`).
    """

    __slots__ = (
        "_can_skip",
        "_choices",
        "_envelope",
        "_finished",
        "_held",
        "_include_usage",
        "_last",
        "_reader",
        "delivered",
        "failure",
        "finish_reason",
        "is_over",
        "source",
    )

    def __init__(self, source: StreamSource, *, is_identity: bool, include_usage: bool, choices: int = 1) -> None:
        self.source = source
        self.delivered = Delivered()
        self.finish_reason = ""
        self.failure: UpstreamError | None = None
        self.is_over = False
        self._can_skip = is_identity
        self._choices = choices
        self._envelope = Envelope()
        self._finished = set[int]()
        self._include_usage = include_usage
        self._reader = EventReader()
        self._held: JSONObject | None = None
        self._last: JSONObject = {}

    @property
    def is_done(self) -> bool:
        """The provider has said that the answer is complete: every one of them, where several were asked for."""
        if self._can_skip and not self.is_over and len(self._finished) < self._choices:
            return False
        return self.source.is_done

    @property
    def has_begun(self) -> bool:
        """The provider has said something, be it only that there is nothing more to say."""
        return bool(self._last)

    def feed(self, data: bytes) -> bytes:
        """Bytes for the caller now; possibly none.

        Raises:
            UpstreamError: an error frame, or bytes that are not what the dialect promises. When something good came before
                it in the same bytes, that is returned, and the error is in `failure`.
        """
        if self._held is None and self._envelope.fits(data) and not self._reader.is_waiting:
            self.delivered.add(data, 1)
            return data
        if not self._can_skip:
            return self._read(data, b"")
        out = b""
        if self._reader.is_waiting or not self._last:
            # The first event is read whatever it says: it shows what all others are wrapped in.
            end = data.find(b"\n\n") + 2
            out, data = self._read(data[:end] if end > 1 else data, out), data[end:] if end > 1 else b""
            if self.failure is not None:
                return out
        if data and self._last and not self._reader.is_waiting:
            size, events = self._unremarkable(data)
            if size:
                out += self._released() + data[:size]
                self.delivered.add(data[:size], events)
                data = data[size:]
        return self._read(data, out) if data else out

    def _unremarkable(self, data: bytes) -> tuple[int, int]:
        """How many bytes at the front are whole events that may pass as they are, and about how many events."""
        envelope = self._envelope
        if not envelope.is_known and (end := data.find(b"\n\n")) > 0 and not _is_remarkable(data[:end]):
            envelope.learn(data[:end])
        if envelope.is_known:
            return envelope.leading(data)
        size = _unremarkable(data)
        return size, data.count(b"data:", 0, size)

    def _read(self, data: bytes, before: bytes) -> bytes:
        """Event by event, after what came `before` in the same bytes."""
        out = [before]
        try:
            for event in self._reader.feed(data):
                out.append(self._pass(event))  # noqa: PERF401 - what came before an error is kept
        except EventTooLarge as error:
            failure = UpstreamError(Failure(FailureKind.MALFORMED, 200, str(error.__doc__)))
        except UpstreamError as error:
            failure = error
        else:
            return b"".join(out)
        good = b"".join(out)
        if not good:
            raise failure from None
        self.failure = failure
        return good

    def end(self) -> bytes:
        """Bytes for the caller once the upstream has closed; reads an unterminated last event."""
        return b"".join([self._pass(event) for event in self._reader.finish()])

    def _pass(self, event: ServerEvent) -> bytes:
        if event.data == b"[DONE]":
            self.is_over = True
        elif self._can_skip and self._last and event.data.endswith(b"}"):
            whole = encode(event.data)
            if self._envelope.fits(whole) or not _is_remarkable(whole):
                return self._released() + self._sent(whole)
        out = b""
        for chunk in self.source.event(event):
            out += self._released()
            self._last = chunk
            reason = finish_reason(chunk)
            if reason:
                self.finish_reason = reason
                self._finished |= finished(chunk)
                self._held = chunk
            else:
                out += self._sent(self._line(chunk))
        return out

    def _released(self) -> bytes:
        held, self._held = self._held, None
        return b"" if held is None else self._sent(self._line(held))

    def _sent(self, data: bytes) -> bytes:
        self.delivered.add(data, data.count(b"data:"))
        return data

    @property
    def usage_bytes(self) -> bytes:
        """The provider's usage object as JSON, b"" without one; meaningful where it speaks our own shape."""
        document = self.source.usage
        return b"" if document is None else msgspec.json.encode(document.get("usage"))

    def closing(self, usage: bytes, extension: bytes, cut_short: str = "") -> bytes:
        """The last bytes of a good stream: finish reason, usage, the `tollway` object, `[DONE]`.

        Args:
            usage: JSON of the OpenAI shape. extension: JSON of the `tollway` object. cut_short: a finish reason of our own,
                when we ended the answer before the provider did (R6b).
        """
        told = {"usage": msgspec.Raw(usage), "tollway": msgspec.Raw(extension)}
        last = self._held or {
            **self._wrapping(),
            "choices": [{"index": 0, "delta": {}, "finish_reason": cut_short or self.finish_reason or "stop"}],
        }
        if not self._include_usage:
            return self._line({**last, **told}) + DONE
        return self._line(last) + self._line({**self._wrapping(), "choices": [], **told}) + DONE

    def failing(self, error: JSON, extension: bytes) -> bytes:
        """The last bytes of a stream that broke: one chunk with a top-level `error` and finish_reason `error`."""
        choice: JSON = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
        return self._line({**self._wrapping(), "choices": [choice], "error": error, "tollway": msgspec.Raw(extension)})

    def _wrapping(self) -> JSONObject:
        last = self._last
        return {
            "id": last.get("id", ""),
            "object": "chat.completion.chunk",
            "created": last.get("created", 0),
            "model": last.get("model", ""),
        }

    @staticmethod
    def _line(chunk: "Mapping[str, JSON | msgspec.Raw]") -> bytes:
        return encode(msgspec.json.encode(chunk))


def finished(chunk: JSONObject) -> set[int]:
    """The indexes of the choices that end with this chunk."""
    choices, found = chunk.get("choices"), set[int]()
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and choice.get("finish_reason"):
            index = choice.get("index")
            found.add(index if isinstance(index, int) else 0)
    return found


def _is_remarkable(data: bytes) -> bool:
    finish, usage, error, done = _MARKS
    return bool(finish(data) or usage(data) or error(data) or done(data))


def _first_mark(data: bytes) -> int:
    """Where the first thing worth reading begins, -1 if there is none."""
    found = [match.start() for search in _MARKS if (match := search(data)) is not None]
    return min(found) if found else -1


def _unremarkable(data: bytes) -> int:
    """How many bytes at the front are whole events that may pass as they are."""
    mark = _first_mark(data)
    end = data.rfind(_WHOLE, 0, len(data) if mark < 0 else mark) + len(_WHOLE)
    # A frame of half a JSON object must not reach a caller, whose SDK would fail on it.
    return end if end >= len(_WHOLE) and data.count(_WHOLE, 0, end) == data.count(b"\n\n", 0, end) else 0


def finish_reason(chunk: JSONObject) -> str:
    """The finish reason in a chunk or whole answer, "" if there is none yet."""
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and isinstance(reason := choice.get("finish_reason"), str):
            return reason
    return ""
