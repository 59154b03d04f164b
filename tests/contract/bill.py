"""The money of one request, checked from four sides: the reply, the receipt, the wallet and a sum by hand."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Self

from support.gateway import Gateway

MARGIN = Decimal("1.055")
"""5.5 %, the default for a model that the caller names (`money.margin_direct_bps`)."""
_NANO = Decimal("1e-9")
_PRICED_AS = {
    "input": "prompt",
    "cache_read": "cache_read",
    "cache_write_5m": "cache_write",
    "cache_write_1h": "cache_write_1h",
    "input_audio": "audio",
    "cache_read_audio": "audio_cache_read",
    "output": "completion",
    "reasoning": "reasoning",
    "output_audio": "audio_output",
    "web_search": "web_search",
}
"""Unit of a receipt -> name of its price in `GET /v1/models/{id}/offers`."""
_INPUT = frozenset({"input", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "cache_read_audio"})
_OUTPUT = frozenset({"output", "reasoning", "output_audio"})


def offer_prices(gateway: Gateway, model: str, provider: str) -> dict[str, Decimal]:
    """USD per token or call, by unit, of a model at a provider, as customers can look them up."""
    status, body, _ = gateway.ask("GET", f"/v1/models/{model}/offers")
    assert status == 200, body
    told = next(one["pricing"] for one in body["data"] if one["provider"] == provider)
    return {unit: Decimal(told[name]) for unit, name in _PRICED_AS.items() if name in told}


def by_hand(prices: Mapping[str, Decimal], counts: Mapping[str, int]) -> Decimal:
    """USD: counts times prices, the margin on top, rounded once to nano-USD, half to even."""
    exact = sum((prices[unit] * count for unit, count in counts.items()), Decimal(0)) * MARGIN
    return exact.quantize(_NANO, ROUND_HALF_EVEN)


def available(gateway: Gateway) -> Decimal:
    """USD in the first wallet that nothing holds."""
    wallet = gateway.wallet()
    assert wallet["reserved_usd"] == "0", wallet
    return Decimal(wallet["available_usd"])


class Bill:
    """Notes the wallet on entering; `agrees` is asked once the call is over."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._before = Decimal(0)

    def __enter__(self) -> Self:
        self._before = available(self._gateway)
        return self

    def __exit__(self, *_: object) -> None: ...

    def agrees(self, answer: Any, **counts: int) -> dict[str, Any]:
        """The receipt of an answer for which the provider reported `counts`: disjoint, by unit.

        Args:
            answer: the SDK's object that carries `usage` and `tollway`: a completion, or the last chunk of a stream.
        """
        told, usage = answer.tollway, answer.usage
        prices = offer_prices(self._gateway, told["model"], told["provider"])
        charge = by_hand(prices, counts)
        assert usage.prompt_tokens == sum(count for unit, count in counts.items() if unit in _INPUT)
        assert usage.completion_tokens == sum(count for unit, count in counts.items() if unit in _OUTPUT)
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        assert told["usage_source"] == "provider", told
        assert Decimal(told["cost_usd"]) == charge
        assert Decimal(str(usage.cost)) == charge
        return self.charged(told["generation_id"], charge, prices, counts)

    def charged(
        self, generation_id: str, charge: Decimal, prices: Mapping[str, Decimal], counts: Mapping[str, int]
    ) -> dict[str, Any]:
        """The receipt, which has these lines and this charge; the wallet has lost exactly that."""
        receipt = self._gateway.receipt(generation_id)["data"]
        lines = {line["unit"]: line for line in receipt["receipt"]["lines"]}
        assert {unit: line["count"] for unit, line in lines.items()} == {unit: n for unit, n in counts.items() if n}
        for unit, line in lines.items():
            assert Decimal(line["price_usd"]) == prices[unit]
            assert Decimal(line["amount_usd"]) == prices[unit] * counts[unit]
        assert Decimal(receipt["charge_usd"]) == charge
        assert receipt["margin_bps"] == 550
        assert sum(Decimal(one["amount_usd"]) for one in receipt["postings"]) == -charge
        assert self.spent() == charge
        return receipt

    def spent(self) -> Decimal:
        """USD that the wallet has lost since; nothing is held any more."""
        return self._before - available(self._gateway)
