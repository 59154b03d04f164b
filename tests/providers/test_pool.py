"""The pool of connections to providers: what is kept, what is cut, whom it trusts, and that it never opens more than allowed."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from providers.served import OK, Server, asked, client, served
from tollway.providers.pool import Pool, request_head


def test_a_connection_that_says_something_unasked_is_not_used_again() -> None:
    async def scenario() -> None:
        async with served(Server(OK + OK, OK)) as server, client() as upstream:
            assert (await upstream.fetch(asked(server.port), 5))[2] == b"{}"
            await asyncio.sleep(0.05)
            assert (await upstream.fetch(asked(server.port), 5))[2] == b"{}"
            assert server.connections == 2

    asyncio.run(scenario())


def test_a_connection_that_was_closed_meanwhile_is_not_used_again() -> None:
    def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    async def scenario() -> None:
        async with served(Server(answer, answer)) as server, client() as upstream:
            for _ in range(2):
                assert (await upstream.fetch(asked(server.port), 5))[2] == b"{}"
                await asyncio.sleep(0.05)
            assert server.connections == 2

    asyncio.run(scenario())


def test_the_limit_on_connections_makes_requests_wait() -> None:
    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(OK)

    async def scenario() -> None:
        async with served(Server(slow, slow, slow)) as server, client(connections_max=1) as upstream:
            bodies = await asyncio.gather(*(upstream.fetch(asked(server.port), 5) for _ in range(3)))
            assert [body for _, _, body in bodies] == [b"{}"] * 3
            assert server.connections == 1
            server.answers = [slow]
            first = asyncio.ensure_future(upstream.fetch(asked(server.port), 5))
            await asyncio.sleep(0.01)
            with pytest.raises(TimeoutError):
                await upstream.fetch(asked(server.port), 0.01)
            await first

    asyncio.run(scenario())


def test_nobody_there() -> None:
    async def scenario() -> None:
        async with served(Server()) as server:
            port = server.port
        async with client() as upstream:
            with pytest.raises(ConnectionError):
                await upstream.fetch(asked(port), 1)
            with pytest.raises(ConnectionError):
                await upstream.fetch(asked(port, host="nowhere.invalid"), 2)

    asyncio.run(scenario())


def test_a_certificate_must_prove_the_host(tmp_path: Path) -> None:
    """A stranger's certificate ends it before a byte of the request, and so of the credential, is sent."""
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run(
        [*command.split(), "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def scenario(monkeypatch: pytest.MonkeyPatch) -> None:
        async with served(Server(), tls=context) as server:
            async with client() as upstream:
                with pytest.raises(ConnectionError):
                    await upstream.fetch(asked(server.port, scheme="https", host="localhost"), 2)
            assert server.requests == []
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
            async with client() as upstream:
                assert (await upstream.fetch(asked(server.port, scheme="https", host="localhost"), 2))[2] == b"{}"
                # The same certificate, under a name that it does not prove.
                with pytest.raises(ConnectionError):
                    await upstream.fetch(asked(server.port, scheme="https", host="127.0.0.1"), 2)

    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(scenario(patch))


def test_nothing_smuggles_a_second_request() -> None:
    pool = Pool(1)
    target = pool.target("https://host.test/v1/chat")
    assert target[:3] == ("host.test", 443, True)
    for headers in ({"x": "a\r\nevil: b"}, {"x": "a\nevil: b"}, {"x\r\n": "a"}):
        with pytest.raises(ValueError, match="line break"):
            request_head(target, headers)
    with pytest.raises(ConnectionError):
        pool.target("https://host.test/v1/ch at")


def test_the_head_of_a_url_is_made_anew_when_its_headers_change() -> None:
    """A key that was exchanged must not go on being sent, be it in the same dictionary."""
    pool = Pool(1)
    headers = {"authorization": "Bearer a"}
    _, first = pool.request_head("http://host.test/v1", headers)
    assert b"authorization: Bearer a\r\n" in first
    headers["authorization"] = "Bearer b"
    _, second = pool.request_head("http://host.test/v1", headers)
    assert b"authorization: Bearer b\r\n" in second
    assert b"Bearer a" not in second
    assert pool.request_head("http://host.test/v1", {"authorization": "Bearer b"})[1] is second
