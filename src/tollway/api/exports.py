"""How a list leaves: as JSON, CSV or Parquet, at once if it is short, else piece by piece as it is read.

Headers go out before the rows, so `X-Next-Cursor` names the next part, as `next_cursor` does in JSON.
"""

from collections.abc import AsyncIterator
from typing import Literal

from fastapi import Request
from starlette.responses import Response, StreamingResponse

Format = Literal["json", "csv", "parquet"]
_ACCEPTED: tuple[tuple[str, Format], ...] = (
    ("application/vnd.apache.parquet", "parquet"),
    ("text/csv", "csv"),
)


def wanted(request: Request, asked: Format | None) -> Format:
    """The format asked for by name, else by the Accept header, else JSON."""
    if asked is not None:
        return asked
    accepted = request.headers.get("accept", "")
    found: Format = "json"
    for media_type, form in _ACCEPTED:
        if media_type in accepted:
            found = form
    return found


def headers(form: Format, name: str, next_cursor: str | None) -> dict[str, str]:
    """Headers of an answer; `name` is that of the file, without its ending."""
    found = {"cache-control": "no-store", "vary": "accept"}
    if form != "json":
        found["content-disposition"] = f'attachment; filename="{name}.{form}"'
    if next_cursor is not None:
        found["x-next-cursor"] = next_cursor
    return found


async def answered(parts: AsyncIterator[bytes], media_type: str, told: dict[str, str], *, is_short: bool) -> Response:
    """The parts as an answer: whole with its length if it is short, else streamed."""
    if is_short:
        return Response(b"".join([part async for part in parts]), headers=told, media_type=media_type)
    return StreamingResponse(parts, headers=told, media_type=media_type)
