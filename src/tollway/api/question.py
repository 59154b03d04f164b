"""What is to be priced: a chat body or token counts, read and counted for each offer by its own vocabulary."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeVar

import msgspec
from pydantic import BaseModel, Field

from tollway.api.edge import AskedBody, checked
from tollway.api.wire import read_chat
from tollway.catalogue.offers import Offer
from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import BY_NAME, Unit
from tollway.errors import ContextLengthExceeded, InvalidField, InvalidJSON
from tollway.gateway.reserve import HoldPolicy
from tollway.metering.estimate import InputBound, bound_input, bound_output
from tollway.metering.media import TILE_FACTOR_MODEL
from tollway.metering.quote import Quote, token_counts
from tollway.metering.rating import worst_case
from tollway.money.amount import NotAnAmount, PicoUSD, parse_per_million, parse_pico
from tollway.request import ChatRequest

Tokens = Annotated[int, Field(ge=0, le=10**12)]
Requests = Annotated[int, Field(ge=1, le=10**9, description="How many equal requests.")]
Price = Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$", examples=["0.20"])]
Shape = TypeVar("Shape", bound=BaseModel)
_PER_CALL = frozenset({"request"})


class OwnPrices(AskedBody):
    """Prices of one's own: USD per million tokens as text; `request` is USD per call."""

    input: Price
    output: Price
    cache_read: Price | None = None
    reasoning: Price | None = None
    request: Price | None = None


class Counts(AskedBody):
    """Token counts of one request. Cached tokens are part of the input, thinking is part of the output."""

    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    cached_tokens: Tokens = 0
    reasoning_tokens: Tokens = 0
    requests: Requests = 1


class Estimation(Counts):
    """What to price, where: on `model`, or at `prices` of one's own. A chat body is taken too."""

    model: Annotated[str | None, Field(description="An id or alias.", examples=["openai/gpt-4o"])] = None
    prices: OwnPrices | None = None
    margin_bps: Annotated[int, Field(ge=0, le=100_000, description="On top of `prices`, in basis points.")] = 0


class Selection(AskedBody):
    """Which models to compare."""

    models: Annotated[
        list[str] | Literal["all"], Field(description="Ids or aliases; `all` is every model with a price.")
    ] = "all"
    limit: Annotated[int, Field(ge=1, le=5_000, description="How many of the cheapest.")] = 100
    available: Annotated[bool, Field(description="Only what can be called now.")] = False


class Comparison(Selection, Counts):
    """What to price, on which models. A chat body is taken too."""


class ChatExtras(AskedBody):
    """What may stand beside the fields of a chat body: how often, and how much is expected."""

    requests: Requests = 1
    output_tokens: Tokens | None = None
    cached_tokens: Tokens = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """One request in units. `problem`: it cannot be sent there at all.

    input_source: `given`, or who counted. output_source: `given`, `max_tokens`, or `default_bound`.
    """

    counts: Mapping[Unit, int]
    input_tokens: int
    input_source: str
    output_tokens: int
    output_source: str
    problem: str = ""


@dataclass(slots=True)
class Question:
    """What to price. With `chat` its prompt is counted as a hold counts it; else `stated` are the counts.

    prices, margin_bps: one's own, if any.
    """

    requests: int
    model: str = ""
    stated: Counted | None = None
    chat: ChatRequest | None = None
    extras: ChatExtras = field(default_factory=ChatExtras)
    prices: PriceList | None = None
    margin_bps: int = 0
    _bounds: dict[tuple[str, bool], InputBound] = field(default_factory=dict[tuple[str, bool], InputBound])

    def counted(self, offer: Offer | None, holds: HoldPolicy) -> Counted:
        """One request at an offer."""
        if self.stated is not None or self.chat is None or offer is None:
            return self.stated or Counted({}, 0, "given", 0, "given")
        bound = self._bound(self.chat, offer)
        tokens, source = bound.tokens, str(bound.source)
        cached = min(self.extras.cached_tokens, tokens)
        if self.extras.output_tokens is not None:
            output, output_source = self.extras.output_tokens, "given"
        else:
            output_source = "default_bound" if self.chat.max_tokens is None else "max_tokens"
            try:
                output = self._output(self.chat, offer, tokens, holds, is_streamed=False)
            except ContextLengthExceeded as error:
                return Counted({}, tokens, source, 0, output_source, error.message)
        counts = token_counts(input_tokens=tokens, output_tokens=output, cached_tokens=cached)
        return Counted(counts, tokens, source, output, output_source)

    def hold(self, offer: Offer | None, found: Quote, holds: HoldPolicy, now: int) -> int:
        """Nano-USD that one request would reserve: for a chat body what the road would hold for it first."""
        prices = None if offer is None else offer.price_list(now)
        if self.chat is None or offer is None or prices is None:
            return found.hold_nano
        bound = self._bound(self.chat, offer)
        output = self._output(self.chat, offer, bound.tokens, holds, is_streamed=self.chat.stream)
        return worst_case(
            prices, found.margin_bps, input_tokens=bound.tokens, output_tokens=output, extra_units=bound.extra_units
        )

    def _bound(self, chat: ChatRequest, offer: Offer) -> InputBound:
        kind = _kind(offer)
        if kind not in self._bounds:
            self._bounds[kind] = bound_input(chat, offer.tokenizer)
        return self._bounds[kind]

    def _output(self, chat: ChatRequest, offer: Offer, tokens: int, holds: HoldPolicy, *, is_streamed: bool) -> int:
        return bound_output(
            chat.max_tokens,
            offer,
            tokens,
            default_max_output=holds.default_max_output_tokens,
            rolling_step=holds.rolling_step_tokens,
            stream=is_streamed,
            choices=chat.choices,
        ).hold_tokens


