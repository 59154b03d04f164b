"""How offers are doing: the fields beside a price for callers, and `/admin/offers/health` for the operator."""

import logging
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api.edge import Asked, Operator, documented, iso, said
from tollway.api.rooms import Rooms
from tollway.catalogue.offers import Catalogue
from tollway.routing.standing import OfferHealth

_log = logging.getLogger("tollway.admin")

Status = Literal["healthy", "recovering", "out"]
_STATUS: dict[str, Status] = {"closed": "healthy", "half_open": "recovering", "open": "out"}


class ForgetQuery(Asked):
    """Which offer."""

    offer: Annotated[str | None, Field(max_length=300, description="Its id; left out: every offer.")] = None


class OfferHealthEntry(msgspec.Struct):
    """How an offer does here, seen by this installation's own requests; null where nothing is known.

    latency_ms: typical (p50) and slow (p95) whole answers of the last 10 minutes. ttft_ms: to the first byte of a stream.
    tokens_per_second: of output, after the first byte. uptime: share of the last 5 minutes' attempts that were answered.
    """

    status: Status
    latency_ms: float | None
    latency_p95_ms: float | None
    ttft_ms: float | None
    tokens_per_second: float | None
    uptime: float | None


class OfferReport(msgspec.Struct):
    """An offer that was called since the start.

    average_ms: of whole answers; the newest weighs most. error_rate, samples: attempts of the last 5 minutes.
    """

    offer: str
    model: str | None
    provider: str | None
    health: OfferHealthEntry
    average_ms: float | None
    error_rate: float
    samples: int
    last_failure_at: str | None


class OfferReportList(msgspec.Struct):
    """Offers that were called since the start, those in trouble first."""

    data: list[OfferReport]


REPLIES: tuple[type[msgspec.Struct], ...] = (OfferReportList,)


class AdminOffers:
    """The operator's endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["admin"])
        add("/admin/offers/health", self.list_health, methods=["GET"], **documented(OfferReportList))
        add("/admin/offers/health", self.forget, methods=["DELETE"], **documented(OfferReportList))

    async def list_health(self, operator: Operator) -> Response:
        """How every offer that was called does: breaker, errors, latency, speed; those in trouble first."""
        return self._told()

    async def forget(self, operator: Operator, asked: Annotated[ForgetQuery, Query()]) -> Response:
        """Forget how an offer, or every offer, did: what is out is asked again at once. What is left is answered."""
        health = self._rooms.health
        if asked.offer is None:
            health.clear()
        else:
            health.reset(asked.offer)
        _log.info("operator %s: the health of %s is forgotten", operator, asked.offer or "every offer")
        return self._told()

    def _told(self) -> Response:
        found = self._rooms.health.all(self._rooms.clock.now())
        return said(OfferReportList(_reports(found, self._rooms.catalogue())))


def health_fields(health: OfferHealth) -> OfferHealthEntry:
    """The health of an offer as callers see it: nothing of how much others use it."""
    return OfferHealthEntry(
        status=_STATUS[health.state],
        latency_ms=_known(health.p50_ms),
        latency_p95_ms=_known(health.p95_ms),
        ttft_ms=_known(health.ttft_ms),
        tokens_per_second=_known(health.tokens_per_s),
        uptime=round(1 - health.error_rate, 4) if health.samples else None,
    )


def _reports(found: Iterable[tuple[str, OfferHealth]], catalogue: Catalogue) -> list[OfferReport]:
    where = {offer.id: offer for model in catalogue.models.values() for offer in model.offers}
    reports = list[tuple[tuple[bool, float, str], OfferReport]]()
    for offer_id, health in found:
        offer = where.get(offer_id)
        report = OfferReport(
            offer=offer_id,
            model=offer.model if offer else None,
            provider=offer.provider.id if offer else None,
            health=health_fields(health),
            average_ms=_known(health.latency_ms),
            error_rate=round(health.error_rate, 4),
            samples=health.samples,
            last_failure_at=iso(int(health.failed_at * 1000)) if health.failed_at else None,
        )
        reports.append(((health.state == "closed", -health.error_rate, offer_id), report))
    return [report for _, report in sorted(reports, key=lambda one: one[0])]


def _known(number: float) -> float | None:
    return round(number, 1) or None
