"""Answers in the OpenAI shape, as translating dialects make them: whole, and chunk by chunk.

Source: https://platform.openai.com/docs/api-reference/chat (read 2026-11-24).
"""

from tollway.jsontypes import JSON, JSONObject
from tollway.metering.sse import ServerEvent
from tollway.providers.dialect import Failure, FailureKind, UpstreamError, decoded


class Chunks:
    """Makes the chunks of one stream; the first of each choice says the role."""

    __slots__ = ("_created", "_id", "_model", "_started")

    def __init__(self, model: str, answer_id: str, created: int) -> None:
        self._model = model
        self._id = answer_id
        self._created = created
        self._started = set[int]()

    def chunk(
        self, delta: JSONObject, finish_reason: str | None = None, *, choice: int = 0, logprobs: JSON = None
    ) -> JSONObject:
        """A `chat.completion.chunk` of one choice."""
        if choice not in self._started:
            self._started.add(choice)
            delta = {"role": "assistant", **delta}
        said: JSONObject = {"index": choice, "delta": delta, "finish_reason": finish_reason}
        if logprobs is not None:
            said["logprobs"] = logprobs
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "choices": [said],
        }


def read_event(event: ServerEvent) -> JSONObject:
    """The object that a stream event carries. Raises UpstreamError when it carries none."""
    document = decoded(event.data)
    if not isinstance(document, dict):
        raise malformed("a stream event is not a JSON object")
    return document


def completion(model: str, answer_id: str, created: int, choices: list[JSON]) -> JSONObject:
    """A `chat.completion` without usage."""
    return {"id": answer_id, "object": "chat.completion", "created": created, "model": model, "choices": choices}


def choice(index: int, message: JSONObject, finish_reason: str, logprobs: JSON = None) -> JSONObject:
    """One choice of a `chat.completion`."""
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish_reason}


def malformed(problem: str) -> UpstreamError:
    """The answer is not what the dialect promises, to raise."""
    return UpstreamError(Failure(FailureKind.MALFORMED, 200, problem))
