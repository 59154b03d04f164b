"""One POST, whatever the other side does: real sockets on loopback, and a resolver that a test writes."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.receiver import Receiver
from tollway.delivery.exchange import Answer, Exchange


def post(url: str, headers: dict[str, str] | None = None, body: bytes = b"{}", **choices: object) -> Answer:
    async def scenario() -> Answer:
        exchange = Exchange(**{"allow_http": True, "allow_private": True, **choices})
        try:
            return await exchange.post(url, headers or {}, body)
        finally:
            exchange.close()

    return asyncio.run(scenario())


@contextmanager
def raw(answer: Callable[[socket.socket], None], context: ssl.SSLContext | None = None):
    """A server of one connection that does what `answer` does; its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            try:
                connection, _ = listener.accept()
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                with connection:
                    connection.recv(65_536)
                    answer(connection)
            except OSError:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def test_a_message_arrives_whole() -> None:
    with Receiver(body=b"x" * 5_000) as receiver:
        answer = post(f"{receiver.url}?a=b", {"webhook-id": "1"}, b'{"a": 1}')
    (came,) = receiver.received
    assert (came.path, came.body) == ("/hook?a=b", b'{"a": 1}')
    assert came.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert came.headers["content-type"] == "application/json"
    assert came.headers["webhook-id"] == "1"
    assert (answer.status, answer.error, answer.body) == (200, "", "x" * 1_024)
    assert answer.milliseconds >= 0


@pytest.mark.parametrize("status", [204, 400, 404, 410, 429, 500, 503])
def test_a_status_is_told(status) -> None:
    with Receiver(status, b"" if status == 204 else b"no") as receiver:
        answer = post(receiver.url)
    assert answer.status == status
    assert answer.error == ("" if status == 204 else f"it answered {status}")


def test_a_redirect_is_not_followed() -> None:
    with Receiver() as inner, Receiver(302) as receiver:
        receiver.location = inner.url
        answer = post(receiver.url)
        assert answer.error == "it answered 302; redirects are not followed"
        assert inner.received == []


def test_the_first_address_that_answers_is_taken() -> None:
    with Receiver() as receiver:
        answer = post(f"http://hooks.example:{receiver.port}/", resolve=lambda host, port: ["127.0.0.77", "127.0.0.1"])
    assert answer.status == 200
    assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}"


def test_nobody_is_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        answer = post(f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert answer.status == 0
    assert "refused" in answer.error.lower() or "Connect call failed" in answer.error
    assert post("http://127.0.0.1/", allow_http=False).error.startswith("`url`: it is not encrypted")


def test_a_name_that_does_not_exist() -> None:
    def nothing(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    answer = post("http://gone.example/", resolve=nothing)
    assert answer.error == "gone.example has no address on the internet that we could send to"


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1%eth0"], ["64:ff9b::7f00:1"]]
)
def test_a_name_that_leads_inside_is_refused_and_resolved_once(found) -> None:
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return found

    with Receiver() as receiver:
        answer = post(f"http://rebound.example:{receiver.port}/", allow_private=False, resolve=resolve)
        assert receiver.received == []
    assert answer.error == "rebound.example has no address on the internet that we could send to"
    assert asked == ["rebound.example"]


def test_a_silent_server_is_left_in_time() -> None:
    with Receiver(delay_s=1.5) as receiver:
        answer = post(receiver.url, timeout_s=0.3)
    assert answer.error == "no whole answer in 0.3 s"
    assert 250 <= answer.milliseconds < 1_400


def test_a_name_server_that_is_silent_is_left_in_time() -> None:
    done = threading.Event()
    answer = post("http://slow.example/", timeout_s=0.3, resolve=lambda host, port: [str(done.wait(1.0))])
    done.set()
    assert answer.error == "no whole answer in 0.3 s"


def drip(connection: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nx-drip: " + b"y" * 400:
        connection.sendall(bytes([byte]))
        threading.Event().wait(0.02)


def flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (drip, "no whole answer in 0.5 s"),
        (flood, "the connection was closed without an answer"),
        (lambda connection: None, "the connection was closed without an answer"),
        (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"), "Expected HTTP/"),
        (lambda connection: connection.sendall(b"HTTP/1.1 200"), "the connection was closed without an answer"),
    ],
)
def test_what_is_no_answer_is_a_failure(answer, error) -> None:
    with raw(answer) as port:
        found = post(f"http://127.0.0.1:{port}/", timeout_s=0.5)
    assert found.status == 0
    assert error in found.error


def test_an_answer_without_an_end_is_an_answer() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nok\x00\xff")
        threading.Event().wait(0.6)

    with raw(endless) as port:
        found = post(f"http://127.0.0.1:{port}/", timeout_s=0.3)
    assert (found.status, found.error, found.body) == (200, "", "ok\ufffd\ufffd")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of hooks.example that only the test trusts: (server's context, client's context)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


def ok(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def test_tls_goes_to_the_address_and_proves_the_name(certificate) -> None:
    server, client = certificate
    seen = []
    server.sni_callback = lambda connection, name, context: seen.append(name)
    with raw(ok, server) as port:
        found = post(f"https://hooks.example:{port}/", tls=client, resolve=lambda host, port: ["127.0.0.1"])
    assert (found.status, found.error, found.body) == (200, "", "ok")
    assert seen == ["hooks.example"]


def test_tls_of_somebody_else_is_refused(certificate) -> None:
    server, client = certificate
    with raw(ok, server) as port:
        found = post(f"https://other.example:{port}/", tls=client, resolve=lambda host, port: ["127.0.0.1"])
    assert found.status == 0
    assert found.error.startswith("TLS failed: Hostname mismatch")
    with raw(ok, server) as port:
        found = post(f"https://hooks.example:{port}/", resolve=lambda host, port: ["127.0.0.1"])
    assert "self-signed certificate" in found.error
