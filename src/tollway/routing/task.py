"""Pipeline step 1, read: a chat request becomes a `Task`, once; nothing after it looks at the request again.

What matters stands at the two ends of a prompt - the instruction before or after what it is about - so at most the first
1,500 and last 500 characters are read. Words are looked up in one table (`words.py`), so that reading takes the time of
splitting, about 40 us at 500 characters.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tollway.jsontypes import JSON
from tollway.request import ChatRequest, Message
from tollway.routing.tiers import Tier, higher, tier_of
from tollway.routing.verdict import Task
from tollway.routing.words import INSIDE, STEM, tables

HEAD, TAIL = 1_500, 500
OUTPUT_SHORT, OUTPUT_USUAL, OUTPUT_LONG = 150, 500, 1_500
"""Tokens that an answer is expected to have where the caller bounds none."""
LONG_HISTORY_TURNS = 12
LONG_HISTORY_CHARACTERS = 12_000
_NEEDED_BY_PART = {
    "image_url": "vision", "input_image": "vision", "image": "vision", "input_audio": "audio", "audio": "audio",
    "file": "file", "input_file": "file", "document": "file", "video_url": "video", "input_video": "video",
}  # fmt: skip
_SCRIPTS: tuple[tuple[str, str], ...] = (
    ("cyrillic", "Ѐ-ӿ"), ("greek", "Ͱ-Ͽ"), ("arabic", "؀-ۿ"), ("hebrew", "֐-׿"),
    ("devanagari", "ऀ-ॿ"), ("thai", "฀-๿"), ("kana", "぀-ヿ"), ("hangul", "가-힯"),
    ("han", "一-鿿"),
)  # fmt: skip
_SCRIPT = re.compile("|".join(f"(?P<{name}>[{span}])" for name, span in _SCRIPTS))
_HAN = re.compile("[぀-ヿ一-鿿가-힯]")
_WORD = re.compile(r"[^\W_][\w+.;'-]*[\w+]|[^\W_]")
_CODE_LINE = re.compile(
    r"^\s*(?:def |class |import |from \w+ import|#include|public |const |let |var |fn |SELECT\b|\}|</?\w+>)|[;{]\s*$|=>|\(\)|::",
    re.MULTILINE,
)
_STEP_LINE = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•])\s", re.MULTILINE)
_FORMULA = re.compile(r"\\(?:frac|sum|int|sqrt|begin|mathbb)|\$[^$\n]{1,80}\$|[∑∫√∂∀∃≤≥≠∈⊂⇒π∞]|\d\s*[\^*/=]\s*[\dx(]")
_WHOLE, _BEGUN = tables()
_FULL = 3.0
"""So many words of a kind make its marker 1."""


def read_task(chat: ChatRequest, input_tokens: int, history_floor: Tier | str = "") -> Task:
    """The task of a request.

    Args:
        chat: the request.
        input_tokens: estimate of the whole prompt.
        history_floor: the tier that earlier turns of this conversation had, if somebody remembers it.
    """
    messages = chat.messages
    last = _last_asked(messages)
    text = cut(_text(messages[last]))
    context = cut("\n".join(filter(None, (_text(one) for at, one in enumerate(messages) if at != last))))
    markers = read_markers(text)
    tools = _tools(chat)
    called = any(one.role in {"tool", "function"} or one.tool_calls for one in messages)
    characters = sum(_length(one) for one in messages)
    turns = sum(one.role in {"user", "assistant"} for one in messages)
    return Task(
        text=text,
        context=context,
        characters=characters,
        input_tokens=input_tokens,
        output_tokens=_output_tokens(chat, markers),
        needs=_needs(chat, tools),
        markers=markers,
        scripts=read_scripts(text),
        tools=tools,
        turns=max(turns, 1),
        is_agentic=any(one.role in {"tool", "function"} for one in messages),
        history_floor=_history_floor(context, turns, characters, history_floor, called=called),
    )


def cut(text: str) -> str:
    """The first 1,500 and the last 500 characters of a text."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def read_markers(text: str) -> dict[str, float]:
    """Name -> strength in (0, 1] of what a text shows; absent what it does not."""
    counts = dict[str, float]()
    add = counts.get
    low = text.lower()
    for word in _WORD.findall(low):
        for marker in _WHOLE.get(word, ()):
            counts[marker] = add(marker, 0.0) + 1.0
        for stem, marker in _BEGUN.get(word[:STEM], ()):
            if word.startswith(stem):
                counts[marker] = add(marker, 0.0) + 1.0
    if not text.isascii() and _HAN.search(text):
        for marker, words in INSIDE.items():
            if found := sum(word in text for word in words):
                counts[marker] = add(marker, 0.0) + 1.5 * found
    fences, lines = text.count("```"), len(_CODE_LINE.findall(text))
    if fences or lines:
        counts["code"] = add("code", 0.0) + 1.5 * fences + 0.75 * lines
    if fences:
        counts["fence"] = fences * 1.5
    if formulas := len(_FORMULA.findall(text)):
        counts["math"] = add("math", 0.0) + formulas
    if steps := len(_STEP_LINE.findall(text)):
        counts["steps"] = add("steps", 0.0) + 0.75 * steps
    if questions := text.count("?") + text.count("\uff1f") + text.count("\u061f"):
        counts["questions"] = float(questions)
    return {marker: min(count / _FULL, 1.0) for marker, count in counts.items()}


