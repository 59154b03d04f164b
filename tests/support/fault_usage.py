"""The usage that the fault upstream reports, in three dialects: every number is fixed and listed here.

By behaviour. Numbers are what the provider's documentation would make of the same call; `in` and `out` default to 1234
and 567 and may be told (`input=`, `output=`), the others are fixed.

    behaviour            openai (prompt / completion)       anthropic (input / output)            gemini (prompt / candidates)
    ok                   in / out                           in / out                              in / out
    usage-cached         2006, cached 1920 / 300            86, read 1920 / 300                   2006, cached 1920 / 300
    usage-cache-write    2098 of which cache_write 248,     50, write 248 (5m 148, 1h 100),       as usage-cached
                           cached 1800 / 503                  read 1800 / 503
    usage-reasoning      75 / 1186 of which reasoning 1024  75 / 1186 (thinking is inside)        75 / 162, thoughts 1024
    usage-audio          117 of which audio 100, cached 10  as ok                                 117: text 17, audio 100;
                           / 60 of which audio 40                                                   cached 10 text / 60: text 20, audio 40
    usage-search         as ok                              in / out, web_search_requests 2       in / out, tool-use prompt 33
    no-usage             none                               none                                  none
    usage-zero           0 / 0                              0 / 0                                 0 / 0
    negative-usage       -1234 / -567                       -1234 / -567                          -1234 / -567
    cached-gt-prompt     100, cached 250 / 20               100, write 250 but 5m 200 + 1h 100    100, cached 250 / 20
                                                              / 20
    reasoning-gt-output  75 / 20, reasoning 1024            as ok                                 75 / -, thoughts 1024, total 90
    huge-usage           10**15 / 10**15                    the same                              the same
    text-usage           "1234" / "567"                     the same                              the same
    usage-snapshots      in / growing to out on every       message_delta twice: out // 2,        growing to out on every chunk
                           chunk                              then out                              (as every Gemini stream)
    usage-late           as ok                              as ok, but message_start says 0 / 0   as ok
    usage-told           the document that the test has told by POST /__usage, as it is
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Doc = dict[str, Any]

INPUT, OUTPUT, CHUNKS = 1234, 567, 5
HUGE = 10**15
DIALECTS = ("openai", "anthropic", "gemini")


@dataclass(frozen=True)
class Call:
    """One request as far as the answer depends on it. options: `input`, `output`, `chunks` as told. told: by /__usage."""

    dialect: str
    model: str
    behaviour: str
    is_stream: bool
    wants_usage_chunk: bool = True
    options: Mapping[str, int] = field(default_factory=dict)
    told: Doc | None = None

    @property
    def input(self) -> int:
        return self.options.get("input", INPUT)

    @property
    def output(self) -> int:
        return self.options.get("output", OUTPUT)

    @property
    def chunks(self) -> int:
        return self.options.get("chunks", CHUNKS)


def usage_of(call: Call) -> Doc | None:
    """The usage document of the table above, complete, in the dialect's own shape."""
    if call.behaviour == "usage-told":
        return call.told
    return _USAGE[call.dialect](call)


def _openai_usage(call: Call) -> Doc | None:
    behaviour = call.behaviour
    if behaviour == "text-usage":
        return {"prompt_tokens": "1234", "completion_tokens": "567", "total_tokens": "1801"}
    prompt, completion, prompt_details, completion_details = {
        "usage-cached": (2006, 300, {"cached_tokens": 1920}, {}),
        "usage-cache-write": (2098, 503, {"cached_tokens": 1800, "cache_write_tokens": 248}, {}),
        "usage-reasoning": (75, 1186, {}, {"reasoning_tokens": 1024}),
        "usage-audio": (117, 60, {"audio_tokens": 100, "cached_tokens": 10}, {"audio_tokens": 40}),
        "usage-zero": (0, 0, {}, {}),
        "negative-usage": (-INPUT, -OUTPUT, {}, {}),
        "cached-gt-prompt": (100, 20, {"cached_tokens": 250}, {}),
        "reasoning-gt-output": (75, 20, {}, {"reasoning_tokens": 1024}),
        "huge-usage": (HUGE, HUGE, {}, {}),
    }.get(behaviour, (call.input, call.output, {}, {}))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0, **prompt_details},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            **completion_details,
        },
    }


def _anthropic_usage(call: Call) -> Doc | None:
    if call.behaviour == "text-usage":
        return {"input_tokens": "1234", "output_tokens": "567"}
    given, output, read, written, five_minutes, hour = {
        "usage-cached": (86, 300, 1920, 0, 0, 0),
        "usage-cache-write": (50, 503, 1800, 248, 148, 100),
        "usage-reasoning": (75, 1186, 0, 0, 0, 0),
        "usage-zero": (0, 0, 0, 0, 0, 0),
        "negative-usage": (-INPUT, -OUTPUT, 0, 0, 0, 0),
        "cached-gt-prompt": (100, 20, 0, 250, 200, 100),
        "huge-usage": (HUGE, HUGE, 0, 0, 0, 0),
    }.get(call.behaviour, (call.input, call.output, 0, 0, 0, 0))
    usage: Doc = {
        "input_tokens": given,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": five_minutes, "ephemeral_1h_input_tokens": hour},
        "output_tokens": output,
        "service_tier": "standard",
    }
    if call.behaviour == "usage-search":
        usage["server_tool_use"] = {"web_search_requests": 2}
    return usage


def _gemini_usage(call: Call) -> Doc | None:
    if call.behaviour == "text-usage":
        return {"promptTokenCount": "1234", "candidatesTokenCount": "567", "totalTokenCount": "1801"}
    prompt, candidates, extra = {
        "usage-cached": (2006, 300, {"cachedContentTokenCount": 1920}),
        "usage-cache-write": (2006, 300, {"cachedContentTokenCount": 1920}),
        "usage-reasoning": (75, 162, {"thoughtsTokenCount": 1024}),
        "usage-audio": (117, 60, {"cachedContentTokenCount": 10, **_gemini_modalities()}),
        "usage-search": (call.input, call.output, {"toolUsePromptTokenCount": 33}),
        "usage-zero": (0, 0, {}),
        "negative-usage": (-INPUT, -OUTPUT, {}),
        "cached-gt-prompt": (100, 20, {"cachedContentTokenCount": 250}),
        "huge-usage": (HUGE, HUGE, {}),
    }.get(call.behaviour, (call.input, call.output, {}))
    if call.behaviour == "reasoning-gt-output":
        return {"promptTokenCount": 75, "thoughtsTokenCount": 1024, "totalTokenCount": 90}
    total = prompt + candidates + extra.get("thoughtsTokenCount", 0) + extra.get("toolUsePromptTokenCount", 0)
    return {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": total, **extra}


def _gemini_modalities() -> Doc:
    def split(**counts: int) -> list[Doc]:
        return [{"modality": name, "tokenCount": count} for name, count in counts.items()]

    return {
        "promptTokensDetails": split(TEXT=17, AUDIO=100),
        "cacheTokensDetails": split(TEXT=10),
        "candidatesTokensDetails": split(TEXT=20, AUDIO=40),
    }


_USAGE: Mapping[str, Callable[[Call], Doc | None]] = {
    "openai": lambda call: None if call.behaviour == "no-usage" else _openai_usage(call),
    "anthropic": lambda call: None if call.behaviour == "no-usage" else _anthropic_usage(call),
    "gemini": lambda call: None if call.behaviour == "no-usage" else _gemini_usage(call),
}
