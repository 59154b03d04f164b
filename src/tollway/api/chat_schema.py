"""`POST /v1/chat/completions` as JSON schema, by hand: the hot endpoint has no model that a framework could read."""

from typing import Any

_MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "examples": ["user"]},
        "content": {
            "description": "Text, or parts: text, image_url, input_audio, file.",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "object", "additionalProperties": True}},
                {"type": "null"},
            ],
        },
        "name": {"type": ["string", "null"]},
        "tool_calls": {
            "anyOf": [{"type": "array", "items": {"type": "object", "additionalProperties": True}}, {"type": "null"}]
        },
        "tool_call_id": {"type": ["string", "null"]},
    },
    "additionalProperties": True,
}
_PROVIDER: dict[str, Any] = {
    "type": "object",
    "description": "Which providers may answer, and in which order.",
    "properties": {
        "order": {"type": "array", "items": {"type": "string"}},
        "only": {"type": "array", "items": {"type": "string"}},
        "ignore": {"type": "array", "items": {"type": "string"}},
        "allow_fallbacks": {"type": "boolean", "default": True},
        "sort": {"enum": ["price", "throughput", "latency", None]},
        "require_parameters": {"type": "boolean", "default": False},
        "region": {"type": ["string", "null"]},
        "max_price": {
            "type": ["object", "null"],
            "description": "USD per million tokens, as text or number: `prompt`, `completion`; USD per `request`.",
            "additionalProperties": True,
        },
    },
    "additionalProperties": True,
}
_BOUND: dict[str, Any] = {"type": ["integer", "null"], "minimum": 1}
_REQUEST: dict[str, Any] = {
    "type": "object",
    "description": "The OpenAI shape. Fields that are not listed here travel to the provider as they are.",
    "required": ["model", "messages"],
    "properties": {
        "model": {
            "type": "string",
            "description": "An id or alias of `GET /v1/models`, `auto`, `auto:<tier>`, or `@preset/name`.",
            "examples": ["openai/gpt-4o"],
        },
        "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/ChatMessage"}},
        "stream": {"type": ["boolean", "null"], "description": "Answer with server-sent events."},
        "stream_options": {
            "type": ["object", "null"],
            "properties": {"include_usage": {"type": ["boolean", "null"]}},
        },
        "max_tokens": {**_BOUND, "description": "Held for exactly this, or refused with 402."},
        "max_completion_tokens": {**_BOUND, "description": "Another name of `max_tokens`."},
        "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
        "models": {
            "type": ["array", "null"],
            "maxItems": 16,
            "items": {"type": "string"},
            "description": "Tried in order when `model` fails.",
        },
        "provider": {"anyOf": [{"$ref": "#/components/schemas/ChatProvider"}, {"type": "null"}]},
        "tier": {"type": ["string", "null"], "description": "Pins a tier: nano, simple, light, standard, complex."},
        "tier_floor": {"type": ["string", "null"]},
        "tier_ceiling": {"type": ["string", "null"]},
        "profile": {"type": ["string", "null"], "description": "A routing profile, by id or name."},
        "preset": {"type": "string", "description": "A preset of the workspace, `name` or `name@version`."},
        "user_id": {"type": ["string", "null"], "maxLength": 256, "description": "Your end user, for `/v1/usage`."},
        "metadata": {
            "type": ["object", "null"],
            "maxProperties": 16,
            "additionalProperties": {"type": "string"},
            "description": "Kept with the receipt.",
        },
        "max_price": {
            "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}],
            "description": "USD for the whole request; a dearer worst case is refused.",
        },
        "tools": {"type": ["array", "null"], "items": {"type": "object", "additionalProperties": True}},
        "temperature": {"type": ["number", "null"]},
        "top_p": {"type": ["number", "null"]},
        "stop": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
    },
    "additionalProperties": True,
}
_USAGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prompt_tokens": {"type": "integer"},
        "completion_tokens": {"type": "integer"},
        "total_tokens": {"type": "integer"},
        "prompt_tokens_details": {"type": ["object", "null"], "additionalProperties": True},
        "completion_tokens_details": {"type": ["object", "null"], "additionalProperties": True},
        "cost": {"type": "number", "description": "What was charged, exact USD."},
    },
    "additionalProperties": True,
}
_EXTENSION: dict[str, Any] = {
    "type": "object",
    "description": "What Tollway adds: on a stream it rides on the last chunk, with `usage`.",
    "properties": {
        "generation_id": {"type": "string", "description": "Its receipt is `GET /v1/generations/{id}`."},
        "model": {"type": "string"},
        "provider": {"type": "string"},
        "cost_usd": {"type": "string", "description": "What was charged, exact."},
        "margin_bps": {"type": "integer"},
        "usage_source": {"type": "string", "enum": ["provider", "provider_partial", "tokenizer", "heuristic", ""]},
        "fallback_used": {"type": "boolean"},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "method": {"type": "string", "enum": ["direct", "model", "rules", "tier"]},
        "tier": {"type": ["string", "null"]},
        "profile": {"type": ["string", "null"]},
        "confidence": {"type": ["number", "null"]},
        "savings_pct": {"type": ["number", "null"]},
        "baseline_model": {"type": ["string", "null"]},
    },
    "additionalProperties": True,
}
_REPLY: dict[str, Any] = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices"],
    "properties": {
        "id": {"type": "string"},
        "object": {"type": "string", "enum": ["chat.completion"]},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "choices": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        "usage": {"$ref": "#/components/schemas/ChatUsage"},
        "tollway": {"$ref": "#/components/schemas/ChatExtension"},
    },
    "additionalProperties": True,
}

CHAT_SCHEMAS: dict[str, Any] = {
    "ChatMessage": _MESSAGE,
    "ChatProvider": _PROVIDER,
    "ChatRequest": _REQUEST,
    "ChatReply": _REPLY,
    "ChatUsage": _USAGE,
    "ChatExtension": _EXTENSION,
}
CHAT_OPERATION: dict[str, Any] = {
    "tags": ["chat"],
    "operationId": "create_chat_completion",
    "summary": "Chat completion",
    "description": "Priced, held for its worst case, answered, charged once for what was used, explained by a receipt.",
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "The same key and body give the stored reply; another body gives 422.",
        }
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatRequest"}}},
    },
    "responses": {
        "200": {
            "description": "The answer; with `stream`, server-sent events that end with `data: [DONE]`.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/ChatReply"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        }
    },
}
