"""Event framing: the specification's own examples, and the same events however the bytes are cut (WHATWG HTML 9.2.6)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tollway.metering.sse import DONE, EVENT_BYTES_MAX, KEEP_ALIVE, EventReader, EventTooLarge, ServerEvent, encode


def read(*pieces: bytes) -> list[ServerEvent]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.finish()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *edges], [*edges, len(data)], strict=True)]


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        (b"data: a\n\n", [ServerEvent(b"a")]),
        (b"data:a\n\n", [ServerEvent(b"a")]),
        (b"data:  a\n\n", [ServerEvent(b" a")]),  # one space is the separator's, the second is data
        (b"data: a\ndata: b\n\n", [ServerEvent(b"a\nb")]),
        (b"event: error\ndata: a\n\n", [ServerEvent(b"a", "error")]),
        (b"data: a\nevent:error\n\n", [ServerEvent(b"a", "error")]),
        (b"event: error\n\n", []),  # no data, no event
        (b": comment\n\ndata: a\n\n", [ServerEvent(b"a")]),
        (b"id: 1\nretry: 5\nfoo: bar\ndata: a\n\n", [ServerEvent(b"a")]),
        (b"data\n\n", [ServerEvent(b"")]),  # a field without a colon has an empty value
        (b"data\ndata\n\n", [ServerEvent(b"\n")]),
        (b"database: a\n\n", []),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [ServerEvent(b"a"), ServerEvent(b"b")]),
        (b"data: a\r\rdata: b\r\r", [ServerEvent(b"a"), ServerEvent(b"b")]),
        (b"data: a\r\n\ndata: b\n\r\n", [ServerEvent(b"a"), ServerEvent(b"b")]),
        (b"\n\n\ndata: a\n\n\n\ndata: b\n\n\n", [ServerEvent(b"a"), ServerEvent(b"b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [ServerEvent(b"a")]),  # one byte order mark is skipped
        (b"data: a\n\ndata: b", [ServerEvent(b"a"), ServerEvent(b"b")]),  # the last blank line was forgotten
        (b"data: a\n\ndata: b\n", [ServerEvent(b"a"), ServerEvent(b"b")]),
        (b"data: a\r\n\r\ndata: b\r", [ServerEvent(b"a"), ServerEvent(b"b")]),
        (DONE, [ServerEvent(b"[DONE]")]),
        (KEEP_ALIVE, []),
        (encode(b'{"a":1}'), [ServerEvent(b'{"a":1}')]),
    ],
)
def test_events_of_a_stream(wire: bytes, events: list[ServerEvent]) -> None:
    assert read(wire) == events
    assert read(*(wire[place : place + 1] for place in range(len(wire)))) == events


_VALUE = st.binary(max_size=12).map(lambda value: value.replace(b"\n", b"").replace(b"\r", b""))
_LINE = st.one_of(
    st.builds(lambda value: b"data: " + value, _VALUE),
    st.builds(lambda value: b"data:" + value, _VALUE),
    st.sampled_from([b"event: error", b": comment", b"", b"data", b"id: 7", b"nothing"]),
)
_END = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(
    lines=st.lists(st.tuples(_LINE, _END), max_size=20),
    mark=st.booleans(),
    places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12),
)
@example(
    lines=[(b"data: a", b"\r"), (b"", b"\r"), (b"data: b", b"\r\n"), (b"", b"\r\n")], mark=False, places=[8, 9, 10, 20]
)
def test_cut_anywhere_the_events_are_the_same(lines: list[tuple[bytes, bytes]], mark: bool, places: list[int]) -> None:
    wire = (b"\xef\xbb\xbf" if mark else b"") + b"".join(line + end for line, end in lines)
    assert read(*cut(wire, places)) == read(wire)


@given(
    events=st.lists(st.tuples(_VALUE.filter(bool), st.sampled_from(["", "message", "error"])), max_size=8),
    end=_END,
    places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12),
)
def test_what_is_written_is_read(events: list[tuple[bytes, str]], end: bytes, places: list[int]) -> None:
    wire = b"".join(
        (b"event: " + name.encode() + end if name else b"") + b"data: " + data + end + end for data, name in events
    )
    reader = EventReader()
    seen = [event for piece in cut(wire, places) for event in reader.feed(piece)]
    # Every event is there as soon as its blank line is: nothing waits for the byte after it.
    assert seen == [ServerEvent(data, name) for data, name in events]
    assert not reader.is_waiting


def test_half_an_event_waits() -> None:
    reader = EventReader()
    assert reader.feed(b"data: a") == []
    assert reader.is_waiting
    assert reader.feed(b"b\n") == []
    assert reader.feed(b"\ndata: c") == [ServerEvent(b"ab")]
    assert reader.is_waiting
    assert reader.finish() == [ServerEvent(b"c")]
    assert not reader.is_waiting


def test_an_event_without_end_is_refused() -> None:
    reader = EventReader()
    reader.feed(b"data: " + b"x" * (EVENT_BYTES_MAX - 6))
    with pytest.raises(EventTooLarge):
        reader.feed(b"x")


def test_a_large_event_in_small_pieces_takes_linear_time() -> None:
    # 8 MiB in 1 KiB pieces: a reader that joined or searched everything again for each piece would copy 32 GiB.
    reader = EventReader()
    for _ in range(EVENT_BYTES_MAX // 1024 - 1):
        reader.feed(b"data: " + b"x" * 1017 + b"\n")
    assert len(reader.feed(b"\n")) == 1
