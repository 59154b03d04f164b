"""Stop 4, estimate: the worst case of a request in tokens, before anything is sent (money.md R6, R6b).

What goes in is bounded from the caller's own bytes: exactly counted where we have the vocabulary, estimated where not,
and never above UTF-8 bytes + 8 per message. What comes out is bounded by what we send as `max_tokens`. A bound is too
high on purpose; nobody is refused because of one, so it carries beside it what the prompt has at least.

Chat overhead: 3 tokens per message, its role, and 3 to prime the reply are the published figures for every chat model
since 2023 (https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken, read 2026-11-24), with 1 for a name.
The same page has 7 to 12 per function, plus 12; definitions are rendered shorter than the JSON that is counted here.
"""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from tollway.catalogue.offers import Offer
from tollway.catalogue.units import CACHE_WRITE_1H, OUTPUT_AUDIO, OUTPUT_IMAGE, Unit
from tollway.errors import ContextLengthExceeded
from tollway.jsontypes import JSON
from tollway.metering.media import TILE_FACTOR_MODEL, bound_media
from tollway.metering.tokens import EXACT_LENGTH_MAX, count_bound, is_exact, upper_bound_bytes, utf8_length
from tollway.metering.usage import UsageSource
from tollway.request import ChatRequest

Tree: TypeAlias = "JSON | list[dict[str, JSON]]"

PER_MESSAGE = 4
PER_NAME = 1
PER_CALL = 8
PER_PART = 1
REPLY_PRIMER = 3
PER_FUNCTION = 12
TOOLS_PREAMBLE = 12

_MESSAGE_ENVELOPE, _PART_ENVELOPE, _CALL_ENVELOPE = 44, 48, 80
"""Bytes of JSON around each message, content part and tool call: `{"role":"assistant","content":""},` and the like."""
_NOT_PROMPT = frozenset({
    "messages", "audio", "best_of", "frequency_penalty", "function_call", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "metadata", "min_p", "modalities", "n", "parallel_tool_calls",
    "presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning", "reasoning_effort",
    "repetition_penalty", "safety_identifier", "seed", "service_tier", "stop", "store", "stream_options",
    "temperature", "thinking", "tool_choice", "top_a", "top_k", "top_logprobs", "top_p", "user", "verbosity",
    "web_search_options",
})  # fmt: skip
"""Top-level fields that put no text before the model. Any other counts, known to us or not."""
_READ_MEMBERS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "cache_control"})


class InputBound(msgspec.Struct, frozen=True, gc=False):
    """How many input tokens a request can come to.

    tokens: upper bound. source: `tokenizer` when the text was counted exactly, else `heuristic`.
    extra_units: what it can cause beyond text tokens, for `rating.worst_case`.
    least: tokens of the message texts alone, with nothing added: what a refusal may rest on.
    """

    tokens: int
    source: UsageSource
    extra_units: tuple[Unit, ...] = ()
    least: int = 0


class OutputBound(msgspec.Struct, frozen=True, gc=False):
    """How many output tokens a request is held for, over all choices.

    send_max_tokens: per choice, to be sent upstream so that the provider cannot exceed the hold; None sends none.
    is_rolling: a stream that is held in steps (R6b).
    """

    hold_tokens: int
    send_max_tokens: int | None
    is_rolling: bool

    def cut_to(self, hold_tokens: int, send_max_tokens: int) -> "OutputBound":
        """The same request with fewer tokens, all of them held: what a small wallet affords (R6b)."""
        return OutputBound(hold_tokens, send_max_tokens, is_rolling=False)


class _Prompt:
    """What has been found in one request.

    texts: of messages, certain to be read. extras: strings that a provider may put before the model. overhead, media:
    tokens. skipped: bytes of the body that are media or JSON's own, no text.
    """

    __slots__ = ("characters", "extras", "media", "overhead", "skipped", "text_bytes", "texts", "units")

    def __init__(self, messages: int) -> None:
        self.texts = list[str]()
        self.extras = list[str]()
        self.characters = self.text_bytes = self.media = 0
        self.overhead = REPLY_PRIMER + PER_MESSAGE * messages
        self.skipped = _MESSAGE_ENVELOPE * messages
        self.units: tuple[Unit, ...] = ()

    def add(self, text: str) -> None:
        self.texts.append(text)
        self.characters += len(text)
        self.text_bytes += utf8_length(text)

    def add_extra(self, value: Tree) -> None:
        for text in _strings(value):
            self.extras.append(text)
            self.characters += len(text)
            self.text_bytes += utf8_length(text)

    def add_unit(self, unit: Unit) -> None:
        if unit not in self.units:
            self.units = (*self.units, unit)


