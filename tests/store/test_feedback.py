"""Feedback: append-only, the newest of each actor counts, and only within the workspace."""

import asyncio
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.usage_rows import database, insert
from store.world import opened
from tollway.errors import NotFound
from tollway.store.feedback import scores
from tollway.store.sqlite import migrate, open_writer
from tollway.workspaces.actor import By

KEY, OTHER, PERSON = By("key", "k1"), By("key", "k2"), By("member", "k1")

TOO_GOOD = (
    "INSERT INTO feedback SELECT 9, generation_id, workspace_id, actor_kind, actor_id, 101, '', '', 1 FROM feedback"
)


async def asked(world, *names: str) -> None:
    await world.fund(10_000)
    for name in names:
        await world.hold(name, 1_000)
        await world.settle(name, 100)


def test_the_newest_of_each_actor_counts_and_history_stays(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await asked(world, "a", "b")
            feedback = world.store.feedback
            first = await feedback.rate(world.ws, "a", KEY, score=10, label="wrong", comment="no")
            assert (first.by, first.score, first.label, first.comment, first.is_replaced) == (
                KEY,
                10,
                "wrong",
                "no",
                False,
            )
            assert first.at_ms == 1_800_000_000_000
            # A key and a person with the same id are two actors.
            for by, score in ((PERSON, 40), (OTHER, 50), (KEY, 90)):
                world.clock.time += 1
                assert (await feedback.rate(world.ws, "a", by, score=score)).score == score
            await feedback.rate(world.ws, "b", KEY, score=1)
            listed = await feedback.of_generation(world.ws, "a")
            assert [(one.by, one.score, one.label) for one in listed] == [
                (KEY, 90, ""),
                (OTHER, 50, ""),
                (PERSON, 40, ""),
            ]
            history = await feedback.of_generation(world.ws, "a", has_history=True)
            assert [(one.score, one.is_replaced) for one in history] == [
                (90, False),
                (50, False),
                (40, False),
                (10, True),
            ]
            assert history[-1] == first._replace(is_replaced=True)
            page = await feedback.of_generation(world.ws, "a", limit=1, before=history[1].seq)
            assert [one.score for one in page] == [40]
            assert await world.store.reader.run(scores, world.ws, 0, 2**60) == {"a": [40, 50, 90], "b": [1]}
            assert await world.store.reader.run(scores, "", 0, 2**60) == {"a": [40, 50, 90], "b": [1]}
            assert await world.store.reader.run(scores, world.ws, 0, 1_800_000_000_000) == {}
            assert await world.store.reader.run(scores, "elsewhere", 0, 2**60) == {}

    asyncio.run(scenario())


def test_the_same_again_adds_nothing(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await asked(world, "a")
            told = [await world.store.feedback.rate(world.ws, "a", KEY, score=5, label="slow") for _ in range(3)]
            assert len({one.seq for one in told}) == 1
            await world.store.feedback.rate(world.ws, "a", KEY, score=5)
            assert await world.ask("SELECT count(*) FROM feedback") == [(2,)]

    asyncio.run(scenario())


def test_only_what_has_ended_in_the_own_workspace(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await asked(world, "a")
            await world.hold("running", 1_000)
            other = await world.store.workspaces.add_workspace(world.key.organization_id, "other")
            for workspace, name in ((other.id, "a"), (world.ws, "running"), (world.ws, "never")):
                with pytest.raises(NotFound, match=f"there is no generation {name}"):
                    await world.store.feedback.rate(workspace, name, KEY, score=5)
                with pytest.raises(NotFound):
                    await world.store.feedback.of_generation(workspace, name)
            assert await world.ask("SELECT count(*) FROM feedback") == [(0,)]

    asyncio.run(scenario())


def test_what_was_not_charged_does_not_count(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await asked(world, "a")
            await world.hold("failed", 1_000)
            await world.void("failed")
            await world.store.feedback.rate(world.ws, "failed", KEY, score=0)
            await world.store.feedback.rate(world.ws, "a", KEY, score=9)
            assert await world.store.reader.run(scores, world.ws, 0, 2**60) == {"a": [9]}

    asyncio.run(scenario())


@pytest.mark.parametrize("text", ["UPDATE feedback SET score = 1", "DELETE FROM feedback", TOO_GOOD])
def test_the_table_refuses(tmp_path, text) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await asked(world, "a")
            await world.store.feedback.rate(world.ws, "a", KEY, score=5)
            connection = open_writer(world.store.folder.database)
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(text)
            connection.close()

    asyncio.run(scenario())


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from([KEY, OTHER, PERSON]), st.integers(0, 100)), max_size=30)
)
def test_scores_are_the_last_of_each_actor(rows) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, 0)
    connection.execute("PRAGMA foreign_keys = OFF")
    for name in "xyz":
        values = f"'{name}', 'w', 'k', 'settled', 0, 0, 0, 0, 'p', 0, 0, 5, '', '', '', '', 'ok', 200, '', 0, '', 0, 0, 0, 0, '', 0, 0, ''"
        columns = [row[1] for row in connection.execute("PRAGMA table_info(generations)")][1:30]
        connection.execute(f"INSERT INTO generations ({', '.join(columns)}) VALUES ({values})")
    last: dict[tuple, int] = {}
    for name, by, score in rows:
        connection.execute(
            "INSERT INTO feedback VALUES (NULL, ?, 'w', ?, ?, ?, '', '', 5)", (name, by.kind, by.id, score)
        )
        last[name, by] = score
    found = scores(connection, "w", 0, 10)
    assert {name: sorted(told) for name, told in found.items()} == {
        name: sorted(score for (of, _), score in last.items() if of == name) for name, _ in last
    }
    connection.close()


def test_a_month_of_ratings_is_read_in_a_moment(tmp_path) -> None:
    """20,000 ratings of 50,000 requests, without reading a request twice."""

    async def scenario() -> None:
        async with opened(tmp_path) as world:
            insert(
                database(tmp_path),
                ({"id": f"g{n}", "workspace_id": world.ws, "created_at_ms": n} for n in range(50_000)),
            )
            connection = open_writer(database(tmp_path))
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO feedback VALUES (NULL, ?, ?, 'key', 'k', ?, '', '', 1)",
                ((f"g{n * 2}", world.ws, n % 101) for n in range(20_000)),
            )
            connection.execute("COMMIT")
            connection.close()
            loop = asyncio.get_running_loop()
            start = loop.time()
            found = await world.store.reader.run(scores, world.ws, 0, 2**60)
            assert len(found) == 20_000
            assert loop.time() - start < 5

    asyncio.run(scenario())
