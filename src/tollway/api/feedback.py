"""`/v1/generations/{id}/feedback`: what a workspace's people and programs thought of an answer; routing learns from it."""

from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import BeforeValidator, Field, WithJsonSchema
from starlette.responses import Response

from tollway.api.acting import acting
from tollway.api.edge import AskedBody, Page, body_of, documented, iso, said
from tollway.api.rooms import Rooms
from tollway.errors import InvalidField
from tollway.store.feedback import SEQ_MAX, Rating
from tollway.workspaces.actor import Actor

UsageActor = Annotated[Actor, acting("usage")]
SCORE_MAX = 100
THUMBS = {"up": SCORE_MAX, "down": 0}
LABEL_MAX, COMMENT_MAX = 64, 2_000


def _score(value: object) -> int:
    if isinstance(value, str) and value in THUMBS:
        return THUMBS[value]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= SCORE_MAX:
        return value
    raise ValueError(f'{str(value)[:40]!r} is no score; write a whole number, 0 to {SCORE_MAX}, or "up" or "down"')


Score = Annotated[
    int,
    BeforeValidator(_score),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": SCORE_MAX}, {"type": "string", "enum": [*THUMBS]}]}
    ),
]


class NewFeedback(AskedBody):
    """What the caller thinks of an answer, in place of what it said before."""

    score: Annotated[Score, Field(description='0 (of no use) to 100 (perfect); "up" is 100, "down" is 0.')]
    label: Annotated[str, Field(max_length=LABEL_MAX, description="A word to sort by, such as `wrong`.")] = ""
    comment: Annotated[str, Field(max_length=COMMENT_MAX)] = ""


class FeedbackQuery(Page):
    """Which of the ratings."""

    history: Annotated[bool, Field(description="With those that were replaced by a later one.")] = False


class FeedbackEntry(msgspec.Struct):
    """What one actor said of an answer. actor_kind: `key` or `member`. is_replaced: it said something else later."""

    generation_id: str
    score: int
    label: str | None
    comment: str | None
    actor_kind: str
    actor_id: str
    created_at: str
    is_replaced: bool


class FeedbackReply(msgspec.Struct):
    """The rating as it is kept."""

    data: FeedbackEntry


class FeedbackList(msgspec.Struct):
    """The ratings of an answer, newest first."""

    data: list[FeedbackEntry]
    has_more: bool
    next_cursor: str | None


REPLIES: tuple[type[msgspec.Struct], ...] = (FeedbackReply, FeedbackList)
BODIES = (NewFeedback,)


class Feedback:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._store = rooms.store.feedback

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add, path = partial(router.add_api_route, tags=["generations"]), "/v1/generations/{generation_id}/feedback"
        add(path, self.rate, methods=["POST"], **documented(FeedbackReply, body=NewFeedback, status=201))
        add(path, self.ratings, methods=["GET"], **documented(FeedbackList))

    async def rate(
        self, actor: UsageActor, generation_id: str, asked: Annotated[NewFeedback, body_of(NewFeedback)]
    ) -> Response:
        """Rate an answer of this workspace; once more replaces what this key or person said before."""
        rating = await self._store.rate(
            actor.workspace_id,
            generation_id,
            actor.by,
            score=asked.score,
            label=asked.label.strip(),
            comment=asked.comment.strip(),
        )
        return said(FeedbackReply(entry(generation_id, rating)), 201)

    async def ratings(
        self, actor: UsageActor, generation_id: str, asked: Annotated[FeedbackQuery, Query()]
    ) -> Response:
        """What was said of an answer, one rating per key or person, newest first."""
        before = SEQ_MAX if asked.after is None else _seq(asked.after)
        found = await self._store.of_generation(
            actor.workspace_id, generation_id, limit=asked.limit + 1, before=before, has_history=asked.history
        )
        shown = found[: asked.limit]
        cursor = str(shown[-1].seq) if len(found) > asked.limit else None
        return said(FeedbackList([entry(generation_id, one) for one in shown], cursor is not None, cursor))


def entry(generation_id: str, one: Rating) -> FeedbackEntry:
    """A rating as it is told."""
    return FeedbackEntry(
        generation_id,
        one.score,
        one.label or None,
        one.comment or None,
        one.by.kind,
        one.by.id,
        iso(one.at_ms),
        one.is_replaced,
    )


def _seq(after: str) -> int:
    if not (after.isascii() and after.isdecimal() and len(after) < 19):
        raise InvalidField("This cursor is not one of ours. Hand in `next_cursor` as it came.", param="after")
    return int(after)