def read_scripts(text: str) -> tuple[str, ...]:
    """The writing systems of a text, `latin` first if there; each counts from its first letter."""
    if text.isascii():
        return ("latin",)
    found = list(dict.fromkeys(one.lastgroup or "" for one in _SCRIPT.finditer(text)))
    has_latin = any("a" <= letter <= "z" or "À" <= letter <= "ɏ" for letter in text.lower())
    return ("latin", *found) if has_latin or not found else tuple(found)


def _last_asked(messages: Sequence[Message]) -> int:
    """The place of the last turn that a person wrote; the last message where there is none."""
    return next((at for at in range(len(messages) - 1, -1, -1) if messages[at].role == "user"), len(messages) - 1)


def _text(message: Message) -> str:
    content = message.content
    return content if isinstance(content, str) else "\n".join(_texts(content or ()))


def _texts(parts: Iterable[Mapping[str, JSON]]) -> Iterator[str]:
    for part in parts:
        text = part.get("text")
        if isinstance(text, str):
            yield text


def _length(message: Message) -> int:
    content = message.content
    return len(content) if isinstance(content, str) else sum(map(len, _texts(content or ())))


def _needs(chat: ChatRequest, tools: int) -> frozenset[str]:
    found = set[str]()
    for message in chat.messages:
        if isinstance(message.content, list):
            for part in message.content:
                need = _NEEDED_BY_PART.get(str(part.get("type")))
                if need is not None:
                    found.add(need)
    if tools:
        found.add("tools")
    form = chat.fields.get("response_format")
    if form is not None and b'"json_schema"' in bytes(form):
        found.add("json_schema")
    return frozenset(found)


def _tools(chat: ChatRequest) -> int:
    """How many tools the model may call."""
    for name in ("tools", "functions"):
        if name in chat.fields:
            value = chat.value(name)
            if isinstance(value, list):
                return len(value)
    return 0


def _output_tokens(chat: ChatRequest, markers: Mapping[str, float]) -> int:
    """How long the answers are expected to be, all choices counted, never above what the caller allows."""
    if "longform" in markers or markers.get("code", 0.0) > 0.5 or "plan" in markers:
        expected = OUTPUT_LONG
    elif not markers.keys() - {"factual", "chat", "questions", "summary", "extract"}:
        expected = OUTPUT_SHORT
    else:
        expected = OUTPUT_USUAL
    if chat.max_tokens is not None:
        expected = min(expected, chat.max_tokens)
    return expected * chat.choices


def _history_floor(context: str, turns: int, characters: int, remembered: Tier | str, *, called: bool) -> Tier | str:
    """The tier below which this conversation must not fall, "" if it is none yet.

    An assistant that has called tools, or has had code or a proof before it, keeps at least `standard`; any long
    conversation keeps `light`; and a tier that is remembered is kept.
    """
    floor: Tier | None = tier_of(remembered) if remembered else None
    needed: Tier | None = None
    if called:
        needed = "standard"
    elif turns > 1:
        earlier = read_markers(context)
        if "fence" in earlier or earlier.get("code", 0.0) >= 1.0 or earlier.get("proof", 0.0) > 0.5:
            needed = "standard"
        elif turns > LONG_HISTORY_TURNS or characters > LONG_HISTORY_CHARACTERS:
            needed = "light"
    if floor is None or needed is None:
        return floor or needed or ""
    return higher(floor, needed)
