"""Mail to people: a port, a backend for the console, one for SMTP, and the outbox that sends without making anybody wait.

Mails are short plain text and say why they came. Nothing here knows what an invitation is.
"""

from tollway.mail.backends import ConsoleMailer, mailer_of
from tollway.mail.outbox import Outbox
from tollway.mail.port import Mailer, MailFailed

__all__ = ["ConsoleMailer", "MailFailed", "Mailer", "Outbox", "mailer_of"]
