"""Stop 8, settle: what was used becomes a charge, the charge one transfer, and the rest of the hold is released.

Every outcome of money.md R8 ends here: delivered, cut short, hung up, failed. Durable before the last byte.
"""

from collections.abc import Callable, Mapping

from tollway.catalogue.units import INPUT, OUTPUT, Unit
from tollway.errors import TollwayError, UnpricedUnit
from tollway.gateway.health import OfferHealthBook
from tollway.gateway.passage import MICRO, Interruption, Passage
from tollway.gateway.receipt import story
from tollway.gateway.stick import Sticky
from tollway.metering.extract import UnusableUsage, extract
from tollway.metering.rating import Charge, rate
from tollway.metering.tokens import count
from tollway.metering.usage import Usage, UsageSource
from tollway.ports import Clock, Generation, Ledger, Limiter, Settlement, Telemetry

_TO_ITS_END = (None, Interruption.DRAINED)


class Till:
    """Ends holds. One settle or void per request, whatever happened."""

    def __init__(
        self,
        ledger: Ledger,
        limiter: Limiter,
        clock: Clock,
        telemetry: Telemetry,
        health: OfferHealthBook,
        sticky: Sticky,
    ) -> None:
        self._health = health
        self._sticky = sticky
        self._ledger = ledger
        self._limiter = limiter
        self._clock = clock
        self._telemetry = telemetry

    def rate(self, passage: Passage, text: Callable[[], str]) -> None:
        """Meter and rate what was delivered; nothing is moved yet.

        Args:
            text: gives what the model wrote; called only when the provider did not report usage.
        """
        passage.usage = meter(passage, text)
        passage.charge = self._rated(passage, passage.usage)

    async def settle(self, passage: Passage) -> None:
        """Take the charge of a rated passage.

        Raises:
            LedgerUnavailable: not written; nothing final may be said to the caller.
        """
        charge = passage.charge
        assert charge is not None, "a passage is rated before it is settled"
        left = passage.interruption is not None and passage.interruption.is_hang_up
        began = self._clock.monotonic()
        stages = passage.stages(began)
        generation = self._generation(passage, stages, "cancelled" if left else "ok")
        passage.settled = await self._ledger.settle(
            Settlement(passage.id, charge, generation.provider, generation, 0, passage.candidate.prices.id)
        )
        stages["settle"] = int((self._clock.monotonic() - began) * MICRO)
        if passage.interruption is None and passage.attempts:
            self._learn(passage)
        await self._end(passage, generation, stages)

    def _learn(self, passage: Passage) -> None:
        """What a delivered answer tells of its offer: how fast it was written, and whether its cache pays."""
        usage, offer_id, last = passage.usage, passage.candidate.offer.id, passage.attempts[-1]
        assert usage is not None, "a passage is rated before it is settled"
        ended = passage.streamed or passage.called
        now = passage.created + ended - passage.admitted
        self._health.finished(
            offer_id,
            latency_ms=(ended - passage.started) * 1000 - last.started_ms,
            # 0 says that the answer was whole.
            ttft_ms=max(last.ended_ms - last.started_ms, 1) if passage.chat.stream else 0,
            output_tokens=usage.output_tokens - usage.reasoning_tokens,
            now=now,
        )
        if passage.conversation is not None:
            one = passage.conversation
            self._sticky.learn(one.key, offer_id, usage.cached_tokens, one.is_named, now)

    async def void(self, passage: Passage, error: TollwayError | None, failover_cost_nano: int = 0) -> None:
        """Release the hold and charge nothing (R8a, R8b). `error` None: the caller hung up and is not billed."""
        passage.charge = None
        if error is not None and passage.conversation is not None:
            self._sticky.forget(passage.conversation.key)
        status = "cancelled" if error is None else "error"
        told: dict[str, str | int] | None = None
        if error is not None:
            told = {"code": error.code, "status": error.status, "message": error.message}
        stages = passage.stages(self._clock.monotonic())
        generation = self._generation(passage, stages, status, told)
        if error is not None:
            generation.http_status, generation.error_code = error.status, error.code
        await self._ledger.void(passage.id, generation, failover_cost_nano)
        await self._end(passage, generation, stages)

    def lost(self, passage: Passage, text: Callable[[], str]) -> int:
        """Nano-USD that a broken answer has cost us at the provider, as far as can be known (R8a)."""
        usage = meter(passage, text)
        return self._rated(passage, usage).cost

    def _rated(self, passage: Passage, usage: Usage) -> Charge:
        prices = passage.candidate.prices
        try:
            return rate(usage, prices, passage.caller.margin_bps)
        except UnpricedUnit:
            level = prices.at(usage.input_tokens)
        unpriced = [unit for unit, number in usage.counts.items() if number and unit not in level]
        # Answered already: charge what has a price, and say loudly what has none (never silent, never free by accident).
        passage.warnings += [f"{usage.counts[unit]} x {unit} has no price in {prices.id}" for unit in unpriced]
        self._telemetry.upstream_failed(passage.candidate.offer.provider.id, "unpriced_unit")
        usage = Usage({unit: number for unit, number in usage.counts.items() if unit in level}, usage.source)
        return rate(usage, prices, passage.caller.margin_bps)

    def _generation(
        self, passage: Passage, stages: Mapping[str, int], status: str, error: dict[str, str | int] | None = None
    ) -> Generation:
        usage, charge, key, offer = passage.usage, passage.charge, passage.caller.key, passage.candidate.offer
        cost = charged = input_tokens = output_tokens = cached_tokens = reasoning_tokens = 0
        source = ""
        if usage is not None:
            input_tokens, output_tokens = usage.tokens()
            cached_tokens, reasoning_tokens, source = usage.cached_tokens, usage.reasoning_tokens, usage.source
        if charge is not None:
            cost, charged = charge.cost, charge.charge
        # By position: this is made on every request.
        return Generation(
            passage.id,
            key.workspace_id,
            key.id,
            int(passage.created * 1000),
            passage.chat.asked or passage.chat.model,
            offer.model,
            offer.provider.id,
            offer.id,
            status,
            200,
            "",
            passage.chat.stream,
            passage.finish_reason,
            input_tokens,
            output_tokens,
            cached_tokens,
            reasoning_tokens,
            source,
            cost,
            charged,
            stages["total"] // 1000,
            int(passage.ttft_s * 1000),
            passage.chat.user_id or "",
            tier="" if passage.decision is None else passage.decision.tier,
            receipt=story(passage, stages, error),
        )

    async def _end(self, passage: Passage, generation: Generation, stages: Mapping[str, int]) -> None:
        used = generation.input_tokens + generation.output_tokens if passage.charge is not None else 0
        await self._limiter.correct(passage.caller.quota, passage.tokens_reserved, used, passage.created)
        self._telemetry.finished(generation, stages)


