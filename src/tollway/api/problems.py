"""Errors as HTTP: every `TollwayError` becomes the documented body, headers and status, in one place."""

import msgspec

from tollway.errors import TollwayError

Headers = list[tuple[bytes, bytes]]
JSON_TYPE = (b"content-type", b"application/json")


def error_response(error: TollwayError, extra: Headers) -> tuple[int, Headers, bytes]:
    """(status, headers, body) of an error; `extra` are headers that every reply carries."""
    body = msgspec.json.encode(error.body())
    return error.status, [JSON_TYPE, (b"content-length", b"%d" % len(body)), *extra, *error.headers()], body
