"""Stops 4 and 5, estimate and hold: the worst case of a request, reserved before anything is sent (money.md R5, R6).

A request that names its output bound is held for exactly that or refused. One that does not gets what the wallet affords:
a whole answer is bounded by it, a stream starts on a rolling hold that grows while it flows (R6b).
"""

from dataclasses import dataclass
from typing import NamedTuple

from tollway.errors import InvalidField, PaymentRequired, RateLimited, TierLimitExceeded, TollwayError
from tollway.gateway.passage import Interruption, Passage
from tollway.ledger.budget import Budget
from tollway.ledger.hold import Hold
from tollway.metering.estimate import InputBound, OutputBound, bound_input, bound_output
from tollway.metering.rating import worst_case
from tollway.money.amount import format_usd, parse_usd
from tollway.ports import Ledger, Limiter
from tollway.routing.policy import Candidate

AFFORDABLE_TOKENS_MIN = 16
"""An answer shorter than this helps nobody: rather 402."""
_EXTEND_AT_PERCENT = 75
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """The operator's choices: tokens and seconds."""

    default_max_output_tokens: int
    rolling_step_tokens: int
    lifetime_s: int
    top_up_url: str = ""
    """Where a caller with an empty wallet can pay; told in the 402."""


class Worst(NamedTuple):
    """The worst case of a request at one candidate; amount in nano-USD."""

    input: InputBound
    output: OutputBound
    amount_nano: int


class Reserve:
    """Opens, covers and extends the one hold of a request."""

    def __init__(self, ledger: Ledger, limiter: Limiter, policy: HoldPolicy) -> None:
        self._ledger = ledger
        self._limiter = limiter
        self._policy = policy

    async def open(self, passage: Passage) -> None:
        """Reserve the worst case at the first candidate: request and token windows, key budget, wallet; all or nothing.

        Raises:
            ContextLengthExceeded, TierLimitExceeded, RateLimited, TokensPerDayExceeded, BudgetExceeded,
            InsufficientBalance, LedgerUnavailable.
            InvalidField: the worst case is above the caller's `max_price`.
        """
        worst = self._worst(passage, passage.candidate)
        if passage.chat.max_price_nano is not None:
            _check_max_price(passage, worst.amount_nano)
        tokens = worst.input.tokens + worst.output.hold_tokens
        passage.window = await self._limiter.admit(passage.caller.quota, tokens, passage.created)
        passage.tokens_reserved = tokens
        try:
            await self._hold(passage, passage.candidate, worst)
        except BaseException as error:
            await self._limiter.dismiss(passage.caller.quota, tokens, passage.created)
            passage.tokens_reserved, passage.window = 0, None
            if isinstance(error, PaymentRequired) and self._policy.top_up_url:
                error.details = {**error.details, "top_up_url": self._policy.top_up_url}
            raise

    async def cover(self, passage: Passage, candidate: Candidate) -> None:
        """Make the hold cover another candidate too, before it is asked. Raises as `open`."""
        worst = self._worst(passage, candidate)
        _check_max_price(passage, worst.amount_nano)
        more = max(worst.input.tokens + worst.output.hold_tokens - passage.tokens_reserved, 0)
        await self._limiter.reserve(passage.caller.quota, more, passage.created)
        passage.tokens_reserved += more
        try:
            await self._hold(passage, candidate, worst)
        except BaseException:
            await self._give_back(passage, more)
            raise

    async def extend(self, passage: Passage, delivered_tokens: int) -> bool:
        """Grow a rolling hold before its step is used up; False when it is used up and the answer must end (R6b)."""
        output, held = passage.output, passage.held_output_tokens
        if output is None or passage.input is None or not output.is_rolling:
            return True
        if delivered_tokens * 100 < held * _EXTEND_AT_PERCENT:
            return True
        step = self._policy.rolling_step_tokens
        refusal = await self._grown(passage, passage.input, max(held, delivered_tokens) + step)
        # What is held already may be used to its end; a top-up meanwhile lets the answer go on.
        if refusal is None or delivered_tokens < held:
            return True
        passage.interruption = Interruption.NO_FUNDS
        passage.warnings.append(f"the answer was ended early: {refusal.message}")
        return False

    async def _grown(self, passage: Passage, bound: InputBound, tokens: int) -> TollwayError | None:
        """Raise the hold to so many output tokens; why not, if it cannot be, and then nothing has changed."""
        more = tokens - passage.held_output_tokens
        amount = worst_case(
            passage.candidate.prices,
            passage.caller.margin_bps,
            input_tokens=bound.tokens,
            output_tokens=tokens,
            extra_units=bound.extra_units,
        )
        try:
            _check_max_price(passage, amount)
            await self._limiter.reserve(passage.caller.quota, more, passage.created)
        except (InvalidField, RateLimited) as refusal:
            return refusal
        passage.tokens_reserved += more
        try:
            if amount > passage.held_nano:
                await self._ledger.raise_hold(passage.id, amount - passage.held_nano)
        except PaymentRequired as refusal:
            await self._give_back(passage, more)
            return refusal
        passage.held_nano = max(amount, passage.held_nano)
        passage.held_output_tokens = tokens
        return None

    async def _hold(self, passage: Passage, candidate: Candidate, worst: Worst) -> None:
        """Hold a worst case: as it is if the caller named a bound (R6a), else the output that can be paid for (R6b)."""
        while True:
            try:
                await self._take(passage, candidate, worst.amount_nano)
                break
            except PaymentRequired as refusal:
                if passage.chat.max_tokens is not None:
                    raise
                # Comes here twice at most: for the key's budget, then for the wallet.
                worst = _affordable(passage, candidate, worst, refusal)
        passage.input, passage.output = worst.input, worst.output
        passage.held_nano = max(worst.amount_nano, passage.held_nano)
        passage.held_output_tokens = worst.output.hold_tokens

    async def _take(self, passage: Passage, candidate: Candidate, amount_nano: int) -> None:
        if passage.input is not None:
            if amount_nano > passage.held_nano:
                await self._ledger.raise_hold(passage.id, amount_nano - passage.held_nano)
            return
        caller, created = passage.caller, int(passage.created)
        key = caller.key
        await self._ledger.hold(
            Hold(
                passage.id,
                key.workspace_id,
                key.id,
                amount_nano,
                created,
                created + self._policy.lifetime_s,
                created // DAY_S,
                None if key.budget_nano is None else Budget(key.budget_nano, key.budget_window),
                candidate.prices.id,
                caller.margin_bps,
                candidate.offer.id,
            )
        )

    async def _give_back(self, passage: Passage, tokens: int) -> None:
        await self._limiter.correct(passage.caller.quota, tokens, 0, passage.created)
        passage.tokens_reserved -= tokens

    def _worst(self, passage: Passage, candidate: Candidate) -> Worst:
        chat, offer = passage.chat, candidate.offer
        bound = bound_input(chat, offer.tokenizer, offer.context_tokens)
        longest = passage.caller.grants.max_context_tokens
        if 0 <= longest < bound.least:
            raise _too_long_for_plan(passage, bound.least, longest)
        output = bound_output(
            chat.max_tokens,
            offer,
            bound.tokens,
            default_max_output=self._policy.default_max_output_tokens,
            rolling_step=self._policy.rolling_step_tokens,
            stream=chat.stream,
            choices=chat.choices,
            least_input=bound.least,
        )
        amount = worst_case(
            candidate.prices,
            passage.caller.margin_bps,
            input_tokens=bound.tokens,
            output_tokens=output.hold_tokens,
            extra_units=bound.extra_units,
        )
        return Worst(bound, output, amount)


