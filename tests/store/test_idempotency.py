"""R10: one reply per Idempotency-Key and workspace, for a day."""

import asyncio

from store.world import NOW, FakeClock, opened

BODY, OTHER = b"h" * 32, b"o" * 32


def test_r10_new_running_replay_mismatch(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            replies = world.store.idempotency
            assert replies.begin(world.ws, "k", BODY, NOW).state == "new"
            assert replies.begin(world.ws, "k", BODY, NOW).state == "running"
            assert replies.begin(world.ws, "k", OTHER, NOW).state == "mismatch"
            replies.finish(world.ws, "k", 200, "application/json", b'{"a": 1}')
            assert replies.begin(world.ws, "k", OTHER, NOW).state == "mismatch"
            # Nothing final is said before it is on disk.
            assert replies.begin(world.ws, "k", BODY, NOW).state == "running"
            await world.ledger.execute()
            for _ in range(2):
                stored = replies.begin(world.ws, "k", BODY, NOW)
                assert (stored.state, stored.status, stored.content_type, stored.body) == (
                    "replay",
                    200,
                    "application/json",
                    b'{"a": 1}',
                )
            assert not replies._recent

    asyncio.run(scenario())


def test_r10_keys_belong_to_a_workspace(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            other = (await world.store.workspaces.add_workspace(world.key.organization_id, "other")).id
            replies = world.store.idempotency
            assert replies.begin(world.ws, "k", BODY, NOW).state == "new"
            assert replies.begin(other, "k", OTHER, NOW).state == "new"
            await world.ledger.execute()
            assert replies.begin(other, "k", BODY, NOW).state == "mismatch"

    asyncio.run(scenario())


def test_r10_a_reply_lives_a_day(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            replies = world.store.idempotency
            replies.begin(world.ws, "k", BODY, NOW)
            replies.finish(world.ws, "k", 200, "text/plain", b"x")
            await world.ledger.execute()
            assert replies.begin(world.ws, "k", BODY, NOW + 86_399).state == "replay"
            assert replies.begin(world.ws, "k", OTHER, NOW + 86_400).state == "new"
            replies.finish(world.ws, "k", 201, "text/plain", b"y")
            await world.ledger.execute()
            stored = replies.begin(world.ws, "k", OTHER, NOW + 86_400)
            assert (stored.state, stored.status, stored.body) == ("replay", 201, b"y")
            await world.store.sweep(NOW + 2 * 86_400 + 1)
            await world.ledger.execute()
            assert await world.ask("SELECT count(*) FROM replies") == [(0,)]

    asyncio.run(scenario())


def test_a_forgotten_key_may_be_used_again(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            replies = world.store.idempotency
            replies.begin(world.ws, "k", BODY, NOW)
            replies.forget(world.ws, "k")
            assert replies.begin(world.ws, "k", OTHER, NOW).state == "new"
            replies.forget(world.ws, "k")
            await world.ledger.execute()
            assert await world.ask("SELECT count(*) FROM replies") == [(0,)]
            assert replies.begin(world.ws, "k", BODY, NOW).state == "new"
            replies.finish(world.ws, "nobody", 200, "", b"")

    asyncio.run(scenario())


def test_replies_survive_a_restart_and_running_ones_do_not(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            replies, ws = world.store.idempotency, world.ws
            replies.begin(ws, "done", BODY, NOW)
            replies.finish(ws, "done", 200, "text/event-stream", b"data: [DONE]\n\n")
            replies.begin(ws, "running", BODY, NOW)
        async with opened(tmp_path) as world:
            assert world.store.recovered.replies == 1
            assert world.store.idempotency.begin(ws, "done", BODY, NOW).body == b"data: [DONE]\n\n"
            assert world.store.idempotency.begin(ws, "running", BODY, NOW).state == "new"

    asyncio.run(scenario())


def test_a_claim_that_cannot_be_written_refuses_the_request(tmp_path) -> None:
    async def scenario() -> None:
        import pytest

        from tollway.errors import LedgerUnavailable

        async with opened(tmp_path, FakeClock()) as world:
            replies = world.store.idempotency
            replies.begin(world.ws, "k", BODY, NOW)
            world.store._writer.is_down = True
            with pytest.raises(LedgerUnavailable):
                replies.begin(world.ws, "new", BODY, NOW)
            replies.finish(world.ws, "k", 200, "", b"x")
            assert replies.begin(world.ws, "k", BODY, NOW).state == "running"
            replies.forget(world.ws, "k")
            world.store._writer.is_down = False
            assert replies.begin(world.ws, "k", OTHER, NOW).state == "new"

    asyncio.run(scenario())
