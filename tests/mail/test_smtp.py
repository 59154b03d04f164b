"""Mails handed to real SMTP servers: plain, STARTTLS, TLS, with a password, and refused."""

import asyncio
import email
import socket
import ssl
import subprocess
from email import policy

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tollway.mail import MailFailed
from tollway.mail.smtp import SmtpMailer, checked_sender, smtp_server

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:aiosmtpd", "ignore:Requiring AUTH while not requiring TLS"
)


class Box:
    """What a server took, and what it refuses."""

    def __init__(self, refuses: str = "") -> None:
        self.mails, self.logins, self.refuses = [], [], refuses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == self.refuses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        is_tls = server.transport.get_extra_info("ssl_object") is not None
        self.mails.append((envelope, email.message_from_bytes(envelope.content, policy=policy.default), is_tls))
        return "250 OK"

    def login(self, server, session, envelope, mechanism, given):
        self.logins.append((given.login.decode(), given.password.decode()))
        return AuthResult(success=given.password == b"p@ss/word", handled=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, ssl.create_default_context(cafile=str(cert))


def serve(box: Box, **options: object) -> Controller:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(box, hostname="localhost", port=port, **options)
    server.start()
    return server


def send(mailer: SmtpMailer, to: str = "jane@acme.test", text: str = "Guten Tag, ä.\n.\nend\n") -> None:
    asyncio.run(mailer.send(to, "Einladung für Sie", text))


def test_a_mail_arrives_as_it_was_written() -> None:
    box = Box()
    server = serve(box)
    try:
        send(SmtpMailer(f"smtp://localhost:{server.port}", "Tollway <toll@gate.test>"))
    finally:
        server.stop()
    envelope, message, is_tls = box.mails[0]
    assert (envelope.mail_from, envelope.rcpt_tos, is_tls) == ("toll@gate.test", ["jane@acme.test"], False)
    assert (message["From"], message["To"], message["Subject"]) == (
        "Tollway <toll@gate.test>", "jane@acme.test", "Einladung für Sie",
    )  # fmt: skip
    assert message.get_content().replace("\r\n", "\n") == "Guten Tag, ä.\n.\nend\n"
    assert message["Message-ID"].endswith("@gate.test>")
    assert message["Date"]
    assert message["Auto-Submitted"] == "auto-generated"


def test_starttls_before_the_password(certificate) -> None:
    ours, theirs = certificate
    box = Box()
    server = serve(box, tls_context=ours, authenticator=box.login, auth_required=True, auth_require_tls=True)
    try:
        send(SmtpMailer(f"smtp://me:p%40ss%2Fword@localhost:{server.port}", "toll@gate.test", theirs))
        with pytest.raises(MailFailed, match="refuses our user name") as raised:
            send(SmtpMailer(f"smtp://me:wrong@localhost:{server.port}", "toll@gate.test", theirs))
        assert "wrong" not in str(raised.value)
        with pytest.raises(MailFailed, match="CERTIFICATE_VERIFY_FAILED"):
            send(SmtpMailer(f"smtp://me:p%40ss%2Fword@localhost:{server.port}", "toll@gate.test"))
    finally:
        server.stop()
    assert [is_tls for _, _, is_tls in box.mails] == [True]
    assert set(box.logins) == {("me", "p@ss/word"), ("me", "wrong")}


def test_tls_from_the_first_byte(certificate) -> None:
    ours, theirs = certificate
    box = Box()
    server = serve(box, ssl_context=ours, authenticator=box.login, auth_require_tls=False)
    try:
        send(SmtpMailer(f"smtps://me:p%40ss%2Fword@localhost:{server.port}", "toll@gate.test", theirs))
    finally:
        server.stop()
    assert [is_tls for _, _, is_tls in box.mails] == [True]
    assert box.logins == [("me", "p@ss/word")]


def test_a_password_is_never_sent_in_clear() -> None:
    box = Box()
    server = serve(box, authenticator=box.login, auth_require_tls=False)
    try:
        with pytest.raises(MailFailed, match="no STARTTLS"):
            send(SmtpMailer(f"smtp://me:p%40ss@localhost:{server.port}", "toll@gate.test"))
    finally:
        server.stop()
    assert box.logins == []


def test_a_refused_recipient_and_a_server_that_is_not_there() -> None:
    box = Box(refuses="jane@acme.test")
    server = serve(box)
    mailer = SmtpMailer(f"smtp://localhost:{server.port}", "toll@gate.test")
    try:
        with pytest.raises(MailFailed, match="refuses the recipient"):
            send(mailer)
    finally:
        server.stop()
    with pytest.raises(MailFailed, match="localhost"):
        send(mailer)


@pytest.mark.parametrize(
    "url", ["", "http://a", "smtp://", "smtp://host:0x", "smtp://host:99999", "smtp://host/path", "smtp://host?tls=no"]
)
def test_what_is_no_server(url: str) -> None:
    with pytest.raises(ValueError, match=r"smtp|port"):
        smtp_server(url)


def test_default_ports_and_senders() -> None:
    assert smtp_server("smtp://mail.test").port == 587
    assert smtp_server("smtps://u:p@mail.test") == (True, "mail.test", 465, "u", "p")
    assert checked_sender("Toll <a@b>") == "Toll <a@b>"
    for bad in ("", "Toll", "Toll <a@>", "a@b\nBcc: c@d"):
        with pytest.raises(ValueError, match="address"):
            checked_sender(bad)
