"""`/v1/usage`, `/v1/usage/daily`, `/v1/usage/recent`: sums by hand, in JSON and CSV."""

import asyncio
import csv
import io
from decimal import Decimal

import pyarrow.parquet
import pytest

from api.house import bearer, opened, refused
from api.people import town
from store.usage_rows import database, insert, many
from store.world import NOW
from tollway.store.usage import BUCKETS

DAY = 86_400


def run(scenario) -> None:
    asyncio.run(scenario)


async def three_requests(house) -> None:
    """Two on Thursday the 14th, one of them an error that was charged; one on Friday the 15th."""
    await house.store.wallets.credit(house.workspace_id, 10**10, kind="topup")
    house.clock.time = NOW - DAY
    await house.asked(10_000_000, 9_000_000, input_tokens=100, output_tokens=50, user_id="ann")
    house.clock.time = NOW - DAY + 3_600
    await house.asked(5, 4, input_tokens=10, cached_tokens=4, model="acme/mini", status="cancelled", user_id="=1+1")
    house.clock.time = NOW
    await house.asked(20_000_000, 18_000_000, input_tokens=200, output_tokens=100, reasoning_tokens=30, provider="beta")


def test_the_report(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await three_requests(house)
            reply = await house.get("/v1/usage?start_date=2027-01-14&end_date=2027-01-15")
            told = reply.json()["data"]
            assert told["period"] == {
                "start": "2027-01-14",
                "end": "2027-01-15",
                "from": "2027-01-14T00:00:00.000Z",
                "to": "2027-01-16T00:00:00.000Z",
            }
            # 10,000,000 + 5 + 20,000,000 nano-USD = 3.0000005 cents.
            assert '"total_cost_cents":3.0000005,"total_cost_usd":"0.030000005"' in reply.text
            summary = told["summary"]
            assert (summary["total_requests"], summary["failed_requests"], summary["total_tokens"]) == (3, 1, 460)
            assert (summary["input_tokens"], summary["output_tokens"]) == (310, 150)
            assert (summary["cached_tokens"], summary["reasoning_tokens"]) == (4, 30)
            assert told["by_model"] == [
                {"model": "acme/gpt", "requests": 2, "tokens": 450, "cost_cents": 3, "cost_usd": "0.03"},
                {"model": "acme/mini", "requests": 1, "tokens": 10, "cost_cents": 5e-7, "cost_usd": "0.000000005"},
            ]
            assert [(one["start"], one["requests"], one["cost_usd"]) for one in told["buckets"]] == [
                ("2027-01-14T00:00:00.000Z", 2, "0.010000005"),
                ("2027-01-15T00:00:00.000Z", 1, "0.02"),
            ]
            assert "model" not in told["buckets"][0]

    run(scenario())


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ("hour", [("2027-01-14T08:00:00.000Z", 1), ("2027-01-14T09:00:00.000Z", 1), ("2027-01-15T08:00:00.000Z", 1)]),
        ("month", [("2027-01-01T00:00:00.000Z", 3)]),
        ("week", [("2027-01-11T00:00:00.000Z", 3)]),
        ("status", [("cancelled", 1), ("success", 2)]),
        ("assistant", [("", 3)]),
        ("tier", [("", 3)]),
        ("provider", [("acme", 2), ("beta", 1)]),
        ("user", [("", 1), ("=1+1", 1), ("ann", 1)]),
    ],
)
def test_one_group(tmp_path, group_by, expected) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await three_requests(house)
            buckets = (await house.get(f"/v1/usage?group_by={group_by}")).json()["data"]["buckets"]
            name = "start" if group_by in BUCKETS else group_by
            assert [(one[name], one["requests"]) for one in buckets] == expected

    run(scenario())


