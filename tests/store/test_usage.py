"""Sums over requests: every grouping adds up to the ledger, pages are of one moment, periods end where UTC says."""

import asyncio
import itertools
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.usage_rows import database, insert, many, rows_of
from store.world import NOW, FakeClock, charge_of, opened
from tollway.errors import InvalidField
from tollway.ports import Settlement
from tollway.store.usage import BUCKETS, GROUPS, ORDERS, Filters, Grouping, Position

COLUMN = {
    "key": "key_id", "model": "model", "provider": "provider", "user": "user_id", "status": "status",
    "assistant": "assistant_id", "tier": "tier",
}  # fmt: skip


def at(text: str) -> int:
    """Unix ms."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


async def pages(world, grouping: Grouping, filters: Filters, between=None) -> list:
    """All rows, page by page; `between` runs after each page."""
    found, after = [], None
    while True:
        asked = Grouping(
            grouping.bucket, grouping.groups, grouping.order, grouping.is_descending, 3, after, grouping.has_percentiles
        )
        page = await world.store.usage.sums(world.ws, filters, asked)
        found += page.rows
        if page.next_position is None:
            return found
        assert len(page.rows) == 3
        after = page.next_position
        if between is not None:
            between()


REQUEST = st.fixed_dictionaries(
    {
        "seconds": st.integers(0, 40 * 86_400),
        "charge": st.integers(0, 10**9),
        "is_void": st.booleans(),
        "is_second_key": st.booleans(),
        "model": st.sampled_from(["m1", "m2", "m3"]),
        "provider": st.sampled_from(["p1", "p2"]),
        "user_id": st.sampled_from(["", "ann", "=1+1", "a,b", "\u00e9\ud7ff"]),
        "input_tokens": st.integers(0, 10**6),
        "output_tokens": st.integers(0, 10**6),
        "latency_ms": st.integers(0, 10**6),
    }
)


@settings(max_examples=25, deadline=None)
@given(st.lists(REQUEST, max_size=15), st.data())
def test_every_grouping_adds_up_to_the_ledger(requests, data) -> None:
    async def scenario(folder: Path) -> None:
        clock = FakeClock(NOW)
        async with opened(folder, clock) as world:
            await world.fund(10**12)
            second, _ = await world.store.workspaces.add_key(world.ws, name="second")
            for number, one in enumerate(requests):
                fields = {
                    name: one[name]
                    for name in ("model", "provider", "user_id", "input_tokens", "output_tokens", "latency_ms")
                }
                clock.time, key = NOW + one["seconds"], second if one["is_second_key"] else world.key
                await world.hold(f"r{number}", 10**9, key)
                if one["is_void"]:
                    await world.ledger.void(f"r{number}", world.generation(f"r{number}", key, status="error", **fields))
                else:
                    generation = world.generation(f"r{number}", key, **fields)
                    await world.ledger.settle(
                        Settlement(f"r{number}", charge_of(one["charge"]), one["provider"], generation)
                    )
            ((posted,),) = await world.ask(
                "SELECT -coalesce(sum(p.amount_nano), 0) FROM postings AS p JOIN transfers AS t ON t.id = p.transfer_id "
                "JOIN wallets AS w ON w.account_id = p.account_id WHERE t.kind = 'usage'"
            )
            groups = data.draw(st.lists(st.sampled_from(GROUPS), unique=True, max_size=4))
            for bucket in ("", *BUCKETS):
                grouping = Grouping(bucket, tuple(groups), has_percentiles=data.draw(st.booleans()))
                rows, _ = await world.store.usage.sums(world.ws, Filters(), grouping)
                assert sum(row.charge_nano for row in rows) == posted
                assert sum(row.requests for row in rows) == len(requests)
                assert sum(row.input_tokens for row in rows) == sum(one["input_tokens"] for one in requests)
                assert sum(row.latency_ms for row in rows) == sum(one["latency_ms"] for one in requests)
                assert sum(row.failed for row in rows) == sum(one["is_void"] for one in requests)
                assert len({(row.bucket, row.group) for row in rows}) == len(rows)
                whole = await pages(world, grouping, Filters())
                assert whole == rows

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


@pytest.mark.parametrize(
    ("bucket", "instants"),
    [
        ("minute", ["2027-01-31T23:59:00+00:00", "2027-02-01T00:00:00+00:00"]),
        ("hour", ["2027-01-31T23:00:00+00:00", "2027-02-01T00:00:00+00:00"]),
        ("day", ["2027-01-31T00:00:00+00:00", "2027-02-01T00:00:00+00:00"]),
        ("month", ["2027-01-01T00:00:00+00:00", "2027-02-01T00:00:00+00:00"]),
        # 2027-02-01 is a Monday.
        ("week", ["2027-01-25T00:00:00+00:00", "2027-02-01T00:00:00+00:00"]),
    ],
)
def test_a_bucket_ends_where_utc_says(tmp_path, bucket, instants) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            last, first = at("2027-01-31T23:59:59.999+00:00"), at("2027-02-01T00:00:00+00:00")
            for number, ms in enumerate((last, first)):
                insert(database(tmp_path), [{"id": f"r{number}", "workspace_id": world.ws, "created_at_ms": ms}])
            rows, _ = await world.store.usage.sums(world.ws, Filters(), Grouping(bucket))
            assert [row.bucket * 1000 for row in rows] == [at(one) for one in instants]
            # A period is [start, end).
            for span, count in (((0, first), 1), ((first, first + 1), 1), ((last, first), 1), ((first + 1, 2**60), 0)):
                rows, _ = await world.store.usage.sums(world.ws, Filters(*span), Grouping())
                assert sum(row.requests for row in rows) == count

    asyncio.run(scenario())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 32_503_679_999_999), min_size=1, max_size=30))
def test_weeks_and_months_are_those_of_the_calendar(instants) -> None:
    async def scenario(folder: Path) -> None:
        async with opened(folder) as world:
            insert(
                database(folder),
                [{"id": f"r{at}", "workspace_id": world.ws, "created_at_ms": ms} for at, ms in enumerate(instants)],
            )
            for bucket in ("day", "week", "month"):
                rows, _ = await world.store.usage.sums(world.ws, Filters(), Grouping(bucket))
                expected = defaultdict(int)
                for ms in instants:
                    day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).date()
                    if bucket == "week":
                        day -= timedelta(days=day.weekday())
                    elif bucket == "month":
                        day = day.replace(day=1)
                    expected[day] += 1
                found = {(datetime(1970, 1, 1) + timedelta(seconds=row.bucket)).date(): row.requests for row in rows}
                assert found == expected

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


def test_percentiles_by_nearest_rank(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            latencies = {"m1": list(range(1, 101)), "m2": [7], "m3": [5, 12_345, 123_456]}
            rows = [
                {"id": f"{model}-{at}", "workspace_id": world.ws, "model": model, "latency_ms": ms, "created_at_ms": 1}
                for model, found in latencies.items()
                for at, ms in enumerate(found)
            ]
            insert(database(tmp_path), rows)
            grouping = Grouping(groups=("model",), has_percentiles=True)
            found, _ = await world.store.usage.sums(world.ws, Filters(), grouping)
            # Three digits: 12,345 is told as 12,300, 123,456 as 123,000.
            assert [(row.p50_ms, row.p95_ms) for row in found] == [(50, 95), (7, 7), (12_300, 123_000)]
            plain, _ = await world.store.usage.sums(world.ws, Filters(), Grouping(groups=("model",)))
            assert [row._replace(p50_ms=None, p95_ms=None) for row in found] == plain

    asyncio.run(scenario())


def test_pages_are_of_one_moment(tmp_path) -> None:
    """Nothing is skipped or told twice while requests come in, in whichever order sums are told."""

    async def scenario() -> None:
        async with opened(tmp_path) as world:
            path, number = database(tmp_path), itertools.count()

            def some(count: int = 40) -> None:
                rows = [
                    {**row, "id": f"r{next(number)}", "workspace_id": world.ws} for row in many("", count, next(number))
                ]
                insert(path, rows)

            some()
            for order, is_descending in itertools.product(ORDERS, (False, True)):
                for bucket, groups in (("hour", ("model",)), ("minute", ()), ("", ("user", "provider"))):
                    filters = Filters(until_seq=await world.store.usage.last_seq())
                    grouping = Grouping(bucket, groups, order, is_descending)
                    expected, _ = await world.store.usage.sums(world.ws, filters, grouping)
                    assert await pages(world, grouping, filters, lambda: some(2)) == expected
                    keys = [(row.bucket, row.group) for row in expected]
                    assert len(set(keys)) == len(keys)
                    if order == "start" and not is_descending:
                        assert keys == sorted(keys)
                    if order == "cost":
                        charges = [row.charge_nano for row in expected]
                        assert charges == sorted(charges, reverse=is_descending)

    asyncio.run(scenario())


def test_filters_and_groups_name_the_same_things(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            rows = [
                {
                    "id": f"r{at}", "workspace_id": world.ws, "created_at_ms": at, "charge_nano": 3**at, "key_id": f"k{at % 2}",
                    "model": f"m{at % 3}", "provider": f"p{at % 4}", "user_id": f"u{at % 5}", "assistant_id": f"a{at % 2}",
                    "tier": f"t{at % 3}", "status": ("ok", "error", "cancelled")[at % 3],
                }
                for at in range(12)
            ]  # fmt: skip
            insert(database(tmp_path), rows)
            names = ("keys", "models", "providers", "users", "statuses", "assistants", "tiers")
            for name, group in zip(names, GROUPS, strict=True):
                found, _ = await world.store.usage.sums(world.ws, Filters(), Grouping(groups=(group,)))
                expected = defaultdict(int)
                for row in rows:
                    expected[row[COLUMN[group]]] += row["charge_nano"]
                assert {row.group[0]: row.charge_nano for row in found} == expected
                for values in ([found[0].group[0]], [row.group[0] for row in found[:2]], ["nobody"]):
                    (one,) = (await world.store.usage.sums(world.ws, Filters(**{name: values}), Grouping())).rows or (
                        None,
                    )
                    assert (one.charge_nano if one else 0) == sum(expected[value] for value in values)
            other = await world.store.workspaces.add_workspace(world.key.organization_id, "other")
            assert (await world.store.usage.sums(other.id, Filters(keys=["k0"]), Grouping())).rows == []

    asyncio.run(scenario())


def test_what_is_no_question_is_refused(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            for grouping in (
                Grouping("year"),
                Grouping(groups=("key_id; DROP TABLE keys",)),
                Grouping(order="name"),
                Grouping(groups=("key",), limit=1, after=Position(0, 0, ())),
            ):
                with pytest.raises(InvalidField):
                    await world.store.usage.sums(world.ws, Filters(), grouping)

    asyncio.run(scenario())


def test_sums_are_read_from_the_index_alone(tmp_path) -> None:
    """Pains C-4 55: a usage page must not read the whole table."""

    async def scenario() -> None:
        from tollway.store import usage as module

        async with opened(tmp_path) as world:
            for grouping in (Grouping("day", GROUPS, "cost", True, 10), Grouping("", ("user",), has_percentiles=True)):
                text, params = module._query(world.ws, Filters(0, 10, users=["u"], tiers=["t"]), grouping)
                plan = str(await world.ask(f"EXPLAIN QUERY PLAN {text}", *params))
                assert (
                    "SEARCH generations USING COVERING INDEX generations_of_workspace (workspace_id=? AND created_at_ms>? AND created_at_ms<?)"
                    in plan
                )

    asyncio.run(scenario())


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_million_requests(tmp_path) -> None:
    """Told, and held to generous bounds: sums in seconds, pages in fractions of one."""

    async def scenario() -> None:
        from tollway.store.activity import FIRST

        async with opened(tmp_path) as world:
            insert(database(tmp_path), many(world.ws, 1_000_000))
            store, ws, whole = world.store, world.ws, Filters()

            async def timed(name: str, limit_s: float, asked) -> list:
                began = time.perf_counter()
                found = await asked
                took = time.perf_counter() - began
                print(f"1,000,000 requests: {name:44} {took:7.3f} s")
                assert took < limit_s, name
                return found

            for name, grouping in (
                ("by day", Grouping("day")),
                ("by day, model", Grouping("day", ("model",))),
                ("by day, model, key", Grouping("day", ("model", "key"))),
                ("by user", Grouping("", ("user",))),
                ("by month with percentiles", Grouping("month", has_percentiles=True)),
                ("by day, model with percentiles", Grouping("day", ("model",), has_percentiles=True)),
            ):
                (rows, _) = await timed(f"sums {name}", 15, store.usage.sums(ws, whole, grouping))
                assert sum(row.requests for row in rows) == 1_000_000
            day = Filters(1_701_000_000_000, 1_701_086_400_000)
            await timed("sums of one day by hour, model", 2, store.usage.sums(ws, day, Grouping("hour", ("model",))))
            await timed("activity, newest 100", 0.5, store.activity.rows(ws, whole, FIRST, 100))
            deep = (1_700_500_000_000, 2**60)
            await timed("activity, 100 from the middle", 0.1, store.activity.rows(ws, whole, deep, 100))
            rare = Filters(users=["user-900"])
            await timed("activity, 100 of a rare end user", 3, store.activity.rows(ws, rare, FIRST, 100))
            after, count = FIRST, 0
            began = time.perf_counter()
            while piece := await store.activity.rows(ws, whole, after, 1_000):
                after, count = piece[-1].at, count + len(piece)
            print(f"1,000,000 requests: all of them in pieces of 1,000         {time.perf_counter() - began:7.3f} s")
            assert count == 1_000_000
            # Each piece costs what it has: a tenth of this would not do if it grew with its depth.
            assert time.perf_counter() - began < 100

    asyncio.run(scenario())


def test_what_was_inserted_is_what_was_asked(tmp_path) -> None:
    """The helper's own check: the fields it knows are the table's."""

    async def scenario() -> None:
        async with opened(tmp_path) as world:
            insert(database(tmp_path), many(world.ws, 3))
            assert [row["model_asked"] for row in await world.store.reader.run(rows_of)] == ["gpt"] * 3

    asyncio.run(scenario())
