"""`GET /admin/offers/health`, and the health of an offer as callers see it."""

import asyncio

from api.house import opened, refused
from store.world import NOW
from tollway.api.offers import OfferHealthEntry, health_fields
from tollway.routing.standing import UNKNOWN, OfferHealth

PLACE = "/admin/offers/health"


def run(scenario) -> None:
    asyncio.run(scenario)


def test_an_unknown_offer_is_healthy_and_nothing_more() -> None:
    assert health_fields(UNKNOWN) == OfferHealthEntry("healthy", None, None, None, None, None)


def test_the_fields() -> None:
    told = health_fields(OfferHealth("half_open", 0.123456, 9.0, 812.34, 1_900.0, 210.0, 55.55, 1.0, 81))
    assert told == OfferHealthEntry("recovering", 812.3, 1_900.0, 210.0, 55.5, 0.8765)
    assert health_fields(OfferHealth("open", 1.0, samples=5)).status == "out"


def test_only_an_operator(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for method in ("GET", "DELETE"):
                reply = await house.client.request(method, PLACE, headers=house.headers)
                refused(reply, 401, "authentication_error", "invalid_api_key")

    run(scenario())


def test_those_in_trouble_first(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            assert (await house.get(PLACE, house.operator)).json() == {"data": []}
            book = house.rooms.health
            book.record("acme/acme/mini", is_ok=True, latency_ms=120.0, now=NOW)
            book.record("gone/model", is_ok=True, ttft_ms=40.0, now=NOW)
            book.record("gone/model", is_ok=False, kind="rate_limited", now=NOW)
            for _ in range(5):
                book.record("beta/acme/gpt", is_ok=False, kind="server", now=NOW)
            data = (await house.get(PLACE, house.operator)).json()["data"]
            assert [one["offer"] for one in data] == ["beta/acme/gpt", "gone/model", "acme/acme/mini"]
            assert data[0] == {
                "offer": "beta/acme/gpt",
                "model": "acme/gpt",
                "provider": "beta",
                "health": {
                    "status": "out",
                    "latency_ms": None,
                    "latency_p95_ms": None,
                    "ttft_ms": None,
                    "tokens_per_second": None,
                    "uptime": 0.0,
                },
                "average_ms": None,
                "error_rate": 1.0,
                "samples": 5,
                "last_failure_at": data[0]["last_failure_at"],
            }
            assert data[0]["last_failure_at"].endswith("Z")
            assert (data[1]["model"], data[1]["health"]["ttft_ms"], data[1]["error_rate"]) == (None, 40.0, 0.5)
            assert (data[2]["average_ms"], data[2]["health"]["uptime"], data[2]["last_failure_at"]) == (
                120.0,
                1.0,
                None,
            )

    run(scenario())


def test_what_is_out_can_be_let_in_again(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            book = house.rooms.health
            for offer in ("a", "b", "c"):
                book.record(offer, is_ok=False, kind="no_auth", now=NOW)
            assert not book.admits("a", NOW)
            reply = await house.client.delete(f"{PLACE}?offer=a", headers=house.operator)
            assert [one["offer"] for one in reply.json()["data"]] == ["b", "c"]
            assert book.admits("a", NOW)
            assert (await house.client.delete(f"{PLACE}?offer=nobody", headers=house.operator)).status_code == 200
            assert (await house.client.delete(f"{PLACE}?offr=b", headers=house.operator)).status_code == 400
            assert (await house.client.delete(PLACE, headers=house.operator)).json() == {"data": []}
            assert book.admits("b", NOW)

    run(scenario())
