"""What the events of one stream have in common: told apart by their text alone, they need not be read to be passed on.

A provider wraps each piece of text in the same JSON. Once one such event has been read, the next that begins and ends with the
same bytes, with nothing between that could end a string, has the same fields - and so nothing that the gateway must know.
"""

import re

_TEXT = re.compile(rb'data: ?\{[^\n]*"(?:content|arguments|reasoning_content|reasoning)": ?"([^"\\\n]*)"[,}][^\n]*\}')
_ESCAPED = re.compile(rb'(?:[^"\\\n]++|\\[^\n])*+').fullmatch
_TRIES = 3
"""Providers that pad each event with random text, or number them, have no common envelope."""


class Envelope:
    """The envelope of one stream: empty until `learn`."""

    __slots__ = ("_after", "_back", "_before", "_front", "_size", "_tries", "is_known")

    def __init__(self) -> None:
        self.is_known = False
        self._front = self._back = b""
        self._after = self._before = self._size = 0
        self._tries = _TRIES

    def learn(self, event: bytes) -> None:
        """Take one whole event, without its blank line and known to be unremarkable, as the pattern of those to come."""
        if not self.is_known and self._tries:
            self._tries -= 1
            text = _TEXT.fullmatch(event)
            if text is not None:
                start, end = text.span(1)
                self._front, self._back = event[:start], event[end:] + b"\n\n"
                self._after, self._before, self._size = start, -len(self._back), start + len(self._back)
                self.is_known = True

    def fits(self, data: bytes) -> bool:
        """`data` is one whole event in this envelope, and nothing else."""
        return (
            self.is_known
            and data.startswith(self._front)
            and data.endswith(self._back)
            and len(data) >= self._size
            # Nothing between ends the string, or the line.
            and (
                (data.find(b'"', self._after, self._before) < 0 and data.find(b"\n", self._after, self._before) < 0)
                or _ESCAPED(data, self._after, len(data) + self._before) is not None
            )
        )

    def leading(self, data: bytes) -> tuple[int, int]:
        """How many bytes at the front of `data` are whole events in this envelope, and how many events."""
        front, end = self._front, self._back[:-2]
        after, before, least = len(front), -len(end), len(front) + len(end)
        size = events = 0
        lines = data.split(b"\n")
        # What follows the last line end is no whole line yet.
        lines.pop()
        for line, blank in zip(lines[::2], lines[1::2], strict=False):
            if (
                blank
                or not line.startswith(front)
                or not line.endswith(end)
                or len(line) < least
                or (line.find(b'"', after, before) >= 0 and _ESCAPED(line, after, len(line) + before) is None)
            ):
                break
            size += len(line) + 2
            events += 1
        return size, events
