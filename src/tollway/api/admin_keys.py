"""`/admin/keys`: API keys as an operator lists, makes and revokes them. A key's text is told once, when it is made."""

import logging
from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from tollway.api.edge import AskedBody, Money, Operator, Page, body_of, documented, iso, paged, said, usd
from tollway.api.models import unknown_model
from tollway.api.rooms import Rooms
from tollway.errors import InvalidField
from tollway.ledger.budget import Budget
from tollway.workspaces.key import DEFAULT_SCOPES, Key

Scope = Literal["chat", "models", "usage", "wallet", "keys"]
_log = logging.getLogger("tollway.admin")


class NewKey(AskedBody):
    """A key to make. Left out: all models, no budget, no limits of its own, no expiry."""

    workspace_id: Annotated[str, Field(min_length=1, max_length=100)]
    name: Annotated[str, Field(min_length=1, max_length=500)]
    scopes: Annotated[list[Scope] | None, Field(min_length=1, description="Left out: all but `keys`.")] = None
    allowed_models: Annotated[list[str] | None, Field(max_length=1_000)] = None
    budget_usd: Money | None = None
    budget_window: Literal["day", "week", "month", "lifetime"] = "lifetime"
    requests_per_minute: Annotated[int, Field(ge=-1, le=10**9, description="-1: no limit of its own.")] = -1
    tokens_per_day: Annotated[int, Field(ge=-1, le=10**12, description="-1: no limit of its own.")] = -1
    expires_at: Annotated[AwareDatetime | None, Field(description="ISO 8601 with its offset.")] = None


class KeysQuery(Page):
    """Filters of the list."""

    workspace_id: Annotated[str | None, Field(max_length=100)] = None


class KeyEntry(msgspec.Struct):
    """An API key. Only its public part is kept. spent_usd: spent and held in the window of its budget, exact."""

    id: str
    name: str
    prefix: str
    workspace_id: str
    organization_id: str
    scopes: list[str]
    allowed_models: list[str] | None
    budget_usd: str | None
    budget_window: str
    spent_usd: str
    requests_per_minute: int
    tokens_per_day: int
    expires_at: str | None
    disabled: bool
    created_at: str


class KeyList(msgspec.Struct):
    """API keys, oldest first."""

    data: list[KeyEntry]
    has_more: bool
    next_cursor: str | None


class KeyReply(msgspec.Struct):
    """An API key."""

    data: KeyEntry


class MadeKey(msgspec.Struct):
    """A new API key. `key` is its text: shown now, never again."""

    data: KeyEntry
    key: str


REPLIES: tuple[type[msgspec.Struct], ...] = (KeyList, KeyReply, MadeKey)


class Keys:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["admin"])
        add("/admin/keys", self.list_keys, methods=["GET"], **documented(KeyList))
        add("/admin/keys", self.add, methods=["POST"], **documented(MadeKey, body=NewKey, status=201))
        add("/admin/keys/{key_id}", self.revoke, methods=["DELETE"], **documented(KeyReply))

    async def list_keys(self, _: Operator, asked: Annotated[KeysQuery, Query()]) -> Response:
        """The keys of a workspace, or of all."""
        found = self._rooms.store.workspaces.keys_of(asked.workspace_id)
        shown, more, cursor = paged(found, asked, lambda key: key.id)
        return said(KeyList([self._entry(key) for key in shown], more, cursor))

    async def add(self, operator: Operator, asked: Annotated[NewKey, body_of(NewKey)]) -> Response:
        """Make a key. Its text is in this answer and nowhere else."""
        expires_at = None if asked.expires_at is None else int(asked.expires_at.timestamp())
        if expires_at is not None and expires_at <= self._rooms.clock.now():
            raise InvalidField("`expires_at` has passed", param="expires_at")
        made, secret = await self._rooms.store.workspaces.add_key(
            asked.workspace_id,
            name=asked.name,
            scopes=DEFAULT_SCOPES if asked.scopes is None else frozenset(asked.scopes),
            allowed_models=None if asked.allowed_models is None else self._models(asked.allowed_models),
            budget_nano=asked.budget_usd,
            budget_window=asked.budget_window,
            requests_per_minute=asked.requests_per_minute,
            tokens_per_day=asked.tokens_per_day,
            expires_at=expires_at,
        )
        _log.info("operator %s made key %s of workspace %s", operator, made.id, made.workspace_id)
        return said(MadeKey(self._entry(made), secret), 201)

    async def revoke(self, operator: Operator, key_id: str) -> Response:
        """Revoke a key: it is refused from now on, for ever."""
        revoked = await self._rooms.store.workspaces.revoke_key(key_id)
        _log.info("operator %s revoked key %s", operator, key_id)
        return said(KeyReply(self._entry(revoked)))

    def _models(self, names: list[str]) -> frozenset[str]:
        catalogue = self._rooms.catalogue()
        for at, name in enumerate(names):
            if catalogue.find(name) is None:
                raise unknown_model(catalogue, name, f"allowed_models[{at}]")
        return frozenset(names)

    def _entry(self, key: Key) -> KeyEntry:
        budget = Budget(key.budget_nano or 0, key.budget_window)
        day = int(self._rooms.clock.now()) // 86_400
        return KeyEntry(
            key.id,
            key.name,
            key.prefix,
            key.workspace_id,
            key.organization_id,
            sorted(key.scopes),
            None if key.allowed_models is None else sorted(key.allowed_models),
            None if key.budget_nano is None else usd(key.budget_nano),
            key.budget_window,
            usd(self._rooms.store.ledger.used(key.id, budget, day)),
            key.requests_per_minute,
            key.tokens_per_day,
            None if key.expires_at is None else iso(key.expires_at * 1000),
            key.is_disabled,
            iso(key.created_at * 1000),
        )
