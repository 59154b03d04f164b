"""The server object: what every reply carries, the hot path, probes, unknown paths, wrong methods, and what breaks."""

import asyncio
import logging
import subprocess
import sys

from api.house import bearer, opened, refused
from store.world import NOW


def run(scenario) -> None:
    asyncio.run(scenario)


def test_the_hot_endpoint_is_asked_directly(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.post("/v1/chat/completions", {"model": "x"})
            assert (reply.content, house.chats) == (b"hot", ["/v1/chat/completions"])
            # The framework was not needed, and nothing but POST reaches the road.
            assert house.server._cold is None
            for method in ("GET", "PUT", "DELETE", "OPTIONS"):
                wrong = await house.client.request(method, "/v1/chat/completions")
                refused(wrong, 405, "invalid_request_error", "method_not_allowed")
                assert wrong.headers["allow"] == "POST"
            assert house.chats == ["/v1/chat/completions"]

    run(scenario())


def test_importing_the_server_does_not_import_the_framework() -> None:
    code = "import sys, tollway.api.server; print(sorted({'fastapi', 'starlette', 'pydantic'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"


def test_warm_builds_once_and_from_any_thread(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            first, second = await asyncio.gather(*(asyncio.to_thread(house.server.warm) for _ in range(2)))
            assert first is second is house.server.warm()

    run(scenario())


def test_every_reply_has_its_own_id_and_the_window_of_a_known_caller(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            house.clock.time = NOW + 15
            known, stranger, probe, lost = (
                await house.get("/v1/wallet"),
                await house.get("/v1/wallet", headers={}),
                await house.get("/healthz"),
                await house.get("/v1/nothing"),
            )
            ids = [reply.headers["x-request-id"] for reply in (known, stranger, probe, lost)]
            assert len(set(ids)) == 4
            # 600 requests per minute beside chat, of which this was one; the minute ends at NOW + 60.
            told = {name: known.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")}
            assert told == {"limit": "600", "remaining": "599", "reset": str(NOW + 60)}
            for reply in (stranger, probe, lost):
                assert "x-ratelimit-limit" not in reply.headers

    run(scenario())


def test_the_window_beside_chat_is_generous_and_ends(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, api_requests=3) as house:
            house.clock.time = NOW + 15
            left = [(await house.get("/v1/wallet")).headers["x-ratelimit-remaining"] for _ in range(3)]
            assert left == ["2", "1", "0"]
            reply = await house.get("/v1/models")
            error = refused(reply, 429, "rate_limit_exceeded", "rate_limit_exceeded")
            assert (error["limit"], error["retry_after_seconds"], reply.headers["retry-after"]) == (3, 45, "45")
            assert {reply.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining")} == {"3", "0"}
            _, _, other = await house.tenant()
            assert (await house.get("/v1/wallet", headers=bearer(other))).status_code == 200
            house.clock.time = NOW + 60
            assert (await house.get("/v1/models")).status_code == 200

    run(scenario())


def test_a_known_callers_mistake_carries_the_window_too(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.get("/v1/wallet/transactions?limit=0")
            refused(reply, 400, "invalid_request_error", "invalid_field", "limit")
            assert reply.headers["x-ratelimit-remaining"] == "599"

    run(scenario())


def test_unknown_paths_name_the_nearest(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for path, near in (
                ("/v1/modls", "/v1/models"),
                ("/chat/completions", "/v1/chat/completions"),
                ("/v1/wallet/", "/v1/wallet"),
                ("/v1/wallet/transaction", "/v1/wallet/transactions"),
            ):
                error = refused(await house.get(path), 404, "not_found", "not_found")
                assert error["message"] == f"there is nothing at {path}; did you mean {near}?"
            far = refused(await house.get("/" + "x" * 5_000), 404, "not_found", "not_found")
            assert len(far["message"]) < 300

    run(scenario())


def test_wrong_methods_are_told_the_right_ones(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for method, path, allowed in (
                ("POST", "/v1/wallet", "GET, HEAD"),
                ("GET", "/v1/estimate", "POST"),
                ("DELETE", "/admin/keys", "GET, HEAD, POST"),
                ("PUT", "/v1/models/acme/gpt", "GET, HEAD"),
                ("POST", "/healthz", "GET, HEAD"),
                ("POST", "/openapi.json", "GET, HEAD"),
            ):
                reply = await house.client.request(method, path)
                refused(reply, 405, "invalid_request_error", "method_not_allowed")
                assert reply.headers["allow"] == allowed, path

    run(scenario())


def test_head_is_get_without_its_body(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for path in ("/v1/models", "/v1/wallet", "/healthz", "/openapi.json", "/v1/nothing"):
                full, head = await house.get(path), await house.client.head(path, headers=house.headers)
                assert head.content == b""
                assert head.status_code == full.status_code
                assert head.headers["content-length"] == str(len(full.content))

    run(scenario())


def test_credentials(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            refused(await house.get("/v1/models", headers={}), 401, "authentication_error", "missing_api_key")
            for wrong in (
                bearer("tw_short"),
                bearer("tw_" + "A" * 47),
                {"authorization": "Basic abc"},
                bearer(house.token),
            ):
                reply = await house.get("/v1/models", headers=wrong)
                refused(reply, 401, "authentication_error", "invalid_api_key")
                assert reply.headers["www-authenticate"] == "Bearer"
            assert (await house.get("/v1/models", headers={"x-api-key": house.secret})).status_code == 200
            two = {**house.headers, "x-api-key": "tw_" + "B" * 47}
            refused(await house.get("/v1/models", headers=two), 400, "invalid_request_error", "conflicting_credentials")
            await house.store.workspaces.revoke_key(house.key.id)
            refused(await house.get("/v1/models"), 401, "authentication_error", "api_key_disabled")

    run(scenario())


def test_each_route_asks_for_its_own_scope(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            needed = {
                "/v1/models": "models",
                "/v1/models/acme/gpt": "models",
                "/v1/models/acme/gpt/offers": "models",
                "/v1/wallet": "wallet",
                "/v1/wallet/transactions": "wallet",
                "/v1/credits": "wallet",
                "/v1/key": "usage",
                "/v1/usage": "usage",
                "/v1/usage/recent": "usage",
                "/v1/usage/daily": "usage",
                "/v1/generation?id=x": "usage",
                "/v1/generations/x": "usage",
            }
            for path, scope in needed.items():
                others = frozenset({"chat", "models", "usage", "wallet"} - {scope})
                _, secret = await house.store.workspaces.add_key(house.workspace_id, name="k", scopes=others)
                error = refused(
                    await house.get(path, headers=bearer(secret)), 403, "authorization_error", "scope_missing"
                )
                assert error["scope"] == scope, path

    run(scenario())


def test_a_large_body_is_refused_before_it_is_read_whole(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.client.post("/v1/estimate", content=b"x" * 100_001, headers=house.headers)
            refused(reply, 413, "payload_too_large", "payload_too_large")

            async def endless():
                for _ in range(1_000):
                    yield b"x" * 10_000
                raise AssertionError("read to its end")

            reply = await house.client.post("/v1/estimate", content=endless(), headers=house.headers)
            refused(reply, 413, "payload_too_large", "payload_too_large")

    run(scenario())


def test_what_breaks_is_told_without_a_word_of_it_and_logged_whole(tmp_path, caplog) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:

            def broken(_: str) -> None:
                raise RuntimeError("the secret of the house")

            house.store.wallets.balance = broken
            with caplog.at_level(logging.ERROR, logger="tollway.api"):
                reply = await house.get("/v1/wallet")
            error = refused(reply, 500, "api_error", "internal_error")
            assert "secret" not in reply.text
            assert "X-Request-ID" in error["message"]
            assert reply.headers["x-ratelimit-limit"] == "600"
            logged = "".join(record.getMessage() + str(record.exc_info) for record in caplog.records)
            assert reply.headers["x-request-id"] in logged
            assert "the secret of the house" in logged
            assert house.telemetry.told[-1] == ("internal_error", 500, reply.headers["x-request-id"])

    run(scenario())


def test_probes(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            alive, ready = await house.get("/healthz", headers={}), await house.get("/readyz", headers={})
            assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
            assert (ready.status_code, ready.json()["status"]) == (200, "ready")
            assert ready.json()["checks"] == {"ledger": "ok", "catalogue": "ok", "server": "ok"}
            house.is_draining = True
            house.store._writer.is_down = True
            ready = await house.get("/readyz")
            assert ready.status_code == 503
            assert ready.json() == {
                "status": "not_ready",
                "checks": {"ledger": "unavailable", "catalogue": "ok", "server": "draining"},
            }
            house.store._writer.is_down = False
            assert (await house.get("/healthz")).status_code == 200
            assert house.server._cold is None, "a probe waits for no framework"

    run(scenario())


def test_metrics_are_open_or_behind_their_key(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "open") as house:
            reply = await house.get("/metrics", headers={})
            assert (reply.status_code, reply.text) == (200, "tollway_up 1\n")
            assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        async with opened(tmp_path / "closed", metrics_key="m3trics") as house:
            refused(await house.get("/metrics", headers={}), 401, "authentication_error", "missing_api_key")
            refused(await house.get("/metrics"), 401, "authentication_error", "invalid_api_key")
            assert (await house.get("/metrics", headers=bearer("m3trics"))).status_code == 200

    run(scenario())


def test_lifespan_and_websockets(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            said = []

            async def told(message) -> None:
                said.append(message["type"])

            events = iter(("lifespan.startup", "lifespan.shutdown"))

            async def happens():
                return {"type": next(events)}

            await house.server({"type": "lifespan"}, happens, told)
            assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

            async def connects():
                return {"type": "websocket.connect"}

            await house.server({"type": "websocket", "path": "/", "headers": []}, connects, told)
            assert said[-1] == "websocket.close"

    run(scenario())


def test_a_caller_who_leaves_while_sending_gets_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            said = []

            async def told(message) -> None:
                said.append(message)

            async def leaves():
                return {"type": "http.disconnect"}

            scope = {"type": "http", "method": "POST", "path": "/v1/estimate", "headers": [], "query_string": b""}
            await house.server(scope, leaves, told)
            assert said == []

    run(scenario())