def _kind(offer: Offer) -> tuple[str, bool]:
    """What a count of the same prompt depends on."""
    return offer.tokenizer, TILE_FACTOR_MODEL in offer.model


def read_estimation(body: bytes, bytes_max: int) -> Question:
    """What `POST /v1/estimate` is asked. Raises InvalidJSON, InvalidField."""
    fields = _fields(body)
    if "messages" in fields:
        extras = _taken(ChatExtras, fields)
        chat = read_chat(msgspec.json.encode(fields), bytes_max)
        return Question(extras.requests, chat.model, chat=chat, extras=extras)
    asked = checked(Estimation, body)
    if (asked.model is None) == (asked.prices is None):
        raise InvalidField("send either `model` or `prices`", param="model")
    if asked.prices is None and asked.margin_bps:
        raise InvalidField("`margin_bps` goes with `prices`; a model has its own margin", param="margin_bps")
    prices = None if asked.prices is None else _price_list(asked.prices)
    stated = _stated(asked)
    return Question(asked.requests, asked.model or "", stated=stated, prices=prices, margin_bps=asked.margin_bps)


def read_comparison(body: bytes, bytes_max: int) -> tuple[Question, Selection]:
    """What `POST /v1/compare` is asked. Raises InvalidJSON, InvalidField."""
    fields = _fields(body)
    if "messages" not in fields:
        asked = checked(Comparison, body)
        return Question(asked.requests, stated=_stated(asked)), asked
    wanted, extras = _taken(Selection, fields), _taken(ChatExtras, fields)
    # The models to compare come from `models`; one that stands in `model` as in any chat body is only the first name.
    fields.setdefault("model", msgspec.Raw(b'"compared"'))
    return Question(extras.requests, chat=read_chat(msgspec.json.encode(fields), bytes_max), extras=extras), wanted


def _fields(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJSON(f"the body is not a JSON object: {error}") from None


def _taken(shape: type[Shape], fields: dict[str, msgspec.Raw]) -> Shape:
    """The fields of `shape`, taken out of a body."""
    own = {name: fields.pop(name) for name in shape.model_fields if name in fields}
    return checked(shape, msgspec.json.encode(own))


def _stated(asked: Counts) -> Counted:
    try:
        counts = token_counts(
            input_tokens=asked.input_tokens,
            output_tokens=asked.output_tokens,
            cached_tokens=asked.cached_tokens,
            reasoning_tokens=asked.reasoning_tokens,
        )
    except ValueError as error:
        param = "cached_tokens" if asked.cached_tokens > asked.input_tokens else "reasoning_tokens"
        raise InvalidField(str(error), param=param) from None
    return Counted(counts, asked.input_tokens, "given", asked.output_tokens, "given")


def _price_list(asked: OwnPrices) -> PriceList:
    prices = dict[Unit, PicoUSD]()
    for name, text in asked.model_dump(exclude_none=True).items():
        try:
            price = parse_pico(text) if name in _PER_CALL else parse_per_million(text)
        except NotAnAmount as error:
            raise InvalidField(f"`prices.{name}`: {error}", param=f"prices.{name}") from None
        prices[BY_NAME[name].unit] = price
    return PriceList("your prices", 0, prices)
