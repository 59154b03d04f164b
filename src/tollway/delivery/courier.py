"""The courier: takes due deliveries, signs and sends them, and writes down what came of each."""

import asyncio
import logging
from contextlib import suppress
from typing import Protocol

from tollway.alerts import signing
from tollway.alerts.webhook import Attempt, Delivery, Endpoint
from tollway.delivery.exchange import Answer, Exchange
from tollway.errors import Broken, LedgerUnavailable, NotFound, TollwayError
from tollway.ports import Clock

AT_ONCE = 16
"""Messages on their way at the same time, at most one per endpoint: a slow receiver holds up itself."""
_PURGE_EVERY_S = 3_600
_log = logging.getLogger("tollway.webhooks")


class Endpoints(Protocol):
    """What the courier asks about endpoints (`store/webhooks.py`)."""

    def endpoint(self, endpoint_id: str, workspace_id: str | None = None) -> Endpoint:
        """Raises NotFound: it was removed."""
        ...

    def secrets(self, endpoint: Endpoint) -> list[bytes]:
        """What to sign with now."""
        ...


class Deliveries(Protocol):
    """What the courier asks about deliveries (`store/deliveries.py`)."""

    async def claim(self, limit: int) -> list[Delivery]: ...

    async def record(self, delivery: Delivery, attempt: Attempt, *, is_last: bool = False) -> Delivery: ...

    def release(self, delivery: Delivery) -> None: ...

    async def purge(self, now: int) -> None: ...


class Courier:
    """See the module. One per process: `run` it, and it ends with what is on its way cut off."""

    def __init__(self, endpoints: Endpoints, deliveries: Deliveries, exchange: Exchange, clock: Clock) -> None:
        self._endpoints, self._deliveries = endpoints, deliveries
        self._exchange, self._clock = exchange, clock
        self._sending = set[asyncio.Task[None]]()
        self._free = asyncio.Event()
        self._purged_at = 0

    async def run(self, period_s: float = 1.0) -> None:
        """Send what is due, for ever; what is new waits for `period_s` seconds at most."""
        try:
            while True:
                self._free.clear()
                try:
                    await self.step()
                    await self._purge()
                except LedgerUnavailable as error:
                    _log.warning("webhooks are late: %s", error.message)
                except Exception:  # noqa: BLE001 - it must go on, and it is logged
                    _log.exception("webhooks could not be looked at")
                # When one is through, another may be due.
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._free.wait(), period_s)
        finally:
            for task in self._sending:
                task.cancel()

    async def step(self) -> int:
        """Begin to send what is due and fits; how many were begun. `settled` waits for them."""
        room = AT_ONCE - len(self._sending)
        claimed = await self._deliveries.claim(room) if room > 0 else []
        for one in claimed:
            task = asyncio.create_task(self._deliver(one))
            self._sending.add(task)
            task.add_done_callback(self._done)
        return len(claimed)

    async def settled(self) -> None:
        """Wait for what is on its way."""
        while self._sending:
            await asyncio.wait(set(self._sending))

    async def send(self, delivery: Delivery, *, is_last: bool = False) -> tuple[Delivery, Answer]:
        """Send a claimed delivery now, and write down what came of it; `is_last`: it is not tried again.

        Raises:
            NotFound: its endpoint was removed. LedgerUnavailable: not written down; it will be sent again.
        """
        try:
            endpoint = self._endpoints.endpoint(delivery.endpoint_id)
            now = self._clock.now()
            answer = await self._post(endpoint, delivery, int(now))
            attempt = Attempt(
                delivery.attempts + 1,
                int(now * 1000),
                answer.status,
                answer.error,
                answer.milliseconds,
                answer.body,
            )
            return await self._deliveries.record(delivery, attempt, is_last=is_last), answer
        finally:
            self._deliveries.release(delivery)

    async def _post(self, endpoint: Endpoint, delivery: Delivery, now: int) -> Answer:
        try:
            secrets = self._endpoints.secrets(endpoint)
        except Broken as error:
            return Answer(0, error.message, 0, "")
        headers = signing.headers(secrets, delivery.event_id, now, delivery.body)
        return await self._exchange.post(endpoint.url, headers, delivery.body)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            after, answer = await self.send(delivery)
        except NotFound:
            return
        except Exception as error:  # noqa: BLE001 - as above
            # It is due still, and claimed again at the next step: what cannot be written down is not sent in a loop.
            is_known = isinstance(error, TollwayError)
            _log.warning("webhook delivery %s is late: %s", delivery.id, error, exc_info=not is_known)
            await asyncio.sleep(1)
            return
        if answer.error:
            _log.info(
                "webhook delivery %s, attempt %d, is %s: %s", after.id, after.attempts, after.status, answer.error
            )

    def _done(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._free.set()

    async def _purge(self) -> None:
        now = int(self._clock.now())
        if now - self._purged_at >= _PURGE_EVERY_S:
            self._purged_at = now
            await self._deliveries.purge(now)
