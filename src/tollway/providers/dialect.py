"""What dialects share: addressing a provider, its credentials, and reading its errors.

A dialect (`ports.Dialect`) is pure translation: values in, values out, no I/O, no clock. It is tested by recorded bodies. The
OpenAI shape is the one we speak to customers, so every dialect translates from it and back to it.
"""

from collections.abc import Mapping

import msgspec

from tollway.catalogue.offers import Provider
from tollway.jsontypes import JSON
from tollway.ports import Dialect, Translator
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
    """The kind that an HTTP status alone says. A redirect is nobody's request: it is never followed, nor blamed on one."""
    return _BY_STATUS.get(status, FailureKind.BAD_REQUEST if 400 <= status < 500 else FailureKind.SERVER)


def decoded(body: bytes) -> JSON:
    """JSON of a body, None when it is none: an error page may be anything."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