def meter(passage: Passage, text: Callable[[], str]) -> Usage:
    """The usage of a passage: the provider's where it gave one that can be used, else counted by us (R8c, R8d)."""
    offer = passage.candidate.offer
    warnings = tuple[str, ...]()
    reported: Usage | None = None
    if passage.usage_document is not None:
        try:
            reported = extract(offer.provider.wire.usage, passage.usage_document)
        except UnusableUsage as error:
            warnings = (f"the provider's usage cannot be used: {error}",)
    if reported is not None and passage.interruption in _TO_ITS_END:
        return reported
    output_tokens, source = count(text(), offer.tokenizer)
    if reported is not None:
        # Cut short: the provider has said what the prompt was, and we what was delivered; the larger output counts, since
        # thinking is billed too and a late snapshot may know more than we saw.
        kept: dict[Unit, int] = dict(reported.counts)
        kept[OUTPUT] = kept.get(OUTPUT, 0) + max(output_tokens - reported.output_tokens, 0)
        return Usage(kept, UsageSource.PROVIDER_PARTIAL, reported.warnings)
    bound = passage.input
    input_tokens = 0 if bound is None else bound.least
    if bound is not None and bound.source is UsageSource.HEURISTIC:
        source = UsageSource.HEURISTIC
    return Usage({INPUT: input_tokens, OUTPUT: output_tokens}, source, warnings)
