"""The fault upstream ends every answer on the wire as the behaviour's name says, in every dialect."""

import json
import socket

import pytest

from support.fault_upstream import USAGE_BEHAVIOURS, WIRE_BEHAVIOURS
from support.fault_usage import DIALECTS
from support.upstreams import FaultUpstream, host_and_port

pytestmark = pytest.mark.servers

TERMINATOR = {"openai": b"data: [DONE]", "anthropic": b"event: message_stop", "gemini": b'"finishReason": "STOP"'}
USAGE = {"openai": b"prompt_tokens", "anthropic": b'"output_tokens": 567', "gemini": b'"candidatesTokenCount": 567'}


def exchange(
    upstream: FaultUpstream, dialect: str, model: str, *, stream: bool, wait_s: float = 0.4
) -> tuple[str, bytes]:
    """How the answer ended and its bytes: complete (HTTP says so), reset, closed (FIN without an end), silent."""
    path = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}.get(dialect)
    path = path or f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"
    body = json.dumps({"model": model, "stream": stream, "stream_options": {"include_usage": True}}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    received = b""
    with socket.create_connection(host_and_port(upstream.url)) as connection:
        connection.sendall(head + body)
        connection.settimeout(wait_s)
        while not complete(received):
            try:
                data = connection.recv(1 << 16)
            except TimeoutError:
                return "silent", received
            except ConnectionResetError:
                return "reset", received
            if not data:
                return "closed", received
            received += data
    return "complete", received


def complete(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return len(body) == int(length.split(b":")[1])


ENDS = {
    "reset-0": "reset",
    "reset-headers": "reset",
    "reset-mid": "reset",
    "reset-before-usage": "reset",
    "reset-last": "reset",
    "close-mid": "closed",
    "hang": "silent",
    "hang-mid": "silent",
    "slow-1bps": "silent",
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_each_behaviour_ends_as_named(faulty: FaultUpstream, dialect: str, stream: bool) -> None:
    for behaviour in sorted(WIRE_BEHAVIOURS | USAGE_BEHAVIOURS | {"slow-1bps", "split-7", "status-503"}):
        end, _ = exchange(faulty, dialect, f"fault-{behaviour}", stream=stream)
        assert end == ENDS.get(behaviour, "complete"), behaviour


@pytest.mark.parametrize("dialect", DIALECTS)
def test_how_far_a_stream_gets(faulty: FaultUpstream, dialect: str) -> None:
    def received(behaviour: str) -> bytes:
        return exchange(faulty, dialect, behaviour, stream=True)[1]

    whole = received("ok")
    assert TERMINATOR[dialect] in whole
    assert USAGE[dialect] in whole
    assert received("fault-reset-0") == b""
    assert received("fault-reset-headers").endswith(b"\r\n\r\n")
    for half in ("reset-mid", "close-mid", "truncate-mid", "hang-mid"):
        text = received(f"fault-{half}")
        assert b"word1" in text, half
        assert b"word2" not in text, half
    all_but_usage = received("fault-reset-before-usage")
    assert USAGE[dialect] not in all_but_usage
    assert (b"word4" in all_but_usage) == (dialect != "gemini")
    all_but_end = received("fault-reset-last")
    assert USAGE[dialect] in all_but_end
    assert (TERMINATOR[dialect] in all_but_end) == (dialect == "gemini")
    assert b"usage" not in received("fault-no-usage").lower().replace(b"-usage", b"").replace(b'"usage": null', b"")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pieces_add_up(faulty: FaultUpstream, dialect: str) -> None:
    """However it is cut, the stream says the same."""

    def said(model: str) -> bytes:
        _, _, body = exchange(faulty, dialect, model, stream=True)[1].partition(b"\r\n\r\n")
        text = b""
        while size := int(body.partition(b"\r\n")[0], 16):
            body = body.partition(b"\r\n")[2]
            text, body = text + body[:size], body[size + 2 :]
        return text.replace(model.encode(), b"ok").replace(b"\r\n", b"\n")

    assert said("fault-split-7") == said("fault-coalesced") == said("fault-crlf") == said("ok")


def test_connections_are_reused(faulty: FaultUpstream) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
    with socket.create_connection(host_and_port(faulty.url)) as connection:
        for _ in range(2):
            connection.sendall(head)
            received = b""
            while not complete(received):
                received += connection.recv(1 << 16)
    first, second = faulty.ended(2)
    assert first["connection"] == second["connection"]
