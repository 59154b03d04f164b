"""Nonsense in every parameter and field that the OpenAPI document names: refused in the documented shape, never a 500."""

import asyncio
import json
import random
import re

from api.house import opened

TEXTS = (
    "", "\x00", "%ff%fe", "../../etc", "a" * 3_000, "-1", "0", "9" * 23, "1e9", "2027-01-01", "9999-12-31", "0001-01-01", "true", "null",
    "txn_1", "txn_" + "9" * 20, "1-1", "1-" + "9" * 23, "day,key", "\u2603", "'; DROP TABLE keys; --", "%2F", "NaN", "gpt",
)  # fmt: skip
VALUES = (
    None, True, 0, -1, 1.5, 10**30, "", "x", "12.50", "\u0000", "\u2603", [], {}, [[]], {"a": 1}, "1" * 400, ["gpt"], "all", 10**9, 10**12,
)  # fmt: skip
BODIES = (
    b"", b"[" * 50_000, b'{"a":' * 15_000, b'{"model":"\\ud800"}', b'{"usd":"\\ud800","kind":"topup","reason":"\\udfff","name":"\\ud800"}',
    b"\xff", b'{"a":1e999}', b'{"model":"gpt","input_tokens":1e400}', b'"text"',
)  # fmt: skip
ASKED = 600


def body_of(draw: random.Random, operation: dict, schemas: dict) -> bytes:
    if draw.random() < 0.15:
        return draw.choice(BODIES)
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    shape = schemas[schema.get("anyOf", [schema])[0]["$ref"].rpartition("/")[2]]
    body = {name: draw.choice(VALUES) for name in shape["properties"] if draw.random() < 0.7}
    if draw.random() < 0.3:
        body["messages"] = draw.choice(
            ([{"role": "user", "content": "x"}], [{"role": "user", "content": [{}]}], [], None, 5, [{}])
        )
    return json.dumps(body).encode()


def test_nothing_that_is_sent_breaks_the_server(tmp_path) -> None:
    seed = random.randrange(10**9)
    draw = random.Random(seed)

    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 10**9, kind="grant")
            known = (await house.asked(7), house.workspace_id, "gpt")
            told = (await house.get("/openapi.json")).json()
            operations = [
                (path, method, one)
                for path, methods in told["paths"].items()
                for method, one in methods.items()
                if "chat" not in path
            ]
            for _ in range(ASKED):
                path, method, operation = draw.choice(operations)
                for name in re.findall(r"{(\w+)}", path):
                    path = path.replace(
                        f"{{{name}}}", draw.choice((*known, *(text.replace("\x00", "%00") for text in TEXTS if text)))
                    )
                named = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
                query = {name: draw.choice(TEXTS) for name in named if draw.random() < 0.6}
                body = body_of(draw, operation, told["components"]["schemas"]) if "requestBody" in operation else None
                headers = house.operator if path.startswith("/admin") else house.headers
                reply = await house.client.request(method, path, params=query or None, headers=headers, content=body)
                shown = (seed, method, path, query, body and body[:300], reply.text[:300])
                assert reply.status_code < 500, shown
                assert reply.status_code < 400 or reply.json()["error"]["message"], shown
                assert reply.headers["x-request-id"], shown

    asyncio.run(scenario())
