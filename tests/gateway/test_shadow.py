"""Shadow evaluation: what is taken, what it costs whom, and that it never stands in the way."""

import asyncio
import contextlib
import json
import time

import pytest

from gateway.road import Built, Caught, built
from gateway.road import catalogue as offers
from store.test_audit import verdicts
from tollway.errors import LedgerUnavailable, UpstreamFailed
from tollway.gateway.shadow import EVERYWHERE, QUEUE_MAX, Shadow, ShadowRules
from tollway.learning.agreement import ShadowRun
from tollway.providers.simulated import SimulatedProvider
from tollway.store.shadow import shadow_sums

USD = 10**9
RULES = {"percent": 100, "model": "estimate/cheap", "budget_nano": USD, "workspaces": frozenset({EVERYWHERE})}


class Judging(SimulatedProvider):
    """A provider that says what it is told to, to whoever asks as a judge; `asked`: bodies of all requests."""

    def __init__(self, verdict: str = "80 60", error: Exception | None = None) -> None:
        super().__init__()
        self.verdict, self.error, self.asked = verdict, error, []

    async def fetch(self, outgoing, timeout_s):
        status, headers, body = await super().fetch(outgoing, timeout_s)
        self.asked.append(outgoing.body)
        document = json.loads(body)
        if b"You judge two answers" in outgoing.body:
            if self.error is not None:
                raise self.error
            document["choices"][0]["message"]["content"] = self.verdict
        return status, headers, json.dumps(document).encode()


def shadow(there: Built, **rules: object) -> Shadow:
    known = offers()
    return Shadow(
        ShadowRules(**{**RULES, **rules}), lambda: known, there.calls, there.world.store.shadow, there.world.clock
    )


async def answered(there: Built, **fields: object):
    """A request that was answered and settled."""
    passage = there.enter(**fields)
    body = await there.whole(passage)
    return passage, body["choices"][0]["message"]["content"]


async def runs(there: Built) -> list[tuple]:
    return await there.world.ask(
        "SELECT generation_id, model, judge, agreement, score, second_score, cost_nano FROM shadow_runs"
    )


async def booked(there: Built) -> dict[str, int]:
    text = (
        "SELECT a.code, sum(p.amount_nano) FROM transfers AS t JOIN postings AS p ON p.transfer_id = t.id "
        "JOIN accounts AS a ON a.id = p.account_id WHERE t.kind = 'shadow' GROUP BY a.code"
    )
    return dict(await there.world.ask(text))


def run(scenario, folder, **more) -> None:
    async def opened() -> None:
        async with built(folder, **more) as there:
            await scenario(there)

    asyncio.run(opened())


