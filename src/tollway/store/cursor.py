"""Cursors of lists that are read as of one moment: where a page ended, and of which question.

A cursor is opaque to clients but no secret: what it says is checked like any other parameter, and the workspace is never
taken from it.
"""

import base64
import binascii
import hashlib
from typing import Annotated, TypeVar

import msgspec

from tollway.errors import InvalidField

Whole = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """question: what `question_of` gave. start_ms, end_ms: the period, resolved. until_seq: the last row that counts."""

    question: str
    start_ms: Whole
    end_ms: Whole
    until_seq: Whole


class RowCursor(Cursor, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Of a list of requests: the last one told."""

    created_at_ms: Whole
    seq: Whole


class SumCursor(Cursor, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Of a list of sums: the last one told."""

    sort: Whole
    bucket: Annotated[int, msgspec.Meta(ge=-(2**40), le=2**40)]
    group: list[str]


Shape = TypeVar("Shape", bound=Cursor)


def question_of(*parts: object) -> str:
    """A short name of a question: everything that decides which rows are in the list and in which order."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def written(cursor: Cursor) -> str:
    """The cursor as text for a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def read(text: str, shape: type[Shape], question: str) -> Shape:
    """The cursor that a client handed in.

    Raises:
        InvalidField: it is not one of ours, or of another question.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = msgspec.json.decode(raw, type=shape)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise InvalidField("This cursor is not one of ours. Hand in `next_cursor` as it came.", param="after") from None
    if found.question != question:
        text = "This cursor belongs to another question. Keep every parameter but `after`, `limit` and `format`."
        raise InvalidField(text, param="after")
    return found
