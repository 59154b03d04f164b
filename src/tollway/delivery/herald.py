"""The herald: mails the alerts whose mail is due to the people of the organization that it concerns."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from tollway.alerts.alert import Alert
from tollway.alerts.letters import Audience, letter
from tollway.errors import LedgerUnavailable

_AT_ONCE = 20
_log = logging.getLogger("tollway.alerts")
Send = Callable[[str, str, str], Awaitable[None]]
"""(address, subject, text): hands a mail over; raises when that failed."""


class Alerts(Protocol):
    """What the herald asks of the store (`store/alerts.py`)."""

    async def to_mail(self, limit: int) -> list[Alert]: ...

    async def mailed(self, alert: Alert, *, is_sent: bool) -> None: ...


class Herald:
    """See the module. One per process."""

    def __init__(self, alerts: Alerts, audience: Callable[[str], Audience], send: Send) -> None:
        """`audience`: workspace -> who is told."""
        self._alerts, self._audience, self._send = alerts, audience, send

    async def run(self, period_s: float = 2.0) -> None:
        """Mail what is due, for ever."""
        while True:
            await asyncio.sleep(period_s)
            try:
                await self.step()
            except LedgerUnavailable as error:
                _log.warning("alert mails are late: %s", error.message)
            except Exception:  # noqa: BLE001 - it must go on, and it is logged
                _log.exception("alert mails could not be looked at")

    async def step(self) -> int:
        """Mail what is due now; how many alerts were handed over.

        A mail is marked when every address was tried: an address that fails is not a reason to mail the others twice,
        so an alert is tried again only when no address worked.
        """
        sent = 0
        for alert in await self._alerts.to_mail(_AT_ONCE):
            audience = self._audience(alert.workspace_id)
            subject, text = letter(alert.kind, alert.data, audience.organization, audience.workspace)
            reached = [address for address in audience.addresses if await self._reaches(address, subject, text)]
            is_sent = bool(reached) or not audience.addresses
            await self._alerts.mailed(alert, is_sent=is_sent)
            sent += is_sent
        return sent

    async def _reaches(self, address: str, subject: str, text: str) -> bool:
        try:
            await self._send(address, subject, text)
        except Exception as error:  # noqa: BLE001 - whatever a mail server does, the others are still told
            _log.warning("an alert was not mailed to %s: %s", address, error)
            return False
        return True
