"""Server-sent events from bytes: framing only, no sockets, split anywhere (WHATWG HTML 9.2.6).

Fed with whatever the network delivers, it gives whole events; a half event waits for its rest. Line ends may be LF,
CRLF or CR; a byte order mark at the start, comments and unknown fields are skipped; several `data` lines join with LF.
"""

import msgspec

EVENT_BYTES_MAX = 8 * 1024 * 1024
"""An event larger than this is an attack or a fault, not an answer."""

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event is larger than 8 MiB: the upstream is treated as malformed."""


class ServerEvent(msgspec.Struct, frozen=True, gc=False):
    """One event: its `data` (lines joined), and its `event` name, "" when it has none."""

    data: bytes
    name: str = ""


class EventReader:
    """Collects bytes and gives whole events; `feed` after `feed`, in order. All work is linear in the bytes fed."""

    __slots__ = ("_has_begun", "_rest", "_skips_lf")

    def __init__(self) -> None:
        self._rest = bytearray()
        # The last byte was a CR, which has ended its line already: a LF that follows belongs to it.
        self._skips_lf = False
        self._has_begun = False

    @property
    def is_waiting(self) -> bool:
        """Half an event is waiting for its rest."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The events that are complete now.

        Raises:
            EventTooLarge: an unfinished event has grown beyond `EVENT_BYTES_MAX`.
        """
        if self._skips_lf and data:
            self._skips_lf = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._skips_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        rest = self._rest
        if not rest and data.endswith(b"\n\n") and (self._has_begun or data.startswith(b"data")):
            self._has_begun = True
            return _events(data)
        # Only what is new can complete an event; the first of two line ends may have come before.
        searched = max(len(rest) - 1, 0)
        rest += data
        if not self._has_begun:
            if len(rest) < len(_BOM) and _BOM.startswith(rest):
                return []
            self._has_begun = True
            if rest.startswith(_BOM):
                del rest[: len(_BOM)]
        end = rest.rfind(b"\n\n", searched)
        if len(rest) - max(end, 0) > EVENT_BYTES_MAX:
            raise EventTooLarge
        if end < 0:
            return []
        whole = bytes(rest[:end])
        del rest[: end + 2]
        return _events(whole)

    def finish(self) -> list[ServerEvent]:
        """What an unterminated tail says: the specification drops it, real providers forget the last blank line."""
        rest = bytes(self._rest)
        self._rest.clear()
        return _events(rest)


def _events(blocks: bytes) -> list[ServerEvent]:
    return [event for block in blocks.split(b"\n\n") if (event := _event(block)) is not None]


def _event(block: bytes) -> ServerEvent | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return ServerEvent(block[6:])
    data = list[bytes]()
    name = ""
    for line in block.split(b"\n"):
        if line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line.startswith(b"event:"):
            name = (line[7:] if line.startswith(b"event: ") else line[6:]).decode("utf-8", "replace")
        elif line == b"data":
            data.append(b"")
    return ServerEvent(b"\n".join(data), name) if data else None


def encode(data: bytes) -> bytes:
    """One event with this data, as it goes on the wire; `data` is a single line."""
    return b"data: " + data + b"\n\n"


DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
