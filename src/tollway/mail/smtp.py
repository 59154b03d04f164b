"""Mail by SMTP: the standard library's client in a thread; TLS from the first byte, or STARTTLS before a password is sent.

`smtp://user:password@host:587` uses STARTTLS where the server offers it, and always when there is a password;
`smtps://user:password@host:465` is TLS from the start. Certificates are checked.
"""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from tollway.mail.port import MailFailed

TIMEOUT_S = 20
_PORTS = {"smtp": 587, "smtps": 465}


class SmtpServer(NamedTuple):
    """Where mails are handed over. password: kept out of every message."""

    is_tls: bool
    host: str
    port: int
    user: str
    password: str


def smtp_server(url: str) -> SmtpServer:
    """The server of a URL, `smtp://` or `smtps://`. Raises ValueError, whose text says what would do."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("write smtp://user:password@host:587 or smtps://user:password@host:465")
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        raise ValueError("the port is a number from 1 to 65535") from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return SmtpServer(parts.scheme == "smtps", parts.hostname, port, user, password)


def checked_sender(text: str) -> str:
    """A sender, as it was. Raises ValueError, whose text says what would do."""
    address = parseaddr(text)[1]
    if not address.partition("@")[2] or not text.isprintable():
        raise ValueError("write Name <name@domain>, or an address alone")
    return text


class SmtpMailer:
    """See `Mailer`."""

    def __init__(self, url: str, sender: str, context: ssl.SSLContext | None = None) -> None:
        """`sender`: `Name <address>` or an address. `context`: whom to trust, the system's authorities if None.

        Raises:
            ValueError: the URL or the sender cannot be used.
        """
        self._server = smtp_server(url)
        self._sender = checked_sender(sender)
        self._context = context

    async def send(self, to: str, subject: str, text: str) -> None:
        """Hand a mail to the server; returns when it has taken it. Raises MailFailed."""
        await asyncio.to_thread(self._send, to, subject, text)

    def _send(self, to: str, subject: str, text: str) -> None:
        server = self._server
        try:
            message = _message(self._sender, to, subject, text)
            with self._connected() as client:
                if server.user:
                    client.login(server.user, server.password)
                client.send_message(message)
        except smtplib.SMTPAuthenticationError:
            raise MailFailed(f"{server.host} refuses our user name or password") from None
        except smtplib.SMTPRecipientsRefused:
            raise MailFailed(f"{server.host} refuses the recipient") from None
        except smtplib.SMTPResponseException as error:
            raise MailFailed(f"{server.host} answers {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise MailFailed(f"{server.host}: {type(error).__name__}: {error}") from None

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        context = self._context or ssl.create_default_context()
        if server.is_tls:
            return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
        client = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        try:
            client.ehlo()
            self._encrypt(client, context)
        except BaseException:
            client.close()
            raise
        return client

    def _encrypt(self, client: smtplib.SMTP, context: ssl.SSLContext) -> None:
        if client.has_extn("starttls"):
            client.starttls(context=context)
            client.ehlo()
        elif self._server.user:
            host = self._server.host
            raise MailFailed(f"{host} offers no STARTTLS, and a password is not sent in clear; use smtps://")


def _message(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message
