"""What has reached the caller of a stream: counted cheaply while it flows, exactly when money depends on it.

While bytes pass through, tokens are estimated from their length; the text itself is decoded only when a provider left out its
usage or the caller hung up (money.md R8c, R8d).
"""

import msgspec

from tollway.jsontypes import JSON
from tollway.metering.sse import EventReader

_FOLD_BYTES = 128 * 1024
_BYTES_PER_TOKEN = 3
"""Fewer than real text has (about four), so that a rolling hold is raised early rather than late."""


class Delivered:
    """The output of one stream.

    events: how many content events went by; providers put one token or more into each.
    """

    __slots__ = ("_bytes", "_envelope", "_raw", "_raw_bytes", "_text", "_to_measure", "events")

    def __init__(self) -> None:
        self.events = 0
        self._bytes = 0
        self._envelope = 0
        self._to_measure = 3
        self._raw = list[bytes]()
        self._raw_bytes = 0
        self._text = list[str]()

    def add(self, data: bytes, events: int) -> None:
        """Count whole events of OpenAI chunks as they pass, without decoding them."""
        size = len(data)
        self.events += events
        self._bytes += size
        self._raw.append(data)
        self._raw_bytes += size
        if self._raw_bytes > _FOLD_BYTES:
            self._fold()

    @property
    def tokens_estimate(self) -> int:
        """Output tokens so far, rather too many than too few."""
        if self._to_measure and self._raw:
            # The envelope of a stream is the same in nearly every event: a few decodes tell how much of each is content. The
            # first event has the role too; the smallest envelope counts, or long texts in few events would go unseen.
            self._to_measure -= 1
            last = self._raw[-1]
            event = last[: last.find(b"\n\n") + 2] or last
            envelope = max(1, len(event) - len("".join(_contents(event)).encode()))
            self._envelope = min(self._envelope or envelope, envelope)
        return max(self.events, (self._bytes - self.events * self._envelope) // _BYTES_PER_TOKEN)

    def text(self) -> str:
        """Everything that was written: answers, thinking, tool names and arguments."""
        self._fold()
        return "".join(self._text)

    def _fold(self) -> None:
        self._text.append("".join(_contents(b"".join(self._raw))))
        self._raw.clear()
        self._raw_bytes = 0


def _contents(data: bytes) -> list[str]:
    found = list[str]()
    for event in EventReader().feed(data):
        try:
            chunk: JSON = msgspec.json.decode(event.data)
        except msgspec.DecodeError:
            continue
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict):
                found += written(choice.get("delta"))
    return found


def written(message: JSON) -> list[str]:
    """Every text in a delta or message that the model wrote: content, thinking, refusals, tool names and arguments."""
    if not isinstance(message, dict):
        return []
    found = [text for name in _TEXTS if isinstance(text := message.get(name), str)]
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            found += [text for name in ("name", "arguments") if isinstance(text := function.get(name), str)]
    return found


_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