def test_a_request_is_asked_again_and_compared(tmp_path) -> None:
    async def scenario(there) -> None:
        aside = shadow(there)
        passage, text = await answered(there)
        before = there.available
        aside.offer(passage, lambda: text)
        await aside.step()
        ((name, model, judge, alike, *scores, cost),) = await runs(there)
        assert (name, model, judge, alike, scores) == (passage.id, "estimate/cheap", "", 100, [None, None])
        assert cost > 0
        assert await booked(there) == {"cost_of_shadow": -cost, "payable:estimate": cost}
        assert (there.available, there.held) == (before, 0), "the caller pays nothing for it"
        assert (aside.compared, aside.dropped, aside.skipped) == (1, 0, 0)
        assert await there.world.store.shadow.spent_nano(int(there.world.clock.now()) // 86_400) == cost
        (found,) = await there.world.store.reader.run(shadow_sums, there.world.ws, 0, 2**60)
        assert found == ("estimate/cheap", "estimate/small", 1, 100, 0, 0, 0, cost)
        assert await there.world.store.reader.run(shadow_sums, "elsewhere", 0, 2**60) == []

    run(scenario, tmp_path)


def test_a_stream_is_asked_again_whole_and_without_what_is_about_the_caller(tmp_path) -> None:
    upstream = Judging()

    async def scenario(there) -> None:
        aside = shadow(there)
        passage = there.enter(stream=True, stream_options={"include_usage": True}, metadata={"a": "b"}, user="jane", models=["estimate/small"])  # fmt: skip
        await there.stream(passage, Caught())
        aside.offer(passage, lambda: "Some words.")
        await aside.step()
        assert len(await runs(there)) == 1
        asked = json.loads(upstream.asked[-1])
        assert not asked.get("stream")
        assert not {"stream_options", "metadata", "user", "models"} & set(asked)

    run(scenario, tmp_path, upstream=upstream)


@pytest.mark.parametrize(
    ("verdict", "error", "judged"),
    [
        ("80 60", None, True),
        ("both are good", None, False),
        ("", UpstreamFailed(), False),
        ("", ConnectionError(), False),
    ],
)
def test_a_judge(tmp_path, verdict, error, judged) -> None:
    upstream = Judging(verdict, error)

    async def scenario(there) -> None:
        aside = shadow(there, judge_model="estimate/small")
        turned = set()
        for number in range(8):
            passage, text = await answered(there)
            # The digit that says which answer is first.
            passage.id = f"{passage.id[:-9]}{number:x}{passage.id[-8:]}"
            aside.offer(passage, lambda text=text: text)
            taken = aside._queue[0]
            aside._queue[0] = taken._replace(id=passage.id)
            kept = []
            aside._runs = Keeping(kept)
            await aside.step()
            (one,) = kept
            turned.add(one.scores)
            assert one.judge == ("estimate/small" if judged else "")
            assert len(one.costs) == (1 if error else 2)
        assert turned == ({(80, 60), (60, 80)} if judged else {None})

    run(scenario, tmp_path, upstream=upstream)


class Keeping:
    def __init__(self, kept: list[ShadowRun], spent: int = 0) -> None:
        self.kept, self.spent, self.asked = kept, spent, 0

    async def spent_nano(self, day: int) -> int:
        self.asked += 1
        return self.spent

    async def keep(self, one: ShadowRun) -> None:
        self.kept.append(one)


def test_the_budget_of_a_day_is_never_passed(tmp_path) -> None:
    async def scenario(there) -> None:
        kept = list[ShadowRun]()
        aside = shadow(there, budget_nano=20_000_000)
        aside._runs = Keeping(kept, spent=18_200_000)
        for _ in range(12):
            passage, text = await answered(there, max_tokens=300)
            aside.offer(passage, lambda text=text: text)
            await aside.step()
        spent = 18_200_000 + sum(nano for one in kept for _, nano in one.costs)
        assert kept
        assert aside.skipped
        assert spent <= 20_000_000
        assert aside.compared + aside.skipped == 12
        assert aside._runs.asked == 1, "what an earlier process spent is looked up once"
        nothing = shadow(there, budget_nano=0)
        nothing.offer(passage, lambda: text)
        await nothing.step()
        assert nothing.skipped == 1

    run(scenario, tmp_path)


@pytest.mark.parametrize(
    ("rules", "fields"),
    [
        ({"percent": 0}, {}),
        ({"workspaces": frozenset()}, {}),
        ({"workspaces": frozenset({"another"})}, {}),
        ({}, {"n": 2}),
        ({}, {"provider": {"ignore": ["no_bill"]}}),
        ({}, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        ({}, {"text": "x" * 300_000, "max_tokens": 5}),
    ],
)
def test_what_is_not_taken(tmp_path, rules, fields) -> None:
    async def scenario(there) -> None:
        aside = shadow(there, **rules)
        passage = there.enter(**fields)
        aside.offer(passage, lambda: pytest.fail("it must not be read"))
        assert not aside._queue

    run(scenario, tmp_path)


def test_a_share_is_taken_and_the_rest_dropped_when_there_is_no_room(tmp_path) -> None:
    async def scenario(there) -> None:
        aside, all_of_it = shadow(there, percent=10), shadow(there)
        passage = there.enter()
        for number in range(1_000):
            passage.id = f"0190c3f0-0000-7000-8000-0000{number * 2654435761 % 2**32:08x}"
            before = len(aside._queue)
            aside.offer(passage, lambda: "words")
            if len(aside._queue) > before:
                aside._queue.clear()
                aside.compared += 1
        assert 60 < aside.compared < 140
        for _ in range(QUEUE_MAX + 5):
            all_of_it.offer(passage, lambda: "words")
        assert (len(all_of_it._queue), all_of_it.dropped) == (QUEUE_MAX, 5)
        all_of_it._queue.clear()
        all_of_it.offer(passage, lambda: " ")
        all_of_it.offer(passage, lambda: 1 / 0)
        assert not all_of_it._queue

    run(scenario, tmp_path)


def test_it_goes_on_whatever_happens(tmp_path) -> None:
    class Failing(Keeping):
        async def keep(self, one: ShadowRun) -> None:
            if not self.asked % 2:
                raise LedgerUnavailable
            raise RuntimeError("a mistake")

    async def scenario(there) -> None:
        aside = shadow(there)
        good = aside._runs
        passage, text = await answered(there)
        for runs_ in (Failing([]), Failing([]), good):
            aside._runs = runs_
            aside.offer(passage, lambda: text)
            await aside.step()
        missing = shadow(there, model="no/such")
        missing.offer(passage, lambda: text)
        await missing.step()
        assert (aside.compared, missing.compared) == (1, 0)

    run(scenario, tmp_path)


def test_the_task_compares_what_arrives(tmp_path) -> None:
    async def scenario(there) -> None:
        aside = shadow(there)
        task = asyncio.create_task(aside.run())
        for _ in range(2):
            for _ in range(2):
                passage, text = await answered(there)
                aside.offer(passage, lambda text=text: text)
            until = time.monotonic() + 10
            while aside._queue or aside.compared % 2:
                assert time.monotonic() < until
                await asyncio.sleep(0.01)
        assert len(await runs(there)) == 4
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(scenario, tmp_path)


def test_off_it_costs_nothing(tmp_path) -> None:
    async def scenario(there) -> None:
        aside, passage = shadow(there, percent=0), there.enter()
        times = 20_000

        def once() -> float:
            began = time.perf_counter()
            for _ in range(times):
                aside.offer(passage, str)
            return (time.perf_counter() - began) / times

        assert min(once() for _ in range(5)) < 1e-6

    run(scenario, tmp_path)


def test_the_same_run_again_changes_nothing(tmp_path) -> None:
    async def scenario(there) -> None:
        passage, _ = await answered(there)
        one = ShadowRun(passage.id, "m", "", 50, None, (("p", 5), ("q", 0)))
        for _ in range(2):
            await there.world.store.shadow.keep(one)
        await there.world.store.shadow.keep(ShadowRun(passage.id, "free", "j", 50, (1, 2), ()))
        assert sorted(await runs(there)) == [
            (passage.id, "free", "j", 50, 1, 2, 0),
            (passage.id, "m", "", 50, None, None, 5),
        ]
        assert await booked(there) == {"cost_of_shadow": -5, "payable:p": 5}
        assert verdicts(there.world.store.folder.database, int(there.world.clock.now())) == {}, "the audit passes"

    run(scenario, tmp_path)
