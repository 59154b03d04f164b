"""The outbox: nobody waits for it, it tries again, it says what it lost, and the console shows a mail whole."""

import asyncio
import io
import logging

from tollway.mail import ConsoleMailer, MailFailed, Outbox, mailer_of
from tollway.mail.outbox import PENDING_MAX
from tollway.mail.smtp import SmtpMailer


class Box:
    """A mailer that fails so many times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.mails = failures, []

    async def send(self, to: str, subject: str, text: str) -> None:
        if self.failures:
            self.failures -= 1
            raise MailFailed("the server is busy")
        self.mails.append((to, subject, text))


def test_a_busy_server_is_asked_again(caplog) -> None:
    async def scenario() -> None:
        box = Box(failures=2)
        outbox = Outbox(box, waits_s=(0, 0, 0))
        outbox.post("a@b", "Hello", "secret text")
        assert box.mails == []
        await outbox.close()
        assert box.mails == [("a@b", "Hello", "secret text")]

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert caplog.text.count("the server is busy") == 2


def test_a_lost_mail_is_told_without_its_text(caplog) -> None:
    async def scenario() -> None:
        outbox = Outbox(Box(failures=9), waits_s=(0,))
        outbox.post("a@b", "Hello", "secret text")
        await outbox.close()

    asyncio.run(scenario())
    assert "a mail to a@b (Hello) was not sent" in caplog.text
    assert "secret" not in caplog.text


def test_it_holds_so_many_and_does_not_wait_for_ever(caplog) -> None:
    async def scenario() -> None:
        outbox = Outbox(Box(failures=10**6), waits_s=(3_600,))
        for _ in range(PENDING_MAX + 1):
            outbox.post("a@b", "Hello", "text")
        await outbox.close(timeout_s=0)

    asyncio.run(scenario())
    assert "one was dropped" in caplog.text


def test_work_that_breaks_is_logged(caplog) -> None:
    async def broken() -> None:
        raise ValueError("what was wrong")

    async def scenario() -> None:
        outbox = Outbox(Box())
        outbox.later(broken())
        await outbox.close()
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert "what was wrong" in caplog.text


def test_the_console_shows_a_mail_whole() -> None:
    stream = io.StringIO()
    asyncio.run(ConsoleMailer(stream).send("a@b", "Hello", "line one\n\nToken: twr_abc\n"))
    assert stream.getvalue().splitlines() == [
        "-- mail to a@b: Hello", "  line one", "", "  Token: twr_abc",
        "-- end of mail (set people.smtp_url to send mails)",
    ]  # fmt: skip


def test_the_url_chooses() -> None:
    assert isinstance(mailer_of("", "a@b"), ConsoleMailer)
    assert isinstance(mailer_of("smtp://host", "a@b"), SmtpMailer)
