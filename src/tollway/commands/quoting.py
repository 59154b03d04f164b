"""What `estimate` and `compare` share: the options that say what is to be priced, and the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO, TypedDict, TypeVar

import click

from tollway.catalogue.offers import Catalogue, Model, Offer
from tollway.catalogue.units import BY_NAME, Unit
from tollway.commands.table import grouped
from tollway.errors import ModelNotFound
from tollway.metering.estimate import PER_MESSAGE, REPLY_PRIMER
from tollway.metering.quote import OfferQuote, by_cost, offer_quote, token_counts
from tollway.metering.tokens import count
from tollway.metering.usage import UsageSource
from tollway.money.amount import format_per_million, format_pico
from tollway.routing.nearest import nearest

Command = TypeVar("Command", bound=Callable[..., Any])
_TOKENS = click.IntRange(0, 10**12)

_OPTIONS = (
    click.option("--input", "input_tokens", type=_TOKENS, metavar="N", help="Input tokens of one request."),
    click.option("--prompt", metavar="TEXT", help="Count the input tokens of this text instead."),
    click.option(
        "--file", type=click.File(encoding="utf-8"), metavar="FILE", help="Count those of a file; - is stdin."
    ),
    click.option("--output", "output_tokens", type=_TOKENS, required=True, metavar="N", help="Output tokens of one."),
    click.option("--cached", "cached_tokens", type=_TOKENS, default=0, metavar="N", help="Of the input: cache reads."),
    click.option(
        "--reasoning", "reasoning_tokens", type=_TOKENS, default=0, metavar="N", help="Of the output: thinking."
    ),
    click.option("--requests", type=click.IntRange(1, 10**12), default=1, metavar="N", help="How many.  [default: 1]"),
)


class CountOptions(TypedDict):
    """The options of `count_options`, as click hands them over."""

    input_tokens: int | None
    prompt: str | None
    file: TextIO | None
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    requests: int


def count_options(command: Command) -> Command:
    """Give a command the options that say what is to be priced; see `asked`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be priced, tokens per request; `input_tokens` is None where `prompt` is counted instead."""

    input_tokens: int | None
    prompt: str
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    requests: int

    def input(self, tokenizer: str) -> tuple[int, str]:
        """(input tokens of one request, how they were counted; "" where they were given)."""
        if self.input_tokens is not None:
            return self.input_tokens, ""
        tokens, source = count(self.prompt, tokenizer)
        how = f"counted with {tokenizer}" if source is UsageSource.TOKENIZER else "estimated"
        return tokens + PER_MESSAGE + REPLY_PRIMER, f"{how}, with the frame of one message"

    def counts(self, tokenizer: str) -> dict[Unit, int]:
        """Disjoint counts per unit of one request. Raises UsageError: a part is larger than its whole."""
        try:
            return token_counts(
                input_tokens=self.input(tokenizer)[0],
                output_tokens=self.output_tokens,
                cached_tokens=self.cached_tokens,
                reasoning_tokens=self.reasoning_tokens,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    def told(self, tokenizer: str = "") -> str:
        """The question in words; with the tokenizer named, the prompt is counted with it."""
        one = "1 request" if self.requests == 1 else f"{grouped(self.requests)} requests"
        tokens, how = self.input(tokenizer)
        cached = f" ({grouped(self.cached_tokens)} cached)" if self.cached_tokens else ""
        thinking = f" ({grouped(self.reasoning_tokens)} thinking)" if self.reasoning_tokens else ""
        output = f"{grouped(self.output_tokens)} output tokens{thinking}"
        return f"{one} of {grouped(tokens)} input{cached} and {output}{f' (input {how})' if how else ''}"


def asked(options: CountOptions) -> Asked:
    """The question of these options. Raises UsageError: not exactly one of --input, --prompt and --file."""
    given = [name for name in ("input_tokens", "prompt", "file") if options[name] is not None]
    if len(given) != 1:
        raise click.UsageError("say how long the prompt is with one of --input N, --prompt TEXT and --file FILE")
    file = options["file"]
    try:
        prompt = options["prompt"] or (file.read() if file else "")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the file is not UTF-8 text: byte {error.start}") from None
    return Asked(
        input_tokens=options["input_tokens"],
        prompt=prompt,
        output_tokens=options["output_tokens"],
        cached_tokens=options["cached_tokens"],
        reasoning_tokens=options["reasoning_tokens"],
        requests=options["requests"],
    )


def model_of(catalogue: Catalogue, name: str) -> Model:
    """The model of that name. Raises ModelNotFound with the nearest names."""
    model = catalogue.find(name)
    if model is None:
        near = nearest(catalogue, name)
        hint = f"did you mean {' or '.join(near)}?" if near else "`tollway prices list` has them all"
        raise ModelNotFound(f"there is no model `{name}`; {hint}")
    return model


def quoted(model: Model, question: Asked, when: int, margin_bps: int) -> tuple[OfferQuote, ...]:
    """Every offer of a model with its quote, cheapest first; each counts the prompt with its own vocabulary."""
    return by_cost(
        offer_quote(offer, when, margin_bps, counts=question.counts(offer.tokenizer), requests=question.requests)
        for offer in model.offers
    )


def price_of(unit: Unit, price_pico: int) -> str:
    """A price as people say it: USD per million tokens, or per call."""
    return format_pico(price_pico) if BY_NAME[unit].side == "call" else format_per_million(price_pico)


def standing(offer: Offer) -> str:
    """Whether an offer can be called now; "" if it can."""
    return "" if offer.provider.is_usable else "no key"
