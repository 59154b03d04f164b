"""The edge of the cold application: who may ask, what they sent, and how an answer is written.

Bodies are read after the caller is known, by pydantic models that refuse unknown fields; answers are msgspec structs,
so that money is written digit by digit and never passes through a binary fraction.
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from tollway.api.rooms import Rooms
from tollway.api.trace import Trace
from tollway.errors import InvalidField, InvalidJSON, InvalidKey, MissingKey, RateLimited, TollwayError
from tollway.gateway.admit import Caller, credential
from tollway.money.amount import NanoUSD, NotAnAmount, format_cents, format_usd, parse_usd
from tollway.ports import Window
from tollway.workspaces.key import ADMIN_PREFIX, digest, looks_like_key

Number = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "number"})]
"""A JSON number with exactly the digits that it was given."""
Shape = TypeVar("Shape", bound=BaseModel)
Row = TypeVar("Row")

PAGE_MAX = 100
PLAIN = re.compile(r"-?\d{1,20}(\.\d{1,20})?", re.ASCII)
_JSON = "application/json"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_MAX = (datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)


class Asked(BaseModel):
    """A query of ours: unknown parameters are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=4096)


class AskedBody(BaseModel):
    """A body of ours: unknown fields are refused by name, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, str_max_length=4096)


class Page(Asked):
    """Cursor pagination."""

    limit: Annotated[int, Field(ge=1, le=PAGE_MAX, description="How many at most.")] = 20
    after: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None


def rooms_of(request: Request) -> Rooms:
    """What the application was built with."""
    rooms: Rooms = request.app.state.rooms
    return rooms


def needs(scope: str) -> Any:
    """A dependency: the caller, whose key must have `scope`. Raises as `Gate.admit`."""

    async def needed(request: Request) -> Caller:
        return await admitted(request, scope)

    return Depends(needed)


async def admitted(request: Request, scope: str) -> Caller:
    """The caller of this request, counted. Raises as `Gate.admit` and `count`."""
    rooms, peer = rooms_of(request), request.client
    address = "" if peer is None else peer.host
    caller = rooms.gate.admit(*credentials(request), scope, rooms.clock.now(), address)
    await count(request, caller.key.workspace_id)
    return caller


async def count(request: Request, whom: str) -> None:
    """Count this request in the minute of a workspace, or of a person without one: chat has its own, smaller window.

    Raises:
        RateLimited: the minute is full.
    """
    rooms, trace = rooms_of(request), Trace.of(request.scope)
    now = int(rooms.clock.now())
    try:
        trace.window = await rooms.limiter.count("api", whom, rooms.api_requests, now)
    except RateLimited:
        trace.window = Window(rooms.api_requests, 0, now - now % 60 + 60)
        raise


async def _operator(request: Request) -> str:
    """Who runs this installation: the operator's id, or `local` for the command line of this machine."""
    rooms = rooms_of(request)
    try:
        secret = credential(*credentials(request))
    except MissingKey:
        raise MissingKey("No operator token was sent. Send `Authorization: Bearer twa_...`.") from None
    control = rooms.control_token
    if control and hmac.compare_digest(secret.encode(), control.encode()):
        return "local"
    if looks_like_key(secret, ADMIN_PREFIX):
        found = rooms.store.workspaces.operator(digest(secret, rooms.store.workspaces.pepper))
        if found is not None:
            return found
    raise InvalidKey("This is not an operator token. `/admin` takes tokens that start with `twa_`, not API keys.")


Operator = Annotated[str, Depends(_operator)]
"""The operator who asks. Raises MissingKey, InvalidKey, ConflictingCredentials."""


def credentials(request: Request) -> tuple[bytes | None, bytes | None]:
    """The `Authorization` and `x-api-key` headers, None when absent."""
    headers = dict[bytes, bytes](request.scope["headers"])
    return headers.get(b"authorization"), headers.get(b"x-api-key")


def body_of(shape: type[Shape]) -> Any:
    """A dependency: the JSON body as `shape`. Name it after the caller, so that strangers' bodies are not read.

    Raises:
        InvalidJSON, InvalidField: 400; `param` is the path of the field.
    """

    async def body(request: Request) -> Shape:
        return checked(shape, await request.body())

    return Depends(body)


def checked(shape: type[Shape], body: bytes) -> Shape:
    """`shape` of a JSON body. Raises InvalidJSON, InvalidField."""
    try:
        return shape.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise invalid(error.errors(include_url=False), body=True) from None


def invalid(problems: Sequence[Mapping[str, Any]], *, body: bool) -> TollwayError:
    """The documented 400 of pydantic's first complaint; `body`: its path begins inside the body."""
    first = problems[0]
    kind: str = first["type"]
    if kind == "json_invalid":
        return InvalidJSON(f"the body is not valid JSON: {first['ctx']['error']}")
    steps: Sequence[str | int] = first["loc"] if body else first["loc"][1:]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    said = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    if not path:
        return InvalidField(f"the body is not an object of this endpoint: {said}")
    if kind == "extra_forbidden":
        return InvalidField(f"`{path}` is not a field of this endpoint; leave it out", param=path)
    if kind == "missing":
        return InvalidField(f"`{path}` is missing; it is required", param=path)
    return InvalidField(f"`{path}`: {said[:1].lower()}{said[1:]}", param=path)


