"""A whole answer: read as little as possible, given back in the provider's own bytes where it speaks our shape."""

from dataclasses import dataclass

import msgspec

from tollway.gateway.delivered import written
from tollway.gateway.relay import finish_reason
from tollway.jsontypes import JSON, JSONObject
from tollway.providers.dialect import Dialect
from tollway.routing.failure import Failure, FailureKind, UpstreamError


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _Answer(msgspec.Struct, gc=False):
    """What is read of an answer of our own shape; its text is never decoded."""

    choices: list[_Choice]
    usage: msgspec.Raw = msgspec.Raw(b"")  # noqa: RUF009 - immutable; a union with None would only accept null
    error: msgspec.Raw = msgspec.Raw(b"")  # noqa: RUF009


_read_answer = msgspec.json.Decoder(_Answer).decode
_NOTHING = frozenset({b"", b"null"})


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """body: the provider's bytes (identity), or our translation without usage. usage_raw: the bytes of its usage object.

    usage: the document that `extract` reads, None without one.
    """

    body: bytes
    usage_raw: bytes
    usage: JSONObject | None
    finish_reason: str

    def text(self) -> str:
        """Everything that the model wrote; decodes the body, for when the provider did not report usage."""
        document = msgspec.json.decode(self.body)
        found = list[str]()
        for choice in document.get("choices", []):
            found += written(choice.get("message"))
        return "".join(found)

    def spliced(self, usage: bytes, extension: bytes) -> bytes:
        """The body with this usage object in place of its own and the `tollway` object added; the rest untouched."""
        body = self.body.rstrip()
        if self.usage_raw:
            head, _, tail = body.rpartition(self.usage_raw)
            body = head + usage + tail
            return body[:-1] + b',"tollway":' + extension + b"}"
        return body[:-1] + b',"usage":' + usage + b',"tollway":' + extension + b"}"


def read_whole(dialect: Dialect, body: bytes, model: str, answer_id: str, created: int) -> WholeAnswer:
    """Read a 2xx answer.

    Raises:
        UpstreamError: it is an error in disguise, or not what the dialect promises.
    """
    if dialect.is_identity:
        try:
            answer = _read_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            answer = None
        if answer is not None and bytes(answer.error) in _NOTHING:
            raw = bytes(answer.usage)
            reason = next((choice.finish_reason for choice in answer.choices if choice.finish_reason), "")
            document: JSONObject | None = None if raw in _NOTHING else {"usage": msgspec.json.decode(raw)}
            return WholeAnswer(body, raw, document, reason)
    document = _object(body)
    usage = dialect.usage(document)
    reply = dialect.reply(document, model, answer_id, created)
    reply.pop("usage", None)
    return WholeAnswer(msgspec.json.encode(reply), b"", usage, finish_reason(reply))


def _object(body: bytes) -> JSONObject:
    try:
        document: JSON = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise UpstreamError(Failure(FailureKind.MALFORMED, 200, "the answer is not a JSON object"))
    return document
