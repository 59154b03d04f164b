"""The connection to a provider: framed any way, split anywhere, kept or cut; hostile answers end in the two plain errors."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.served import CHUNKED, OK, SPLIT, Server, asked, client, served, streamed
from tollway.providers.connection import HEADER_BYTES_MAX, ReplyTooLarge
from tollway.providers.upstream import HttpStream, HttpUpstream


def test_a_request_says_what_it_must_and_no_more() -> None:
    async def scenario() -> None:
        async with served(Server()) as server, client() as upstream:
            assert await upstream.fetch(asked(server.port, b'{"a": 1}'), 5) == (200, {}, b"{}")
            head, _, body = server.requests[0].partition(b"\r\n\r\n")
            assert body == b'{"a": 1}'
            assert head.split(b"\r\n") == [
                b"POST /v1/chat?key=k HTTP/1.1",
                b"host: 127.0.0.1:%d" % server.port,
                b"user-agent: tollway",
                b"accept: */*",
                b"content-type: application/json",
                b"x-key: secret",
                b"content-length: 8",
            ]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"{}"),
        (SPLIT, b"hello world"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_every_framing_and_the_connection_is_kept(answer: bytes, body: bytes) -> None:
    async def scenario() -> None:
        async with served(Server(answer, answer, OK)) as server, client() as upstream:
            assert (await upstream.fetch(asked(server.port), 5))[2] == body
            assert await streamed(upstream, server.port) == body
            assert (await upstream.fetch(asked(server.port), 5))[2] == b"{}"
            assert server.connections == 1

    asyncio.run(scenario())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, len(SPLIT) - 1), max_size=8, unique=True))
def test_an_answer_may_be_split_anywhere(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(SPLIT)]

    async def in_pieces(writer: asyncio.StreamWriter) -> None:
        for start, end in zip(edges, edges[1:], strict=False):
            writer.write(SPLIT[start:end])
            await writer.drain()
            await asyncio.sleep(0)

    async def scenario() -> None:
        async with served(Server(in_pieces, in_pieces)) as server, client() as upstream:
            assert (await upstream.fetch(asked(server.port), 5))[2] == b"hello world"
            assert await streamed(upstream, server.port) == b"hello world"

    asyncio.run(scenario())


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the end")
        writer.close()

    async def scenario() -> None:
        async with served(Server(answer, answer)) as server, client() as upstream:
            assert (await upstream.fetch(asked(server.port), 5))[2] == b"to the end"
            assert await streamed(upstream, server.port) == b"to the end"
            assert server.connections == 2

    asyncio.run(scenario())


def test_headers_of_an_error_are_read() -> None:
    answer = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Type: text/plain\r\ncontent-length: 4\r\n\r\nbusy"

    async def scenario() -> None:
        async with served(Server(answer, answer)) as server, client() as upstream:
            status, headers, body = await upstream.fetch(asked(server.port), 5)
            assert (status, headers, body) == (429, {"retry-after": "7", "content-type": "text/plain"}, b"busy")
            stream = await upstream.open(asked(server.port), 5)
            assert (stream.status, stream.header("retry-after"), stream.header("x")) == (429, "7", None)
            assert await stream.read(100) == b"busy"
            await stream.close()
            assert server.connections == 1

    asyncio.run(scenario())


def hard(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def short(writer: asyncio.StreamWriter) -> None:
    writer.write(OK[:-1])
    writer.close()


@pytest.mark.parametrize(
    "answer",
    [
        hard,
        short,
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * HEADER_BYTES_MAX + b"\r\n\r\n",
        CHUNKED + b"zz\r\n",
    ],
    ids=str,
)
def test_a_broken_answer_is_a_connection_error(answer: "bytes | Callable[[asyncio.StreamWriter], object]") -> None:
    async def scenario() -> None:
        async with served(Server(answer, answer, OK)) as server, client() as upstream:
            with pytest.raises(ConnectionError):
                await upstream.fetch(asked(server.port), 1)
            with pytest.raises(ConnectionError):
                await streamed(upstream, server.port)
            assert (await upstream.fetch(asked(server.port), 5))[2] == b"{}"
            assert server.connections == 3

    asyncio.run(scenario())


def test_what_came_before_the_break_is_read() -> None:
    def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"5\r\nhello\r\n")
        writer.close()

    async def scenario() -> None:
        async with served(Server(answer)) as server, client() as upstream:
            stream = await upstream.open(asked(server.port), 5)
            await asyncio.sleep(0.05)
            assert await stream.next() == b"hello"
            with pytest.raises(ConnectionError):
                await stream.next()
            await stream.close()

    asyncio.run(scenario())


def test_a_large_answer_is_cut_off_and_a_large_stream_is_not_read_ahead() -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(CHUNKED)
        for _ in range(400):
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()
            sent += 65536

    async def scenario() -> None:
        async with served(Server(endless, endless)) as server, client(reply_bytes_max=100_000) as upstream:
            with pytest.raises(ReplyTooLarge):
                await upstream.fetch(asked(server.port), 5)
            stream = await upstream.open(asked(server.port), 5)
            await asyncio.sleep(0.3)
            # Both sockets' buffers and ours; 26 MB would have come.
            assert sent < 16 << 20
            read = 0
            while read < 20 << 20:
                read += len(await stream.next() or b"")
            await stream.close()

    asyncio.run(scenario())


def test_timeouts() -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3)

    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"5\r\nhello\r\n")
        await asyncio.sleep(3)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        for _ in range(40):
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        server = Server(silent, half, drip, drip)
        async with served(server), client(idle_timeout_s=0.2) as upstream:
            with pytest.raises(TimeoutError):
                await upstream.fetch(asked(server.port), 0.1)
            stream = await upstream.open(asked(server.port), 5)
            assert await stream.next() == b"hello"
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError):
                await stream.next()
            assert 0.15 < asyncio.get_running_loop().time() - began < 1
            await stream.close()
            # Never silent for long, but too long in all; a whole answer knows no idle limit.
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(streamed(upstream, server.port, 0.4), 3)
            with pytest.raises(TimeoutError):
                await upstream.fetch(asked(server.port), 0.5)

    asyncio.run(scenario())


@pytest.mark.parametrize("phase", ["fetch", "open", "next"])
def test_pain_51_cancelling_cuts_the_connection_at_once(phase: str) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        if phase == "next":
            writer.write(CHUNKED + b"5\r\nhello\r\n")

    async def wait(upstream: HttpUpstream, port: int) -> None:
        if phase == "fetch":
            await upstream.fetch(asked(port), 30)
        else:
            await streamed(upstream, port)

    async def scenario() -> None:
        async with served(Server(answer)) as server, client() as upstream:
            task = asyncio.ensure_future(wait(upstream, server.port))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait_for(server.lost.wait(), 1)
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(scenario())


def test_a_pump_hands_over_each_read_until_it_is_told_to_stop() -> None:
    async def slowly(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        for piece in (b"a", b"b", b"c", b"d"):
            await asyncio.sleep(0.02)
            writer.write(b"1\r\n" + piece + b"\r\n")
        writer.write(b"0\r\n\r\n")

    async def scenario() -> None:
        seen = list[bytes]()

        def take(data: bytes) -> bool:
            seen.append(data)
            return not data.startswith(b"b")

        async with served(Server(slowly, OK)) as server, client() as upstream:
            stream = await upstream.open(asked(server.port), 5)
            assert isinstance(stream, HttpStream)
            assert await stream.pump(take)
            assert (b"".join(seen), stream.is_over) == (b"ab", False)
            assert not await stream.pump(take)
            assert (b"".join(seen), stream.is_over) == (b"abcd", True)
            await stream.close()
            assert (await upstream.fetch(asked(server.port), 5))[2] == b"{}"
            assert server.connections == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("way", ["break", "silence", "fault", "cancel"])
def test_a_pump_ends_with_what_went_wrong(way: str) -> None:
    async def one(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        await asyncio.sleep(0.05)
        writer.write(b"1\r\na\r\n")
        if way == "break":
            writer.close()
        await asyncio.sleep(1)

    expected = {
        "break": ConnectionError,
        "silence": TimeoutError,
        "fault": KeyError,
        "cancel": asyncio.CancelledError,
    }

    async def scenario() -> None:
        seen = list[bytes]()

        def take(data: bytes) -> bool:
            seen.append(data)
            if way == "fault":
                raise KeyError
            return True

        async with served(Server(one)) as server, client(idle_timeout_s=0.3) as upstream:
            stream = await upstream.open(asked(server.port), 5)
            assert isinstance(stream, HttpStream)
            task = asyncio.ensure_future(stream.pump(take))
            await asyncio.sleep(0.15)
            if way == "cancel":
                task.cancel()
            with pytest.raises(expected[way]):
                await task
            assert seen == [b"a"]
            await stream.close()

    asyncio.run(scenario())


def test_the_time_of_a_stream_is_set_anew_once_it_has_begun() -> None:
    async def slow(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"1\r\na\r\n")
        await asyncio.sleep(0.4)
        writer.write(b"1\r\nb\r\n")
        await asyncio.sleep(3)

    async def scenario() -> None:
        async with served(Server(slow)) as server, client() as upstream:
            stream = await upstream.open(asked(server.port), 0.2)
            assert isinstance(stream, HttpStream)
            stream.allow(0.7)
            assert await stream.next() == b"a"
            assert await stream.next() == b"b"
            with pytest.raises(TimeoutError):
                await stream.next()
            await stream.close()

    asyncio.run(scenario())


def test_a_timer_that_an_earlier_request_has_left_does_not_cut_a_later_one() -> None:
    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        writer.write(OK)

    async def scenario() -> None:
        async with served(Server(OK, slow, OK, slow)) as server, client() as upstream:
            await upstream.fetch(asked(server.port), 0.2)
            assert (await upstream.fetch(asked(server.port), 5))[2] == b"{}"
            # And a long one does not keep a short one.
            await upstream.fetch(asked(server.port), 5)
            with pytest.raises(TimeoutError):
                await upstream.fetch(asked(server.port), 0.1)
            assert server.connections == 1

    asyncio.run(scenario())


def test_an_answer_that_nobody_read_to_its_end_does_not_keep_its_connection_paused() -> None:
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 400000\r\n\r\n" + b"x" * 400_000

    async def scenario() -> None:
        async with served(Server(large, OK)) as server, client() as upstream:
            stream = await upstream.open(asked(server.port), 5)
            await asyncio.sleep(0.1)
            await stream.close()
            assert (await upstream.fetch(asked(server.port), 2))[2] == b"{}"

    asyncio.run(scenario())


def test_headers_of_interim_answers_are_not_those_of_the_answer() -> None:
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nretry-after: 9\r\n\r\n"
        b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nbusy"
    )

    async def scenario() -> None:
        async with served(Server(answer)) as server, client() as upstream:
            assert await upstream.fetch(asked(server.port), 5) == (503, {"retry-after": "7"}, b"busy")

    asyncio.run(scenario())


def test_a_truncated_answer_that_said_its_length_is_broken_whatever_it_says_of_its_connection() -> None:
    def short_and_closed(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\nContent-Length: 9\r\n\r\nhalf")
        writer.close()

    async def scenario() -> None:
        async with served(Server(short_and_closed)) as server, client() as upstream:
            with pytest.raises(ConnectionError):
                await upstream.fetch(asked(server.port), 5)

    asyncio.run(scenario())
