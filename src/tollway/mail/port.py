"""The port of this room: what it is to send a mail, and how that fails."""

from typing import Protocol


class MailFailed(Exception):
    """A mail was not sent; says why, and never what was in it."""


class Mailer(Protocol):
    """Sends a mail."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """One plain-text mail to one address. Raises MailFailed."""
        ...
