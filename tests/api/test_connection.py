"""The lean connection: heads and bodies as HTTP wants them, in one write, in order, and one timer that closes what idles."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn

from tollway.api.connection import Connection, writer

HOT = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
App = Callable[..., Awaitable[None]]


def answering(*parts: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> App:
    """An application that answers with these parts; with a content-length if there is one part and no other headers."""
    told = [(b"content-length", b"%d" % len(parts[0]))] if headers is None and len(parts) == 1 else headers or []

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        message = await receive()
        assert message == {"type": "http.request", "body": b"{}", "more_body": False}
        await send({"type": "http.response.start", "status": 200, "headers": told})
        for number, part in enumerate(parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": number < len(parts)})

    return app


@asynccontextmanager
async def caller(app: App, **config: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=0, http=Connection, ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, date_header=False, **config,
        )
    )  # fmt: skip
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await running


async def asked(app: App, *sent: bytes, size: int) -> bytes:
    async with caller(app) as (reader, writer):
        writer.write(b"".join(sent))
        return await asyncio.wait_for(reader.readexactly(size), 5)


def test_head_and_body_leave_together() -> None:
    expected = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"

    async def run() -> bytes:
        async with caller(answering(b"hello")) as (reader, writer):
            writer.write(HOT)
            return await asyncio.wait_for(reader.read(65536), 5)

    assert asyncio.run(run()) == expected


def test_an_answer_of_unknown_length_is_chunked() -> None:
    expected = b"HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"
    app = answering(b"one", b"", b"three", headers=[(b"x-a", b"b")])
    assert asyncio.run(asked(app, HOT, size=len(expected))) == expected


def test_pipelined_requests_are_answered_in_order() -> None:
    one = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    assert asyncio.run(asked(answering(b"hello"), HOT, HOT, HOT, size=3 * len(one))) == 3 * one


def test_a_caller_who_wants_to_close_is_closed() -> None:
    async def run() -> bytes:
        async with caller(answering(b"hello")) as (reader, writer):
            writer.write(HOT.replace(b"host: x", b"connection: close"))
            return await asyncio.wait_for(reader.read(), 5)

    assert asyncio.run(run()) == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b"])
def test_a_header_cannot_break_out_of_the_head(value: bytes) -> None:
    async def run() -> bytes:
        async with caller(answering(b"hello", headers=[(b"content-length", b"5"), (b"x-a", value)])) as (
            reader,
            writer,
        ):
            writer.write(HOT)
            return await asyncio.wait_for(reader.read(65536), 5)

    assert b"hello" not in asyncio.run(run())


@pytest.mark.parametrize("told", [b"4", b"6"])
def test_a_body_of_another_length_than_told_closes_the_connection(told: bytes) -> None:
    async def run() -> bytes:
        async with caller(answering(b"hello", headers=[(b"content-length", told)])) as (reader, writer):
            writer.write(HOT)
            return await asyncio.wait_for(reader.read(), 5)

    assert asyncio.run(run()) == b""


def test_an_idle_connection_is_closed_and_a_used_one_is_not() -> None:
    async def run() -> tuple[float, bytes]:
        loop = asyncio.get_running_loop()
        async with caller(answering(b"hello"), timeout_keep_alive=1) as (reader, writer):
            for _ in range(4):
                writer.write(HOT)
                await asyncio.wait_for(reader.readuntil(b"hello"), 5)
                last = loop.time()
                await asyncio.sleep(0.4)
            rest = await asyncio.wait_for(reader.read(), 5)
            return loop.time() - last, rest

    idle_s, rest = asyncio.run(run())
    assert rest == b""
    assert 0.8 < idle_s < 2.5


def test_other_paths_are_uvicorns() -> None:
    async def run() -> bytes:
        async with caller(answering(b"hello")) as (reader, writer):
            writer.write(HOT.replace(b"/v1/chat/completions", b"/v1/other?a=b"))
            return await asyncio.wait_for(reader.readuntil(b"hello"), 5)

    assert asyncio.run(run()).endswith(b"content-length: 5\r\n\r\nhello")


def test_a_large_body_that_comes_in_pieces_is_read_whole() -> None:
    body = b"x" * 300_000
    seen = list[int]()

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        more, size = True, 0
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        seen.append(size)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def run() -> None:
        async with caller(app) as (reader, writer):
            writer.write(HOT[:-2].replace(b"content-length: 2", b"content-length: 300000"))
            for start in range(0, len(body), 70_000):
                writer.write(body[start : start + 70_000])
                await writer.drain()
                await asyncio.sleep(0.01)
            await asyncio.wait_for(reader.readuntil(b"ok"), 5)

    asyncio.run(run())
    assert seen == [300_000]


def test_a_caller_who_leaves_is_told_to_the_application() -> None:
    seen = list[str]()

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        await receive()
        seen.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def run() -> None:
        async with caller(app) as (_, writer):
            writer.write(HOT)
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.close()
            await asyncio.sleep(0.1)

    asyncio.run(run())
    assert seen == ["http.disconnect"]


def test_pieces_may_be_written_without_a_task_that_waits() -> None:
    taken = list[bool]()

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        write = writer(send)
        assert write is not None
        await receive()
        with pytest.raises(RuntimeError, match="out of order"):
            write(b"early")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        taken.extend([write(b"one"), write(b"two")])
        await send({"type": "http.response.body", "body": b"end"})
        with pytest.raises(RuntimeError, match="out of order"):
            write(b"late")

    expected = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n3\r\nend\r\n0\r\n\r\n"
    assert asyncio.run(asked(app, HOT, size=len(expected))) == expected
    assert taken == [True, True]


def test_a_caller_who_does_not_read_is_waited_for_and_one_who_left_is_not() -> None:
    told = list[bool]()

    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        write = writer(send)
        assert write is not None
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while write(b"x" * 100_000):
            await asyncio.sleep(0)
        told.append(False)
        assert (await receive())["type"] == "http.disconnect"
        told.append(write(b"x"))

    async def run() -> None:
        async with caller(app) as (reader, writer_):
            reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001 - a caller who does not read
            writer_.write(HOT)
            while not told:
                await asyncio.sleep(0.01)
            writer_.transport.abort()
            await asyncio.sleep(0.1)

    asyncio.run(run())
    assert told == [False, True]


def test_the_send_of_another_server_has_no_writer() -> None:
    async def send(message: object) -> None: ...

    assert writer(send) is None