def test_groups_together_and_keys_apart(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await three_requests(house)
            other, _ = await house.store.workspaces.add_key(house.workspace_id, name="second")
            await house.asked(7, key=other)
            buckets = (await house.get("/v1/usage?group_by=day,key,model")).json()["data"]["buckets"]
            found = {(one["start"][:10], one["key"], one["model"]): one["cost_usd"] for one in buckets}
            assert found == {
                ("2027-01-14", house.key.id, "acme/gpt"): "0.01",
                ("2027-01-14", house.key.id, "acme/mini"): "0.000000005",
                ("2027-01-15", house.key.id, "acme/gpt"): "0.02",
                ("2027-01-15", other.id, "acme/gpt"): "0.000000007",
            }

    run(scenario())


def test_as_a_table(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await three_requests(house)
            expected = (
                "start,user,requests,failed_requests,input_tokens,output_tokens,cached_tokens,reasoning_tokens,total_tokens,cost_usd,average_latency_ms\r\n"
                "2027-01-14T00:00:00.000Z,'=1+1,1,1,10,0,4,0,10,0.000000005,0\r\n"
                "2027-01-14T00:00:00.000Z,ann,1,0,100,50,0,0,150,0.01,0\r\n"
                "2027-01-15T00:00:00.000Z,,1,0,200,100,0,30,300,0.02,0\r\n"
            )
            path = "/v1/usage?group_by=day,user&start_date=2027-01-01"
            by_query = await house.get(f"{path}&format=csv")
            by_header = await house.get(path, headers={**house.headers, "accept": "text/csv"})
            for reply in (by_query, by_header):
                assert reply.text == expected
                assert reply.headers["content-type"] == "text/csv; charset=utf-8"
                assert reply.headers["content-disposition"] == 'attachment; filename="usage-2027-01-01-2027-01-15.csv"'
                assert "x-ratelimit-limit" in reply.headers

    run(scenario())


def test_days_newest_first_and_only_those_asked_for(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await three_requests(house)
            days = (await house.get("/v1/usage/daily")).json()["data"]
            assert days == [
                {"date": "2027-01-15", "requests": 1, "tokens": 300, "cost_cents": 2, "cost_usd": "0.02"},
                {
                    "date": "2027-01-14",
                    "requests": 2,
                    "tokens": 160,
                    "cost_cents": 1.0000005,
                    "cost_usd": "0.010000005",
                },
            ]
            only = (await house.get("/v1/usage/daily?start_date=2027-01-15")).json()["data"]
            assert [one["date"] for one in only] == ["2027-01-15"]
            assert (await house.get("/v1/usage/daily?end_date=2027-01-13")).json()["data"] == []

    run(scenario())


def test_recent_requests_page_by_page(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await three_requests(house)
            first = (await house.get("/v1/usage/recent?limit=2")).json()
            assert [(one["model"], one["status"], one["total_cost_usd"]) for one in first["data"]] == [
                ("acme/gpt", "success", "0.02"),
                ("acme/mini", "cancelled", "0.000000005"),
            ]
            newest = first["data"][0]
            assert newest["request_id"] == newest["id"]
            assert (newest["input_tokens"], newest["output_tokens"], newest["total_tokens"]) == (200, 100, 300)
            assert (newest["llm_cost_cents"], newest["tool_cost_cents"], newest["total_cost_cents"]) == (2, 0, 2)
            assert (newest["assistant_id"], newest["subscription_id"], newest["tools_used"]) == (None, None, [])
            assert first["has_more"] is True
            second = (await house.get(f"/v1/usage/recent?limit=2&after={first['next_cursor']}")).json()
            assert [one["user_id"] for one in second["data"]] == ["ann"]
            assert (second["has_more"], second["next_cursor"]) == (False, None)
            none = (await house.get("/v1/usage/recent?key=another")).json()
            assert none == {"data": [], "has_more": False, "next_cursor": None}

    run(scenario())


def test_an_empty_period(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            told = (await house.get("/v1/usage")).json()["data"]
            # The last 30 days, today included.
            assert (told["period"]["start"], told["period"]["end"]) == ("2026-12-17", "2027-01-15")
            assert (told["summary"]["total_requests"], told["summary"]["average_latency_ms"]) == (0, None)
            assert told["by_model"] == told["buckets"] == []

    run(scenario())


def test_usage_is_its_own_workspaces(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await three_requests(house)
            _, _, stranger = await house.tenant()
            theirs = bearer(stranger)
            assert (await house.get("/v1/usage", headers=theirs)).json()["data"]["summary"]["total_requests"] == 0
            assert (await house.get("/v1/usage/daily", headers=theirs)).json()["data"] == []
            assert (await house.get(f"/v1/usage/recent?key={house.key.id}", headers=theirs)).json()["data"] == []

    run(scenario())


def test_wrong_questions_name_the_parameter(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for query, param in (
                ("group_by=colour", "group_by"),
                ("group_by=day,hour", "group_by"),
                ("group_by=model,model", "group_by"),
                ("start_date=yesterday", "start_date"),
                ("start_date=2027-02-30", "start_date"),
                ("start_date=2027-01-02&end_date=2027-01-01", "start_date"),
                ("end_date=0001-01-01", "end_date"),
                ("format=xml", "format"),
                ("from=2027-01-01T00:00:00", "from"),
                ("from=2027-01-01&start_date=2027-01-01", "from"),
                ("to=never", "to"),
                ("since=2027-01-01", "since"),
                ("status=broken", "status[0]"),
                ("order_by=name", "order_by"),
                ("limit=10001", "limit"),
                ("after=x", "after"),
            ):
                refused(await house.get(f"/v1/usage?{query}"), 400, "invalid_request_error", "invalid_field", param)
            refused(
                await house.get("/v1/usage/recent?limit=1001"), 400, "invalid_request_error", "invalid_field", "limit"
            )
            refused(await house.get("/v1/usage/recent?after=x"), 400, "invalid_request_error", "invalid_field", "after")

    run(scenario())


def test_order_and_pages(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            insert(database(tmp_path), many(house.workspace_id, 200))
            path = "/v1/usage?from=2023-11-14&to=2023-11-15&group_by=key,model&order_by=-cost&percentiles=true"
            whole = (await house.get(path)).json()
            charges = [Decimal(one["cost_usd"]) for one in whole["data"]["buckets"]]
            assert charges == sorted(charges, reverse=True)
            assert (whole["has_more"], whole["next_cursor"]) == (False, None)
            assert all(0 < one["p50_latency_ms"] <= one["p95_latency_ms"] for one in whole["data"]["buckets"])
            found, after, pages = [], "", 0
            while True:
                reply = await house.get(f"{path}&limit=20{after}")
                told = reply.json()
                assert told["data"]["summary"] == whole["data"]["summary"]
                assert reply.headers.get("x-next-cursor") == told["next_cursor"]
                found, pages = found + told["data"]["buckets"], pages + 1
                # Comes in between, and is of the next question.
                insert(database(tmp_path), [{**row, "id": f"late {pages}"} for row in many(house.workspace_id, 1)])
                if not told["has_more"]:
                    break
                after = f"&after={told['next_cursor']}"
            assert (found, pages) == (whole["data"]["buckets"], (len(found) + 19) // 20)
            assert (await house.get(path)).json()["data"]["summary"]["total_requests"] == 200 + pages
            other = f"/v1/usage?from=2023-11-14&to=2023-11-15&group_by=key&order_by=-cost&percentiles=true{after}"
            refused(await house.get(other), 400, "invalid_request_error", "invalid_field", "after")
            _, _, stranger = await house.tenant()
            reply = await house.get(f"{path}{after}", headers=bearer(stranger))
            refused(reply, 400, "invalid_request_error", "invalid_field", "after")

    run(scenario())


def test_a_file_says_what_json_says(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await three_requests(house)
            path = "/v1/usage?group_by=day,key,user,status&percentiles=true"
            buckets = (await house.get(path)).json()["data"]["buckets"]
            reply = await house.get(f"{path}&format=parquet")
            assert reply.headers["content-type"] == "application/vnd.apache.parquet"
            table = pyarrow.parquet.read_table(io.BytesIO(reply.content)).to_pylist()
            lines = list(csv.DictReader(io.StringIO((await house.get(f"{path}&format=csv")).text, newline="")))
            assert len(buckets) == len(table) == len(lines) == 3
            for told, row, line in zip(buckets, table, lines, strict=True):
                assert line.keys() == row.keys() == (told.keys() - {"cost_cents"})
                assert row["key_name"] == told["key_name"] == house.key.name
                assert row["cost_usd"] == Decimal(told["cost_usd"]) == Decimal(line["cost_usd"])
                assert row["start"].isoformat() == line["start"].replace(".000Z", "+00:00")
                assert line["user"].removeprefix("'") == row["user"] == told["user"]
                for name in ("requests", "total_tokens", "average_latency_ms", "p95_latency_ms"):
                    assert row[name] == told[name] == int(line[name])

    run(scenario())


def test_filters(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await three_requests(house)
            for query, count in (
                ("model=acme/mini", 1),
                ("model=acme/mini&model=acme/gpt", 3),
                ("provider=beta", 1),
                ("user_id=ann", 1),
                ("user_id=%3D1%2B1", 1),
                ("status=success", 2),
                ("status=cancelled&status=error", 1),
                (f"key_id={house.key.id}", 3),
                ("key_id=another", 0),
                ("tier=fast", 0),
                ("assistant_id=", 3),
                ("from=2027-01-14T08:30:00Z", 2),
                ("from=2027-01-14&to=2027-01-14T09:00:00Z", 1),
                ("from=2027-01-14&to=2027-01-14", 2),
            ):
                told = (await house.get(f"/v1/usage?{query}")).json()["data"]
                assert told["summary"]["total_requests"] == count, query
                assert sum(one["requests"] for one in told["buckets"]) == count, query

    run(scenario())


def test_members_read_the_usage_of_the_workspace_they_are_in(tmp_path) -> None:
    async def scenario() -> None:
        async with town(tmp_path) as t:
            owner = await t.sign_up()
            workspace = (await t.me(owner))["memberships"][0]["workspaces"][0]["id"]
            insert(database(tmp_path), many(workspace, 5))
            paths = ("/v1/usage?from=2023-11-14&to=2023-11-15", "/v1/activity", "/v1/usage/recent", "/v1/usage/daily")
            for token in (
                owner,
                await t.join(owner, "v@acme.test", "viewer"),
                await t.join(owner, "b@acme.test", "billing"),
            ):
                for path in paths:
                    assert (await t.ask("GET", path, token)).status_code == 200
                assert len((await t.ask("GET", "/v1/activity", token)).json()["data"]) == 5
                assert (await t.ask("GET", "/v1/wallet", token)).status_code == 200
                receipt = await t.ask("GET", f"/v1/generations/{next(many('', 1))['id']}", token)
                assert receipt.status_code == 200
                # Only a key has a budget.
                assert (await t.ask("GET", "/v1/key", token)).status_code == 401
            stranger = await t.sign_up("eve@else.test")
            assert (await t.ask("GET", "/v1/activity", stranger)).json()["data"] == []
            for path in (*paths, f"/v1/generations/{next(many('', 1))['id']}"):
                reply = await t.ask("GET", path, stranger, tollway_workspace=workspace)
                refused(reply, 404, "not_found", "not_found")

    run(scenario())