def bound_input(chat: ChatRequest, tokenizer: str, context_tokens: int = 0) -> InputBound:
    """The most input tokens that a request can come to; linear in its text, and never slow.

    Counts message texts, names, content parts, tool calls, tool definitions, response schemas, and every member or
    field that we do not know. Media have fixed bounds (metering/media.py). Above tokens.EXACT_LENGTH_MAX characters the
    text is sampled.

    Args:
        chat: the request.
        tokenizer: the offer's vocabulary, "" when there is none.
        context_tokens: the offer's context, 0 when unknown: a provider takes, and bills, no more.
    """
    return _bound_plain(chat, tokenizer, context_tokens) or _bound_any(chat, tokenizer, context_tokens)


def _bound_plain(chat: ChatRequest, tokenizer: str, context_tokens: int) -> InputBound | None:
    """The bound of an ordinary request - short texts, nothing beside them - in one pass; None for any other."""
    fields = chat.fields
    if not _NOT_PROMPT.issuperset(fields) or "modalities" in fields:
        return None
    texts = list[str]()
    characters = text_bytes = 0
    for message in chat.messages:
        text = message.content
        if not isinstance(text, str) or message.name or message.tool_calls or message.tool_call_id:
            return None
        texts.append(text)
        characters += len(text)
        text_bytes += utf8_length(text)
    count = len(texts)
    raw = fields.get("messages")
    if raw is not None:
        body = bytes(raw)
        if len(body) > text_bytes * 9 // 8 + _MESSAGE_ENVELOPE * count or b'"cache_control"' in body:
            return None
    if characters > EXACT_LENGTH_MAX:
        return None
    tokens, least, source = count_bound(texts, tokenizer, is_long=False)
    tokens = min(tokens + REPLY_PRIMER + PER_MESSAGE * count, upper_bound_bytes(text_bytes, count))
    if 0 < context_tokens < tokens:
        tokens = max(context_tokens, least)
    return InputBound(tokens, source, (), least)


def _bound_any(chat: ChatRequest, tokenizer: str, context_tokens: int) -> InputBound:
    messages = chat.messages
    prompt = _Prompt(len(messages))
    for message in messages:
        content = message.content
        if isinstance(content, str):
            prompt.add(content)
        elif content:
            prompt.overhead += PER_PART * len(content)
            prompt.skipped += _PART_ENVELOPE * len(content)
            _add_parts(prompt, content, chat, tokenizer)
        if message.name:
            prompt.add_extra(message.name)
            prompt.overhead += PER_NAME
        if message.tool_calls:
            prompt.add_extra(message.tool_calls)
            prompt.overhead += PER_CALL * len(message.tool_calls)
            prompt.skipped += _CALL_ENVELOPE * len(message.tool_calls)
        if message.tool_call_id:
            prompt.add_extra(message.tool_call_id)
    _read_fields(prompt, chat)

    is_long = prompt.characters > EXACT_LENGTH_MAX
    tokens, least, source = count_bound(prompt.texts, tokenizer, is_long=is_long)
    if prompt.extras:
        tokens += count_bound(prompt.extras, tokenizer, is_long=is_long)[0]
    tokens = min(tokens + prompt.overhead, upper_bound_bytes(prompt.text_bytes, len(messages))) + prompt.media
    if 0 < context_tokens < tokens:
        tokens = max(context_tokens, least)
    return InputBound(tokens, source, prompt.units, least)


def _add_parts(prompt: _Prompt, parts: list[dict[str, JSON]], chat: ChatRequest, tokenizer: str) -> None:
    has_tile_factor = any(TILE_FACTOR_MODEL in name for name in (chat.model, *chat.models))
    for part in parts:
        text = part.get("text")
        if isinstance(text, str):
            prompt.add(text)
            continue
        bound = bound_media(part, has_detail=is_exact(tokenizer), has_tile_factor=has_tile_factor)
        if bound is None:
            prompt.add_extra(part)
            continue
        tokens, unit = bound
        prompt.media += tokens
        prompt.skipped += sum(map(len, _strings(part)))
        if unit is not None:
            prompt.add_unit(unit)