def _exact(value: object) -> NanoUSD:
    if not isinstance(value, str):
        raise ValueError('write money as text, such as "12.50"; a JSON number would lose digits')  # noqa: TRY004
    if not PLAIN.fullmatch(value):
        raise ValueError(f"{value[:40]!r} is not a plain decimal such as 12.50")
    try:
        return parse_usd(value)
    except NotAnAmount as error:
        raise ValueError(str(error)) from None


Money = Annotated[
    int, BeforeValidator(_exact, json_schema_input_type=str), Field(json_schema_extra={"examples": ["12.50"]})
]
"""Nano-USD, asked as exact decimal USD text; a JSON number is refused."""


def _instant(value: object) -> object:
    with suppress(ValueError):
        if isinstance(value, str):
            return datetime.fromisoformat(value)
    raise ValueError("write a datetime in ISO 8601 with its offset, such as 2027-01-31T12:00:00Z")


def _reachable(at: datetime) -> datetime:
    """Whatever its offset, it can be written in UTC, and in every time zone."""
    seconds = (at - _EPOCH) // timedelta(seconds=1)
    if not 0 <= seconds <= _SECONDS_MAX:
        raise ValueError("is not of the years 1970 to 9998, UTC")
    return at


Instant = Annotated[AwareDatetime, BeforeValidator(_instant), AfterValidator(_reachable)]
"""A point in time, asked in ISO 8601 with its offset, of the years 1970 to 9998; a number of seconds is refused."""


def said(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as a JSON answer. Nothing that belongs to one caller is kept by a proxy."""
    return encoded(msgspec.json.encode(value), status, headers)


def encoded(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON bytes as an answer."""
    return Response(body, status, {"cache-control": "no-store", **(headers or {})}, _JSON)


def paged(rows: Sequence[Row], page: Page, cursor: Callable[[Row], str]) -> tuple[Sequence[Row], bool, str | None]:
    """(rows of a page, whether more follow, the next cursor) of rows that are all at hand.

    Raises:
        InvalidField: `after` is no cursor of these rows.
    """
    start = 0
    if page.after is not None:
        start = next((at for at, row in enumerate(rows, 1) if cursor(row) == page.after), 0)
        if not start:
            raise InvalidField("`after` is not a cursor of this list", param="after")
    shown = rows[start : start + page.limit]
    has_more = len(rows) > start + page.limit
    return shown, has_more, cursor(shown[-1]) if has_more else None


def usd(nano: int) -> str:
    """Exact decimal USD text."""
    return format_usd(nano)


def number(text: str) -> msgspec.Raw:
    """A decimal text as a JSON number, digit by digit."""
    return msgspec.Raw(text.encode())


def cents(nano: int) -> msgspec.Raw:
    """Exact, possibly fractional cents as a JSON number."""
    return number(format_cents(nano))


def iso(unix_ms: int) -> str:
    """ISO 8601 of unix ms, UTC, to the ms: `2026-11-24T12:00:00.000Z`."""
    instant = _EPOCH + timedelta(milliseconds=unix_ms)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def documented(
    shape: type[msgspec.Struct],
    *,
    body: type[BaseModel] | None = None,
    status: int = 200,
    csv: bool = False,
    ndjson: bool = False,
    chat: bool = False,
) -> dict[str, Any]:
    """Keyword arguments of a route for the OpenAPI document, whose components `openapi.py` lists.

    Args:
        shape: what it answers.
        body: what it takes.
        status: of a success.
        csv: it answers with a table too, as CSV and Parquet.
        ndjson: it answers with one JSON document a line too.
        chat: it takes a chat body too.
    """
    content: dict[str, Any] = {_JSON: {"schema": _reference(shape)}}
    if csv:
        content["text/csv"] = {"schema": {"type": "string"}}
        content["application/vnd.apache.parquet"] = {"schema": {"type": "string", "format": "binary"}}
    if ndjson:
        content["application/x-ndjson"] = {"schema": {"type": "string"}}
    lines = (shape.__doc__ or "").splitlines()
    route: dict[str, Any] = {
        "status_code": status,
        "response_model": None,
        "responses": {status: {"description": lines[0] if lines else "", "content": content}},
    }
    if body is not None:
        schema: dict[str, Any] = _reference(body)
        if chat:
            schema = {"anyOf": [schema, {"$ref": "#/components/schemas/ChatRequest"}]}
        # Nothing is as good as an object without members, where none is required.
        is_required = any(one.is_required() for one in body.model_fields.values())
        route["openapi_extra"] = {"requestBody": {"required": is_required, "content": {_JSON: {"schema": schema}}}}
    return route


def _reference(shape: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}
