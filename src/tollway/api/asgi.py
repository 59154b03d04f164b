"""The little of ASGI that the hot endpoints use, typed: scope, messages, reading a body, answering with bytes."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from tollway.errors import PayloadTooLarge

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
HeaderPairs: TypeAlias = Iterable[tuple[bytes, bytes]]


class CallerLeft(Exception):
    """The caller hung up before the whole body was here."""


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """The whole request body.

    Raises:
        PayloadTooLarge: more than `bytes_max` bytes came; the rest is not read.
        CallerLeft: the caller hung up.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerLeft
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts, size = [body], len(body)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > bytes_max:
            raise PayloadTooLarge(f"the body has more than {bytes_max} bytes, the most that is accepted")
        if not message.get("more_body", False):
            return b"".join(parts)


async def answer(send: Send, status: int, headers: HeaderPairs, body: bytes) -> None:
    """A whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
