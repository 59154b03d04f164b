"""`/v1/activity`: requests one by one, as JSON, CSV and Parquet, in one answer or page by page."""

import asyncio
import csv
import io
import tracemalloc
from datetime import datetime
from decimal import Decimal

import pyarrow.parquet
import pytest

from api.house import bearer, opened, refused
from store.usage_rows import database, insert, many
from tollway.api import tables


def run(scenario) -> None:
    asyncio.run(scenario)


def parquet(content: bytes) -> list[dict]:
    return pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()


def test_one_request_with_everything(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 10**10, kind="topup")
            asked = await house.asked(13_427_700, input_tokens=1_234, output_tokens=567, user_id="ann", latency_ms=900)
            reply = await house.get("/v1/activity")
            assert '"cost_usd":"0.0134277","cost_cents":1.34277,' in reply.text
            (one,) = reply.json()["data"]
            assert (one["id"], one["created_at"]) == (asked, "2027-01-15T08:00:00.000Z")
            assert (one["status"], one["error_code"], one["user_id"]) == ("success", None, "ann")
            assert (one["input_tokens"], one["output_tokens"], one["total_tokens"]) == (1_234, 567, 1_801)
            assert (one["key_id"], one["assistant_id"], one["tier"]) == (house.key.id, None, None)
            assert (one["latency_ms"], one["ttft_ms"], one["streamed"]) == (900, None, False)
            assert (reply.json()["has_more"], reply.json()["next_cursor"]) == (False, None)
            assert "x-next-cursor" not in reply.headers
            assert reply.headers["content-length"]

    run(scenario())


@pytest.mark.parametrize("limit", [1, 7, 1_000, 1_500, 2_000])
def test_formats_tell_the_same_rows_page_by_page(tmp_path, limit) -> None:
    """2,003 rows: below, at and above the size of the pieces in which they are read."""

    async def scenario() -> None:
        async with opened(tmp_path) as house:
            insert(database(tmp_path), many(house.workspace_id, 2_003))
            found: dict[str, list] = {"json": [], "csv": [], "parquet": []}
            for form, rows in found.items():
                after = ""
                while len(rows) < 3 * limit:
                    reply = await house.get(f"/v1/activity?format={form}&limit={limit}{after}")
                    if form == "json":
                        page = reply.json()["data"]
                        assert reply.json()["has_more"] is ("x-next-cursor" in reply.headers)
                        assert reply.json()["next_cursor"] == reply.headers.get("x-next-cursor")
                    elif form == "csv":
                        page = list(csv.DictReader(io.StringIO(reply.text, newline="")))
                        assert reply.headers["content-disposition"] == 'attachment; filename="activity.csv"'
                    else:
                        page = parquet(reply.content)
                    rows += page
                    if "x-next-cursor" not in reply.headers:
                        assert len(rows) == 2_003
                        break
                    assert len(page) == limit
                    after = f"&after={reply.headers['x-next-cursor']}"
            assert len({one["id"] for one in found["json"]}) == len(found["json"])
            for told, line, row in zip(found["json"], found["csv"], found["parquet"], strict=True):
                assert line.keys() == row.keys() == told.keys() - {"cost_cents"}
                assert row["cost_usd"] == Decimal(told["cost_usd"]) == Decimal(line["cost_usd"])
                assert (
                    row["created_at"]
                    == datetime.fromisoformat(told["created_at"])
                    == datetime.fromisoformat(line["created_at"])
                )
                for name in told.keys() - {"cost_cents", "cost_usd", "created_at", "streamed"}:
                    assert row[name] == told[name]
                    assert line[name] == ("" if told[name] is None else str(told[name]))

    run(scenario())


