"""A whole answer: read as little as possible, given back in the provider's own bytes where it speaks our shape."""

import msgspec

from tollway.gateway.delivered import written
from tollway.gateway.relay import finish_reason
from tollway.jsontypes import JSON, JSONObject
from tollway.ports import Dialect
from tollway.routing.failure import Failure, FailureKind, UpstreamError


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _Answer(msgspec.Struct, gc=False):
    """What is read of an answer of our own shape; its text is never decoded."""

    choices: list[_Choice]
    usage: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


_read_answer = msgspec.json.Decoder(_Answer).decode
_read_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_NOTHING = frozenset({b"", b"null"})


class WholeAnswer(msgspec.Struct, frozen=True, gc=False):
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
            if body.count(self.usage_raw) != 1:
                # `null`, or the same numbers said twice: the member of that name is replaced, and no other.
                members = _read_members(body)
                return msgspec.json.encode({**members, "usage": msgspec.Raw(usage), "tollway": msgspec.Raw(extension)})
            head, _, tail = body.partition(self.usage_raw)
            return b"".join((head, usage, tail[:-1], b',"tollway":', extension, b"}"))
        return b"".join((body[:-1], b',"usage":', usage, b',"tollway":', extension, b"}"))


def read_whole(dialect: Dialect, body: bytes, model: str, answer_id: str, created: int) -> WholeAnswer:
    """Read a 2xx answer.

    Raises:
        UpstreamError: it is an error in disguise, or not what the dialect promises.
    """
    if dialect.is_identity:
        try:
            answer = _read_answer(body)
            raw = bytes(answer.usage)
            reported: JSONObject | None = None if raw in _NOTHING else {"usage": msgspec.json.decode(raw)}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            answer, raw, reported = None, b"", None
        if answer is not None and bytes(answer.error) in _NOTHING:
            if not answer.choices:
                raise UpstreamError(Failure(FailureKind.MALFORMED, 200, "the answer says nothing: it has no choices"))
            reason = ""
            for choice in answer.choices:
                reason = reason or choice.finish_reason or ""
            return WholeAnswer(body, raw, reported, reason)
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