def _strings(value: Tree) -> Iterable[str]:
    stack: list[Tree] = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            stack.extend(one)
        elif isinstance(one, dict):
            stack.extend(one.values())


def _read_fields(prompt: _Prompt, chat: ChatRequest) -> None:
    fields = chat.fields
    raw = fields.get("messages")
    if raw is not None:
        body = bytes(raw)
        # Escapes make JSON longer than its text; what is longer still says something that `Message` did not read.
        if len(body) > prompt.text_bytes * 9 // 8 + prompt.skipped:
            _add_unread(prompt, body)
        if b'"1h"' in body and b'"cache_control"' in body:
            prompt.add_unit(CACHE_WRITE_1H)
    for name, value in fields.items():
        if name not in _NOT_PROMPT:
            _add_field(prompt, name, bytes(value))
    modalities = fields.get("modalities")
    if modalities is not None:
        asked = bytes(modalities)
        if b'"audio"' in asked:
            prompt.add_unit(OUTPUT_AUDIO)
        if b'"image"' in asked:
            prompt.add_unit(OUTPUT_IMAGE)


def _add_field(prompt: _Prompt, name: str, raw: bytes) -> None:
    if b"\\u" in raw:
        # Escaped characters would count six times over.
        raw = msgspec.json.encode(msgspec.json.decode(raw))
    prompt.add_extra(raw.decode("utf-8", "replace"))
    if name in {"tools", "functions"}:
        prompt.overhead += TOOLS_PREAMBLE + PER_FUNCTION * raw.count(b'"name"')
    if b'"1h"' in raw:
        prompt.add_unit(CACHE_WRITE_1H)


def _add_unread(prompt: _Prompt, body: bytes) -> None:
    """Count what members that `Message` does not have say, such as the thinking of earlier turns."""
    messages: list[dict[str, JSON]] = msgspec.json.decode(body)
    for message in messages:
        for name, value in message.items():
            if name not in _READ_MEMBERS:
                prompt.add_extra(value)


def bound_output(
    max_tokens: int | None,
    offer: Offer,
    input_tokens: int,
    *,
    default_max_output: int,
    rolling_step: int,
    stream: bool,
    choices: int = 1,
    least_input: int | None = None,
) -> OutputBound:
    """The output tokens to hold and the bound to send (R6, R6b).

    Named by the caller: the least of that, the model's own limit and what the context leaves. Not named: a stream is
    held in steps and sends no bound; a whole answer gets the least of the model's limit, `default_max_output` and the
    rest of the context.

    Args:
        max_tokens: what the caller named, None if nothing.
        offer: where it goes; its limits are 0 where unknown.
        input_tokens: upper bound of the input.
        default_max_output: tokens per choice of a whole answer that names no bound.
        rolling_step: tokens per choice that a stream is held for at first.
        stream: the answer is streamed.
        choices: `n`.
        least_input: InputBound.least; when not given, the bound without the estimate's factor of 1.35.

    Raises:
        ContextLengthExceeded: even the least input leaves no room in the context.
    """
    limit = _limit(offer, input_tokens * 100 // 135 if least_input is None else least_input)
    if max_tokens is not None:
        each = max_tokens if limit is None else min(max_tokens, limit)
        return OutputBound(each * choices, each, is_rolling=False)
    if stream and (limit is None or limit > rolling_step):
        return OutputBound(rolling_step * choices, None, is_rolling=True)
    each = rolling_step if stream else default_max_output
    if limit is not None and limit < each:
        each = limit
    if 0 < offer.context_tokens - input_tokens < each:
        # Nobody named this number, so it may as well fit when the input is as long as it can be.
        each = offer.context_tokens - input_tokens
    return OutputBound(each * choices, each, is_rolling=False)


def _limit(offer: Offer, least_input: int) -> int | None:
    """The most output of one choice that the offer can give, None when nothing is known of it."""
    limit = offer.max_output_tokens or None
    if not offer.context_tokens:
        return limit
    left = offer.context_tokens - least_input
    if left < 1:
        raise ContextLengthExceeded(
            f"the prompt has at least {least_input} tokens; the context of {offer.model} is {offer.context_tokens}",
            param="messages",
            context_tokens=offer.context_tokens,
            prompt_tokens=least_input,
        )
    return left if limit is None else min(limit, left)