def test_order_filters_and_late_arrivals(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            insert(database(tmp_path), many(house.workspace_id, 60))
            whole = (await house.get("/v1/activity")).json()["data"]
            oldest = (await house.get("/v1/activity?order=asc")).json()["data"]
            assert [one["id"] for one in oldest] == [one["id"] for one in reversed(whole)]
            failed = (await house.get("/v1/activity?status=error&status=cancelled")).json()["data"]
            assert failed == [one for one in whole if one["status"] == "error"]
            some = whole[10]
            for name in ("key_id", "model", "provider", "user_id"):
                found = (await house.get(f"/v1/activity?{name}={some[name]}")).json()["data"]
                assert found == [one for one in whole if one[name] == some[name]]
            span = f"from={whole[20]['created_at']}&to={whole[10]['created_at']}"
            assert (await house.get(f"/v1/activity?{span}")).json()["data"] == whole[11:21]
            for order, expected in (("desc", whole), ("asc", oldest)):
                found, after = [], ""
                while True:
                    told = (await house.get(f"/v1/activity?order={order}&limit=7{after}")).json()
                    found += told["data"]
                    late = [
                        {**row, "id": f"{order} {len(found)} {at}"}
                        for at, row in enumerate(many(house.workspace_id, 3))
                    ]
                    insert(database(tmp_path), late)
                    if not told["has_more"]:
                        break
                    after = f"&after={told['next_cursor']}"
                assert [one for one in found if " " not in one["id"]] == expected
                assert len({one["id"] for one in found}) == len(found)

    run(scenario())


def test_no_cell_of_a_customer_is_a_formula(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 10**10, kind="topup")
            for user in ("=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", 'a,"b"\r\n=c'):
                await house.asked(5, user_id=user)
            reply = await house.get("/v1/activity", headers={**house.headers, "accept": "text/csv"})
            cells = [cell for line in csv.reader(io.StringIO(reply.text, newline="")) for cell in line]
            assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))] == []
            assert {"'=HYPERLINK(1)", "'+1", "'-1", "'@x", "'\t=1", 'a,"b"\r\n=c'} <= set(cells)
            assert {row["user_id"] for row in parquet((await house.get("/v1/activity?format=parquet")).content)} >= {
                "=HYPERLINK(1)"
            }

    run(scenario())


def test_activity_is_its_own_workspaces(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            insert(database(tmp_path), many(house.workspace_id, 5))
            _, _, stranger = await house.tenant()
            theirs = bearer(stranger)
            empty = {"data": [], "has_more": False, "next_cursor": None}
            assert (await house.get("/v1/activity", headers=theirs)).json() == empty
            key_id = next(many("", 1))["key_id"]
            assert (await house.get(f"/v1/activity?key_id={key_id}", headers=theirs)).json() == empty
            cursor = (await house.get("/v1/activity?limit=2")).json()["next_cursor"]
            reply = await house.get(f"/v1/activity?after={cursor}", headers=theirs)
            refused(reply, 400, "invalid_request_error", "invalid_field", "after")
            reply = await house.get("/v1/activity?format=parquet", headers=theirs)
            assert parquet(reply.content) == []

    run(scenario())


def test_wrong_questions_name_the_parameter(tmp_path, monkeypatch) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            insert(database(tmp_path), many(house.workspace_id, 5))
            cursor = (await house.get("/v1/activity?limit=2")).json()["next_cursor"]
            for query, param in (
                ("limit=0", "limit"),
                ("limit=100001", "limit"),
                ("order=up", "order"),
                ("format=xml", "format"),
                ("after=x", "after"),
                (f"after={cursor}&order=asc", "after"),
                (f"after={cursor}&model=m", "after"),
                ("status=ok", "status[0]"),
                ("from=now", "from"),
                ("start_date=2027-01-02&end_date=2027-01-01", "start_date"),
                ("workspace_id=w", "workspace_id"),
            ):
                refused(await house.get(f"/v1/activity?{query}"), 400, "invalid_request_error", "invalid_field", param)
            assert (await house.get(f"/v1/activity?after={cursor}&limit=3&format=csv")).status_code == 200

            def missing(name: str):
                raise ModuleNotFoundError(name)

            monkeypatch.setattr(tables.importlib, "import_module", missing)
            reply = await house.get("/v1/activity?format=parquet")
            error = refused(reply, 400, "invalid_request_error", "invalid_field", "format")
            assert "uv run --extra parquet tollway serve" in error["message"]

    run(scenario())


def test_a_large_answer_is_not_kept_in_memory(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            insert(database(tmp_path), many(house.workspace_id, 30_000))
            await house.get("/v1/activity")  # builds the application
            tracemalloc.start()
            try:
                size = 0

                async def send(message) -> None:
                    nonlocal size
                    size += len(message.get("body", b""))

                async def receive():
                    await asyncio.Event().wait()

                scope = {
                    "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
                    "path": "/v1/activity", "raw_path": b"/v1/activity", "query_string": b"limit=30000", "root_path": "",
                    "headers": [(b"authorization", house.headers["authorization"].encode())], "client": ("c", 1), "server": ("s", 1),
                }  # fmt: skip
                await house.server(scope, receive, send)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert size > 15_000_000
            assert peak < 12_000_000

    run(scenario())