def _too_long_for_plan(passage: Passage, tokens: int, limit: int) -> TierLimitExceeded:
    plan = passage.caller.grants.plan_name
    return TierLimitExceeded(
        f"the prompt has at least {tokens} tokens; your plan {plan} allows {limit}. Shorten it, or upgrade the plan",
        param="messages",
        limit_name="max_context_tokens",
        limit=limit,
        current=tokens,
    )


def _check_max_price(passage: Passage, amount_nano: int) -> None:
    limit = passage.chat.max_price_nano
    if limit is not None and amount_nano > limit:
        raise InvalidField(
            f"the worst case of this request is {format_usd(amount_nano)} USD, above `max_price` {format_usd(limit)}; "
            "raise it, or ask for fewer tokens",
            param="max_price",
            needed_usd=format_usd(amount_nano),
        )


def _affordable(passage: Passage, candidate: Candidate, worst: Worst, refusal: PaymentRequired) -> Worst:
    """The largest output that the refusing side can still pay for, or the refusal itself (R6b)."""
    available = refusal.details.get("available_usd")
    if not isinstance(available, str):
        raise refusal
    prices, margin, bound = candidate.prices, passage.caller.margin_bps, worst.input
    nano = parse_usd(available) + passage.held_nano
    low, high = 0, worst.output.hold_tokens
    while low < high:
        middle = (low + high + 1) // 2
        cost = worst_case(
            prices, margin, input_tokens=bound.tokens, output_tokens=middle, extra_units=bound.extra_units
        )
        low, high = (middle, high) if cost <= nano else (low, middle - 1)
    per_choice = low // passage.chat.choices
    if per_choice < AFFORDABLE_TOKENS_MIN:
        raise refusal
    held = per_choice * passage.chat.choices
    output = worst.output.cut_to(held, per_choice)
    amount = worst_case(prices, margin, input_tokens=bound.tokens, output_tokens=held, extra_units=bound.extra_units)
    passage.warnings.append(f"the wallet affords {per_choice} output tokens")
    return Worst(bound, output, amount)
