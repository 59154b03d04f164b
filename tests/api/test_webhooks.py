"""`/v1/webhooks`: made, changed, rotated, tested, listed, replayed; by who may, and only one's own."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from api.house import bearer, opened, refused
from support.receiver import Receiver
from tollway.alerts.events import PlanChanged
from tollway.delivery.courier import Courier
from tollway.delivery.exchange import Exchange

URL = "https://example.com/hook"


def run(scenario) -> None:
    asyncio.run(scenario)


@asynccontextmanager
async def house_of(tmp_path):
    """A house that sends to loopback; `hooks` are the headers of a key with the scope."""
    exchange = Exchange(allow_http=True, allow_private=True, timeout_s=2)
    async with opened(tmp_path, exchange=exchange) as house:
        _, secret = await house.store.workspaces.add_key(
            house.workspace_id, name="hooks", scopes=frozenset({"webhooks"})
        )
        house.hooks = bearer(secret)
        yield house
    exchange.close()


async def make(house, url: str = URL, **fields):
    reply = await house.post("/v1/webhooks", {"url": url, **fields}, house.hooks)
    assert reply.status_code == 201, reply.text
    return reply.json()


def test_made_shown_changed_and_removed(tmp_path) -> None:
    async def scenario() -> None:
        async with house_of(tmp_path) as house:
            made = await make(house, events=["key.created", "balance.low"], description="mine")
            assert made["secret"].startswith("whsec_")
            entry = made["data"]
            assert entry == {
                "id": entry["id"],
                "url": URL,
                "events": ["balance.low", "key.created"],
                "description": "mine",
                "enabled": True,
                "disabled_reason": None,
                "failing_since": None,
                "rotating_until": None,
                "created_at": "2027-01-15T08:00:00.000Z",
            }
            path = f"/v1/webhooks/{entry['id']}"
            shown = await house.get(path, house.hooks)
            assert shown.json() == {"data": entry}
            assert "whsec" not in shown.text
            changes = {"url": URL + "2", "events": None, "description": "", "enabled": False}
            changed = await house.client.patch(path, json=changes, headers=house.hooks)
            assert changed.json()["data"] == entry | changes
            untouched = await house.client.patch(path, json={}, headers=house.hooks)
            assert untouched.json()["data"] == entry | changes
            rotated = (await house.post(f"{path}/rotate", {}, house.hooks)).json()
            assert rotated["secret"] != made["secret"]
            assert rotated["data"]["rotating_until"] == "2027-01-16T08:00:00.000Z"
            listed = (await house.get("/v1/webhooks", house.hooks)).json()
            assert [one["id"] for one in listed["data"]] == [entry["id"]]
            removed = await house.client.delete(path, headers=house.hooks)
            assert removed.status_code == 200
            refused(await house.get(path, house.hooks), 404, "not_found", "not_found")

    run(scenario())


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "invalid_field", "url"),
        ({"url": ""}, "invalid_field", "url"),
        ({"url": "not a url"}, "invalid_field", "url"),
        ({"url": "https://u:p@example.com/"}, "invalid_field", "url"),
        ({"url": "https://example.com:70000/"}, "invalid_field", "url"),
        ({"url": URL, "events": []}, "invalid_field", "events"),
        ({"url": URL, "secret": "mine"}, "invalid_field", "secret"),
        ({"url": URL, "enabled": "yes"}, "invalid_field", "enabled"),
    ],
)
def test_what_is_refused(tmp_path, body, code, param) -> None:
    async def scenario() -> None:
        async with house_of(tmp_path) as house:
            refused(await house.post("/v1/webhooks", body, house.hooks), 400, "invalid_request_error", code, param)

    run(scenario())


def test_an_unknown_event_is_refused_by_name(tmp_path) -> None:
    async def scenario() -> None:
        async with house_of(tmp_path) as house:
            reply = await house.post("/v1/webhooks", {"url": URL, "events": ["nope"]}, house.hooks)
            error = refused(reply, 422, "validation_error", "validation_error", "events")
            assert "'nope'" in error["message"]
            assert "budget.threshold" in error["message"]
            entry = (await make(house))["data"]
            reply = await house.client.patch(f"/v1/webhooks/{entry['id']}", json={"url": None}, headers=house.hooks)
            refused(reply, 400, "invalid_request_error", "invalid_field", "url")

    run(scenario())


def test_by_default_only_encrypted_public_addresses_are_taken(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await house.store.workspaces.add_key(
                house.workspace_id, name="hooks", scopes=frozenset({"webhooks"})
            )
            for url in (
                "http://example.com/",
                "https://127.0.0.1/",
                "https://[::ffff:10.0.0.1]/",
                "https://2130706433/",
            ):
                reply = await house.post("/v1/webhooks", {"url": url}, bearer(secret))
                refused(reply, 400, "invalid_request_error", "invalid_field", "url")

    run(scenario())


def test_the_test_button(tmp_path) -> None:
    async def scenario() -> None:
        async with house_of(tmp_path) as house:
            made = await make(house, receiver.url, enabled=False)
            path = f"/v1/webhooks/{made['data']['id']}"
            tested = (await house.post(f"{path}/test", {}, house.hooks)).json()["data"]
            assert (tested["delivered"], tested["status"], tested["error"]) == (True, 200, None)
            assert tested["response"] == "thanks"
            (came,) = receiver.received
            assert came.is_signed(made["secret"])
            receiver.status, receiver.body = 500, b"\xffboom"
            tested = (await house.post(f"{path}/test", {}, house.hooks)).json()["data"]
            assert (tested["delivered"], tested["status"], tested["error"]) == (False, 500, "it answered 500")
            assert tested["response"] == "\ufffdboom"
            assert tested["delivery"]["status"] == "dead"
            found = (await house.get(f"{path}/deliveries", house.hooks)).json()
            assert [(one["event"], one["status"], len(one["log"])) for one in found["data"]] == [
                ("webhook.test", "dead", 1), ("webhook.test", "delivered", 1)
            ]  # fmt: skip
            only = (await house.get(f"{path}/deliveries?status=dead&limit=1", house.hooks)).json()
            assert only["data"] == [found["data"][0]]
            assert only["has_more"] is False

    with Receiver() as receiver:
        run(scenario())


def test_deliveries_and_replay(tmp_path) -> None:
    async def scenario() -> None:
        async with house_of(tmp_path) as house:
            made = await make(house, receiver.url)
            store = house.store
            for _ in range(3):
                await store.webhooks.announce("plan.changed", house.workspace_id, PlanChanged("pro", None, "x"))
            courier = Courier(store.webhooks, store.deliveries, house.rooms.exchange, house.clock)
            for _ in range(3):
                await courier.step()
                await courier.settled()
            path = f"/v1/webhooks/{made['data']['id']}/deliveries"
            first = (await house.get(f"{path}?limit=2", house.hooks)).json()
            rest = (await house.get(f"{path}?limit=2&after={first['next_cursor']}", house.hooks)).json()
            assert (len(first["data"]), first["has_more"], len(rest["data"]), rest["has_more"]) == (2, True, 1, False)
            dead = rest["data"][0]
            assert (dead["status"], dead["attempts"], dead["next_attempt_at"]) == ("dead", 1, None)
            assert dead["log"][0]["status"] == 410
            replay = f"/v1/webhooks/deliveries/{dead['id']}/replay"
            refused(await house.post(replay, {}, house.hooks), 422, "validation_error", "validation_error", "enabled")
            enabled = await house.client.patch(
                f"/v1/webhooks/{made['data']['id']}", json={"enabled": True}, headers=house.hooks
            )
            assert enabled.json()["data"]["disabled_reason"] is None
            again = (await house.post(replay, {}, house.hooks)).json()["data"]
            assert (again["status"], again["next_attempt_at"]) == ("pending", "2027-01-15T08:00:00.000Z")
            refused(await house.post(replay, {}, house.hooks), 409, "already_exists", "already_exists")
            receiver.status = 200
            for _ in range(3):
                await courier.step()
                await courier.settled()
            found = (await house.get(path, house.hooks)).json()["data"]
            assert {one["status"] for one in found} == {"delivered"}
            operator = await house.post(f"/admin{replay.removeprefix('/v1')}", {}, house.operator)
            assert operator.json()["data"]["status"] == "pending"

    with Receiver(410) as receiver:
        run(scenario())


def test_others_webhooks_are_not_found_and_the_scope_is_needed(tmp_path) -> None:
    async def scenario() -> None:
        async with house_of(tmp_path) as house:
            made = (await make(house))["data"]["id"]
            await house.store.webhooks.announce("plan.changed", house.workspace_id, PlanChanged("pro", None, "x"))
            (delivery,) = (await house.store.deliveries.page(made, limit=1)).deliveries
            other, _, _ = await house.tenant()
            _, stranger = await house.store.workspaces.add_key(other, name="x", scopes=frozenset({"webhooks"}))
            asked = (
                ("GET", f"/v1/webhooks/{made}"), ("PATCH", f"/v1/webhooks/{made}"), ("DELETE", f"/v1/webhooks/{made}"),
                ("POST", f"/v1/webhooks/{made}/rotate"), ("POST", f"/v1/webhooks/{made}/test"),
                ("GET", f"/v1/webhooks/{made}/deliveries"), ("POST", f"/v1/webhooks/deliveries/{delivery.id}/replay"),
            )  # fmt: skip
            for method, path in asked:
                content = b"{}" if method in {"PATCH", "POST"} else None
                reply = await house.client.request(method, path, headers=bearer(stranger), content=content)
                refused(reply, 404, "not_found", "not_found")
                reply = await house.client.request(method, path, headers=house.headers, content=content)
                refused(reply, 403, "authorization_error", "scope_missing")
                reply = await house.client.request(method, path, content=content)
                refused(reply, 401, "authentication_error", "missing_api_key")
            assert (await house.get("/v1/webhooks", bearer(stranger))).json()["data"] == []
            replay = f"/admin/webhooks/deliveries/{delivery.id}/replay"
            assert (await house.post(replay, {}, house.hooks)).status_code == 401
            refused(await house.post(replay, {}, house.operator), 409, "already_exists", "already_exists")

    run(scenario())


def test_what_was_done_is_noted_without_the_url(tmp_path) -> None:
    async def scenario() -> None:
        async with house_of(tmp_path) as house:
            await make(house, "https://hooks.example.com/services/SECRET")
            organization = house.key.organization_id
            (event,) = await house.store.people.events(organization, 10, 2**62)
            assert event.action == "webhook.create"
            assert bytes(event.details["host"]) == b'"hooks.example.com"'
            assert b"SECRET" not in b"".join(bytes(one) for one in event.details.values())

    run(scenario())
