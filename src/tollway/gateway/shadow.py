"""Shadow evaluation: some requests are asked again of a second model, aside, to learn whether it would have done.

Off the road: a request that is chosen is copied into a short queue when its answer is there, and dropped when the queue is
full. Nothing that was said is kept: only how alike the answers were, or what a judge gave them. The operator pays, within a
budget per UTC day, and only requests of the workspaces that the operator names are taken.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from tollway.catalogue.offers import Catalogue
from tollway.errors import LedgerUnavailable, TollwayError, UnpricedUnit
from tollway.gateway.admit import Caller
from tollway.gateway.call import Calls
from tollway.gateway.passage import Passage
from tollway.gateway.settle import meter
from tollway.learning.agreement import (
    INSTRUCTION,
    JUDGE_TOKENS_MAX,
    ShadowRun,
    agreement,
    judges_question,
    judges_scores,
)
from tollway.metering.estimate import bound_input, bound_output
from tollway.metering.rating import rate, worst_case
from tollway.ports import Clock
from tollway.request import ChatRequest, Message
from tollway.routing.policy import Route, route
from tollway.routing.task import read_task

EVERYWHERE = "*"
QUEUE_MAX = 32
BYTES_MAX = 256 * 1024
"""Longer requests are not taken, so that the queue stays small."""
_DAY_S = 86_400
_PERCENT = 100
_OUTPUT_MAX = 4_096
_NOT_TAKEN = frozenset({"tools", "functions", "modalities", "audio", "web_search_options"})
"""Requests with these answer with more than text."""
_PLACED = frozenset({"provider", "profile", "routor_profile"})
"""Fields that may say where a request may go."""
_NOT_SENT = frozenset({"stream_options", "metadata", "store", "user"})
_log = logging.getLogger("tollway.shadow")


class ShadowRules(msgspec.Struct, frozen=True):
    """The operator's choices. percent: of requests, 0 is off. judge_model: "" compares words alone.

    budget_nano: per UTC day, nano-USD. workspaces: ids, or `EVERYWHERE`.
    """

    percent: int = 0
    model: str = ""
    judge_model: str = ""
    budget_nano: int = 0
    workspaces: frozenset[str] = frozenset()


class Runs(Protocol):
    """What shadow evaluation asks of the store."""

    async def spent_nano(self, day: int) -> int: ...

    async def keep(self, run: ShadowRun) -> None: ...


class Taken(NamedTuple):
    """A request with its answer, in memory until it is compared."""

    id: str
    chat: ChatRequest
    caller: Caller
    answer: str


class Said(NamedTuple):
    """An answer of a model asked aside. cost_nano: what its provider takes, nano-USD."""

    text: str
    model: str
    provider: str
    cost_nano: int


class Shadow:
    """One per process. dropped: chosen requests for which there was no room. skipped: for which there was no money."""

    def __init__(
        self, rules: ShadowRules, catalogue: Callable[[], Catalogue], calls: Calls, runs: Runs, clock: Clock
    ) -> None:
        self._rules, self._catalogue, self._calls, self._runs, self._clock = rules, catalogue, calls, runs, clock
        self._percent = rules.percent
        self._queue = deque[Taken]()
        self._arrived = asyncio.Event()
        self._day: int = -1
        self._spent_nano: int = 0
        self.dropped = self.skipped = self.compared = 0

    def offer(self, passage: Passage, text: Callable[[], str]) -> None:
        """Take an answered request, if it is chosen. Never raises, never waits; `text` is called of chosen ones alone."""
        if not self._percent or int(passage.id[-8:], 16) % _PERCENT >= self._percent:
            return
        chat, workspaces = passage.chat, self._rules.workspaces
        if EVERYWHERE not in workspaces and passage.caller.key.workspace_id not in workspaces:
            return
        if chat.size > BYTES_MAX or chat.choices > 1 or not _NOT_TAKEN.isdisjoint(chat.fields):
            return
        if chat.provider is not None or not _PLACED.isdisjoint(chat.routing) or passage.caller.key.profile_id:
            # Whoever says where a request may go has not said the second model's provider.
            return
        if len(self._queue) >= QUEUE_MAX:
            self.dropped += 1
            return
        try:
            answer = text()
        except Exception:  # noqa: BLE001 - the caller has a good answer; nothing here may spoil it
            _log.exception("an answer could not be read for comparison")
            return
        if answer.strip():
            self._queue.append(Taken(passage.id, chat, passage.caller, answer))
            self._arrived.set()

    async def run(self) -> None:
        """Compare what is taken, one after another, for ever."""
        while True:
            await self._arrived.wait()
            while self._queue:
                await self.step()
            self._arrived.clear()

    async def step(self) -> None:
        """Compare the oldest request that was taken."""
        taken = self._queue.popleft()
        try:
            await self._compare(taken)
        except LedgerUnavailable as error:
            _log.warning("a comparison was not kept: %s", error.message)
        except TollwayError as error:
            _log.info("a request was not compared: %s", error.code)
        except Exception:  # noqa: BLE001 - it must go on, and it is logged
            _log.exception("a request could not be compared")

    async def _compare(self, taken: Taken) -> None:
        rules = self._rules
        second = await self._ask(taken, _again(taken.chat, rules.model))
        if second is None:
            return
        costs = [(second.provider, second.cost_nano)]
        scores: tuple[int, int] | None = None
        if rules.judge_model:
            try:
                scores = await self._judged(taken, second, costs)
            except TollwayError as error:
                _log.info("a comparison was not judged: %s", error.code)
        alike, judge = agreement(taken.answer, second.text), rules.judge_model if scores else ""
        await self._runs.keep(ShadowRun(taken.id, second.model, judge, alike, scores, tuple(costs)))
        self.compared += 1

    async def _judged(self, taken: Taken, second: Said, costs: list[tuple[str, int]]) -> tuple[int, int] | None:
        # Judges prefer one place over the other: which answer is first is as good as drawn.
        is_turned = int(taken.id[-9], 16) % 2 == 1
        answers = (second.text, taken.answer) if is_turned else (taken.answer, second.text)
        question = judges_question(read_task(taken.chat, 0).text, *answers)
        said = await self._ask(taken, _questioned(self._rules.judge_model, question))
        if said is None:
            return None
        costs.append((said.provider, said.cost_nano))
        found = judges_scores(said.text)
        return None if found is None else (found[1], found[0]) if is_turned else found

    async def _ask(self, taken: Taken, chat: ChatRequest) -> Said | None:
        """The answer of a model; None where the day's budget does not cover its worst case. Raises TollwayError."""
        now = self._clock.now()
        # A key's list of models is about what its holder may ask for, and the holder asks nothing here.
        found = route(chat, _ANYTHING, self._catalogue(), int(now))
        candidate = found.candidates[0]
        bound = bound_input(chat, candidate.offer.tokenizer, candidate.offer.context_tokens)
        output = bound_output(
            chat.max_tokens, candidate.offer, bound.tokens, default_max_output=_OUTPUT_MAX, rolling_step=_OUTPUT_MAX,
            stream=False, least_input=bound.least,
        )  # fmt: skip
        worst = worst_case(
            candidate.prices,
            0,
            input_tokens=bound.tokens,
            output_tokens=output.hold_tokens,
            extra_units=bound.extra_units,
        )
        if await self._spent(int(now) // _DAY_S) + worst > self._rules.budget_nano:
            self.skipped += 1
            return None
        started = self._clock.monotonic()
        passage = Passage(taken.id, chat, taken.caller, now, started, Route((candidate,)), candidate, started)
        passage.input, passage.output = bound, output
        answer = await self._calls.whole(passage)
        passage.usage_document = answer.usage
        usage = meter(passage, answer.text)
        try:
            cost = rate(usage, candidate.prices, 0).cost
        except UnpricedUnit:
            cost = worst
        self._spent_nano += cost
        return Said(answer.text(), candidate.offer.model, candidate.offer.provider.id, cost)

    async def _spent(self, day: int) -> int:
        """Nano-USD of this UTC day; what an earlier process spent is looked up once a day."""
        if day != self._day:
            self._day, self._spent_nano = day, await self._runs.spent_nano(day)
        return self._spent_nano


class _Anything:
    allowed_models: frozenset[str] | None = None


_ANYTHING = _Anything()


def _again(chat: ChatRequest, model: str) -> ChatRequest:
    """The same request, whole, to another model."""
    fields: Mapping[str, msgspec.Raw] = {name: raw for name, raw in chat.fields.items() if name not in _NOT_SENT}
    return msgspec.structs.replace(
        chat,
        model=model,
        models=(),
        fields=fields,
        routing={},
        stream=False,
        include_usage=False,
        user_id=None,
        metadata={},
        max_price_nano=None,
    )


def _questioned(model: str, question: str) -> ChatRequest:
    messages = (Message("system", INSTRUCTION), Message("user", question))
    told = [{"role": one.role, "content": one.content} for one in messages]
    fields = {"messages": msgspec.Raw(msgspec.json.encode(told)), "max_tokens": msgspec.Raw(b"%d" % JUDGE_TOKENS_MAX)}
    return ChatRequest(model, messages, fields, max_tokens=JUDGE_TOKENS_MAX)
