"""The backend that writes mails to the console, and the choice of a backend by its URL."""

import sys
from typing import TextIO

from tollway.mail.port import Mailer


class ConsoleMailer:
    """Writes mails where the process writes its log: whoever runs the gateway passes them on.

    Not through the logger, which would take the tokens out.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        """`stream`: standard error if None, looked up when a mail is written."""
        self._stream = stream

    async def send(self, to: str, subject: str, text: str) -> None:
        """See `Mailer`. Never fails."""
        lines = "\n".join(f"  {line}".rstrip() for line in text.strip().splitlines())
        stream = self._stream or sys.stderr
        stream.write(f"-- mail to {to}: {subject}\n{lines}\n-- end of mail (set people.smtp_url to send mails)\n")
        stream.flush()


def mailer_of(smtp_url: str, sender: str) -> Mailer:
    """The backend of these settings: SMTP, or the console if `smtp_url` is empty. Raises ValueError."""
    if not smtp_url:
        return ConsoleMailer()
    # The client of the standard library and its parsers are a tenth of the start; most starts need none.
    from tollway.mail.smtp import SmtpMailer  # noqa: PLC0415

    return SmtpMailer(smtp_url, sender)
