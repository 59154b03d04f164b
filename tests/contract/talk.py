"""What the contract tests say to the gateway through the official SDK, and how they hear a stream."""

import json
from collections.abc import Iterable
from typing import Any

import openai
import pydantic

from support.gateway import Gateway
from support.upstreams import Upstream, http_post

AIMOCK = {
    "openai": "openai/gpt-4o",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "google/gemini-2.5-flash",
}
"""Dialect -> a model of the catalogue; in these tests its provider is the simulator aimock."""
LLMOCK = {
    "openai": "llmock-openai/gpt-4o",
    "anthropic": "llmock-anthropic/claude-sonnet-4-5",
    "gemini": "llmock-gemini/gemini-2.5-flash",
}
"""Dialect -> a model at a provider of the operator's own: the simulator llmock."""
LOCAL = "local/smollm2-135m"

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PERSON: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name", "age"],
            "additionalProperties": False,
        },
    },
}


class Person(pydantic.BaseModel):
    """What `Answer as JSON` asks for."""

    name: str
    age: int


def ask(text: str) -> Any:
    """The messages of one question."""
    return [{"role": "user", "content": text}]


def heal(house: Gateway) -> None:
    """Every offer of the gateway counts as well again."""
    status, answer, _ = house.ask("DELETE", "/admin/offers/health", key=house.admin)
    assert status == 200, answer


def client(gateway: Gateway, key: str | None = None, **more: Any) -> openai.OpenAI:
    """The official client; it repeats nothing unless told to. To be closed."""
    settings = {"max_retries": 0, "timeout": 60, **more}
    return openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key if key is None else key, **settings)


def async_client(gateway: Gateway) -> openai.AsyncOpenAI:
    """As `client`."""
    return openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0, timeout=60)


def heard(stream: Iterable[Any]) -> tuple[str, Any]:
    """(text, last chunk) of a stream, read by the loop that every tutorial shows."""
    text, last = "", None
    for chunk in stream:
        text += chunk.choices[0].delta.content or ""
        last = chunk
    return text, last


def helped(manager: Any) -> tuple[Any, Any]:
    """(the completion, the last chunk) of the SDK's own stream helper, which keeps no field that it does not know."""
    last = None
    with manager as stream:
        for event in stream:
            last = event.chunk if event.type == "chunk" else last
        return stream.get_final_completion(), last


def llmock_reports(upstream: Upstream, dialect: str, text: str) -> tuple[int, int]:
    """(prompt, completion) tokens that llmock reports for this question when asked without a gateway; it always says
    the same to the same."""
    model = LLMOCK[dialect].rpartition("/")[2]
    path, body = {
        "openai": ("/v1/chat/completions", {"model": model, "messages": ask(text)}),
        "anthropic": ("/anthropic/v1/messages", {"model": model, "max_tokens": 500, "messages": ask(text)}),
        "gemini": (
            f"/gemini/v1beta/models/{model}:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": text}]}]},
        ),
    }[dialect]
    status, reply = http_post(f"{upstream.url}{path}", json.dumps(body).encode())
    assert status == 200, reply
    said = json.loads(reply)
    usage = said.get("usage") or said["usageMetadata"]
    names = {"openai": ("prompt", "completion"), "anthropic": ("input", "output")}.get(dialect)
    if names is None:
        return usage["promptTokenCount"], usage["candidatesTokenCount"]
    return usage[f"{names[0]}_tokens"], usage[f"{names[1]}_tokens"]
