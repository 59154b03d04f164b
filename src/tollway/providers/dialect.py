"""The Dialect protocol: how a chat request and its answer are said in a provider's wire language.

A dialect is pure translation: values in, values out, no I/O, no clock. It is tested by recorded bodies. The OpenAI shape is the
one we speak to customers, so every dialect translates from it and back to it.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from tollway.catalogue.offers import Offer, Provider
from tollway.jsontypes import JSON, JSONObject
from tollway.metering.sse import ServerEvent
from tollway.ports import Outgoing
from tollway.request import ChatRequest
from tollway.routing.failure import Failure, FailureKind, UpstreamError

__all__ = [
    "MESSAGE_LENGTH_MAX",
    "Dialect",
    "Failure",
    "FailureKind",
    "Translator",
    "UpstreamError",
    "decoded",
    "endpoint",
    "error_text",
    "kind_of_status",
    "request_headers",
    "retry_after",
]


class Translator(Protocol):
    """One stream being translated; made by `Dialect.stream`, fed in order, thrown away.

    usage: the merged usage document so far, last value wins and snapshots are never summed (pains 15, 16); for `extract`.
    """

    usage: JSONObject | None

    def event(self, event: ServerEvent) -> list[JSONObject]:
        """The `chat.completion.chunk` objects that one upstream event says, without usage; possibly none.

        Raises:
            UpstreamError: the event is an error frame, or not what the dialect promises.
        """
        ...

    @property
    def is_done(self) -> bool:
        """The provider has said that the answer is complete; a stream that ends before is a failure."""
        ...


class Dialect(Protocol):
    """A wire language."""

    @property
    def is_identity(self) -> bool:
        """The provider speaks the OpenAI shape: bytes pass through untouched and only usage is read."""
        ...

    def request(self, chat: ChatRequest, offer: Offer, max_tokens: int | None) -> Outgoing:
        """The request for this offer, with credentials.

        Args:
            max_tokens: bound to send in place of the caller's; None sends none (rolling hold, R6b) unless the dialect
                cannot do without one.

        Raises:
            UnsupportedField: the request carries a field that would be lost in translation; never silently dropped.
        """
        ...

    def reply(self, body: JSONObject, model: str, answer_id: str, created: int) -> JSONObject:
        """A whole `chat.completion` object, without usage, from the provider's whole answer.

        Args:
            model: the id to show. answer_id: the id to show. created: unix seconds to show.

        Raises:
            UpstreamError: the body is an error although the status was 2xx, or not what the dialect promises.
        """
        ...

    def usage(self, body: JSONObject) -> JSONObject | None:
        """The part of a whole answer that `extract` reads, None when it has no usage."""
        ...

    def stream(self, model: str, answer_id: str, created: int) -> Translator:
        """A fresh translator for one stream; arguments as `reply`."""
        ...

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """What a non-2xx answer means. `headers` are lower case."""
        ...


def endpoint(provider: Provider, path: str) -> str:
    """Absolute URL of a path at a provider, with the key in the query where the provider wants it there."""
    wire = provider.wire
    url = wire.url + path
    if wire.auth == "query":
        url += ("&" if "?" in url else "?") + f"{wire.auth_name}={provider.key}"
    return url


def request_headers(provider: Provider) -> dict[str, str]:
    """Headers of a request to a provider, credential included; a fresh dict."""
    wire = provider.wire
    headers = {"content-type": "application/json", **wire.headers}
    if wire.auth == "bearer" and provider.key:
        headers["authorization"] = f"Bearer {provider.key}"
    elif wire.auth == "header":
        headers[wire.auth_name.lower()] = provider.key
    return headers


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header that is a number (RFC 9110 10.2.3); dates are ignored."""
    text = headers.get("retry-after", "").strip()
    return int(text) if text.isdigit() else None


_BY_STATUS: Mapping[int, FailureKind] = {
    400: FailureKind.BAD_REQUEST,
    401: FailureKind.NO_AUTH,
    402: FailureKind.NO_AUTH,
    403: FailureKind.NO_AUTH,
    404: FailureKind.NOT_FOUND,
    405: FailureKind.NOT_FOUND,
    408: FailureKind.TIMEOUT,
    409: FailureKind.OVERLOADED,
    413: FailureKind.BAD_REQUEST,
    422: FailureKind.BAD_REQUEST,
    429: FailureKind.RATE_LIMITED,
    503: FailureKind.OVERLOADED,
    504: FailureKind.TIMEOUT,
    529: FailureKind.OVERLOADED,
}


def kind_of_status(status: int) -> FailureKind:
    """The kind that an HTTP status alone says."""
    return _BY_STATUS.get(status, FailureKind.SERVER if status >= 500 else FailureKind.BAD_REQUEST)


def decoded(body: bytes) -> JSON:
    """JSON of a body, None when it is none: an error page may be anything."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


MESSAGE_LENGTH_MAX = 500


def error_text(document: JSON) -> tuple[str, str, str | None]:
    """(message, code, param) of an error in any of the shapes providers use, cut to a readable length."""
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return "", "", None
    error = document.get("error", document)
    if isinstance(error, str):
        return error[:MESSAGE_LENGTH_MAX], "", None
    if not isinstance(error, dict):
        return "", "", None
    message, param = error.get("message") or error.get("detail") or "", error.get("param")
    code = error.get("code") or error.get("type") or error.get("status") or ""
    return str(message)[:MESSAGE_LENGTH_MAX], str(code), param if isinstance(param, str) else None
