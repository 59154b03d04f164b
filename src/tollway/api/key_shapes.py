"""API keys as they are asked for and told of: one shape for a workspace's own (`/v1/keys`) and the operator's (`/admin/keys`)."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from pydantic import Field

from tollway.api.edge import AskedBody, Instant, Money, Page, iso, usd
from tollway.api.models import unknown_model
from tollway.api.rooms import Rooms
from tollway.errors import InvalidField, ValidationFailed
from tollway.ledger.budget import Budget
from tollway.money.amount import NanoUSD
from tollway.plans.entitlement import effect, over
from tollway.plans.grants import Grants
from tollway.workspaces.key import IP_ALLOW_MAX, BudgetWindow, Key, Terms, checked_networks

Scope = Literal["chat", "models", "usage", "wallet", "keys", "workspaces", "members", "webhooks", "billing", "transfer"]
Status = Literal["active", "disabled", "revoked", "expired", "workspace_deleted"]
Name = Annotated[str, Field(min_length=1, max_length=500)]
Scopes = Annotated[list[Scope], Field(min_length=1)]
Models = Annotated[list[str], Field(max_length=1_000, description="Ids or aliases; null: all.")]
Requests = Annotated[int, Field(ge=-1, le=10**9, description="-1: no limit of its own.")]
Tokens = Annotated[int, Field(ge=-1, le=10**12, description="-1: no limit of its own.")]
Expiry = Annotated[Instant, Field(description="ISO 8601 with its offset; null: never.")]
Networks = Annotated[
    list[Annotated[str, Field(max_length=64)]],
    Field(max_length=IP_ALLOW_MAX, description="Addresses and networks it works from, IPv4 or IPv6; none: all."),
]


class NewKey(AskedBody):
    """A key to make. Left out: all models, no budget, no limits of its own, no expiry, all addresses."""

    name: Name
    scopes: Annotated[Scopes | None, Field(description="Left out: `chat`, `models`, `usage`, `wallet`.")] = None
    allowed_models: Models | None = None
    budget_usd: Money | None = None
    budget_window: BudgetWindow = "lifetime"
    requests_per_minute: Requests = -1
    tokens_per_day: Tokens = -1
    expires_at: Expiry | None = None
    ip_allow: Networks = Field(default_factory=list[str])


class KeyChange(AskedBody):
    """What to change of a key; what is left out stays. null takes a restriction away."""

    name: Name = ""
    scopes: Scopes = Field(default_factory=list[Scope])
    allowed_models: Models | None = None
    budget_usd: Money | None = None
    budget_window: BudgetWindow = "lifetime"
    requests_per_minute: Requests = -1
    tokens_per_day: Tokens = -1
    expires_at: Expiry | None = None
    ip_allow: Networks = Field(default_factory=list[str])
    disabled: Annotated[bool, Field(description="true refuses it until it is false again.")] = False


class Rotation(AskedBody):
    """How a key gets a new text. grace_seconds: how long the old one stays good; 0 ends it at once."""

    grace_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0


class KeysQuery(Page):
    """Which keys of a list."""

    revoked: Annotated[bool, Field(description="Revoked ones too.")] = False


class OverLimit(msgspec.Struct):
    """There is more than the plan allows, as after a downgrade. Nothing is deleted; nothing can be added."""

    limit_name: str
    limit: int
    current: int
    message: str


class KeyEntry(msgspec.Struct):
    """An API key. Only its public part is kept. spent_usd: spent and held in the window of its budget, exact.

    disabled: it is refused now, for the reason that `status` tells. over_limit: it is one of those that the plan has no
    room for; it works, and cannot be changed. profile_id: the routing profile whose key it is, and whose rules it follows.
    """

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
    ip_allow: list[str]
    status: Status
    disabled: bool
    over_limit: bool
    created_by: str | None
    profile_id: str | None
    created_at: str


class KeyList(msgspec.Struct):
    """API keys, oldest first. over_limit: null, unless one workspace is listed that has more than its plan allows."""

    data: list[KeyEntry]
    has_more: bool
    next_cursor: str | None
    over_limit: OverLimit | None = None


class KeyReply(msgspec.Struct):
    """An API key."""

    data: KeyEntry


class MadeKey(msgspec.Struct):
    """A new API key. `key` is its text: shown now, never again."""

    data: KeyEntry
    key: str


class RotatedKey(msgspec.Struct):
    """An API key with a new text, shown now, never again. previous_ends_at: until then the old one works; null: it ended."""

    data: KeyEntry
    key: str
    previous_ends_at: str | None


REPLIES: tuple[type[msgspec.Struct], ...] = (KeyList, KeyReply, MadeKey, RotatedKey)
BODIES = (NewKey, KeyChange, Rotation)


def terms(rooms: Rooms, asked: NewKey | KeyChange) -> Terms:
    """What was asked for, as the fields of a key; what was left out is left out.

    Raises:
        ModelNotFound: with the nearest names. InvalidField: the expiry has passed. ValidationFailed: a network is none.
    """
    found, given = Terms(), asked.model_fields_set
    if "scopes" in given and asked.scopes is not None:
        found["scopes"] = frozenset(asked.scopes)
    if "allowed_models" in given:
        found["allowed_models"] = None if asked.allowed_models is None else _models(rooms, asked.allowed_models)
    if "budget_usd" in given:
        found["budget_nano"] = None if asked.budget_usd is None else NanoUSD(asked.budget_usd)
    if "budget_window" in given:
        found["budget_window"] = asked.budget_window
    if "requests_per_minute" in given:
        found["requests_per_minute"] = asked.requests_per_minute
    if "tokens_per_day" in given:
        found["tokens_per_day"] = asked.tokens_per_day
    if "expires_at" in given:
        found["expires_at"] = None if asked.expires_at is None else int(asked.expires_at.timestamp())
        if asked.expires_at is not None and asked.expires_at.timestamp() <= rooms.clock.now():
            raise InvalidField("`expires_at` has passed; give a time to come, or null for never", param="expires_at")
    if "ip_allow" in given:
        found["ip_allow"] = checked_networks(asked.ip_allow)
    return found


def check_plan(grants: Grants, asked: Terms) -> None:
    """Limits of a key lie below the plan's. Raises ValidationFailed; it tells both numbers."""
    for name, limit in (
        ("requests_per_minute", grants.requests_per_minute),
        ("tokens_per_day", grants.tokens_per_day),
    ):
        given = asked.get(name, -1)
        assert isinstance(given, int)
        if 0 <= limit < given:
            problem = f"`{name}` is {given}, and the plan {grants.plan_name} allows {limit} to the whole workspace."
            raise ValidationFailed(
                f"{problem} Give at most {limit}, or -1 for no limit of its own.", param=name, limit=limit, given=given
            )


def over_limit(rooms: Rooms, workspace_id: str) -> OverLimit | None:
    """That a workspace has more live keys than its plan allows; None: it has not."""
    organization_id = rooms.store.workspaces.workspace(workspace_id).organization_id
    found = over(
        rooms.store.plans.grants(organization_id), {"api_keys": rooms.store.workspaces.live_keys(workspace_id)}
    )
    return OverLimit(found[0].name, found[0].limit, found[0].current, effect(found[0])) if found else None


def key_entries(rooms: Rooms, keys: Iterable[Key]) -> list[KeyEntry]:
    """The keys as they are told of."""
    beyond = dict[str, frozenset[str]]()
    found = list[KeyEntry]()
    for key in keys:
        if key.workspace_id not in beyond:
            beyond[key.workspace_id] = _beyond(rooms, key)
        found.append(_entry(rooms, key, is_over=key.id in beyond[key.workspace_id]))
    return found


def key_entry(rooms: Rooms, key: Key) -> KeyEntry:
    """The key as it is told of."""
    return key_entries(rooms, (key,))[0]


def is_over_limit(rooms: Rooms, key: Key) -> bool:
    """The plan has no room for this key: it is among the newest, beyond the limit."""
    return key.id in _beyond(rooms, key)


def _beyond(rooms: Rooms, key: Key) -> frozenset[str]:
    """The ids of live keys of this one's workspace that its plan has no room for."""
    limit = rooms.store.plans.grants(key.organization_id).limit("api_keys")
    if limit < 0:
        return frozenset()
    inside = rooms.store.workspaces.keys_of(key.workspace_id)
    live = [one.id for one in inside if not one.is_revoked and not one.profile_id]
    return frozenset(live[limit:])


def _models(rooms: Rooms, names: list[str]) -> frozenset[str]:
    catalogue = rooms.catalogue()
    for at, name in enumerate(names):
        if catalogue.find(name) is None:
            raise unknown_model(catalogue, name, f"allowed_models[{at}]")
    return frozenset(names)


def _entry(rooms: Rooms, key: Key, *, is_over: bool) -> KeyEntry:
    now = rooms.clock.now()
    budget = Budget(key.budget_nano or 0, key.budget_window)
    has_expired = key.state == "active" and key.expires_at is not None and key.expires_at <= now
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
        usd(rooms.store.ledger.used(key.id, budget, int(now) // 86_400)),
        key.requests_per_minute,
        key.tokens_per_day,
        None if key.expires_at is None else iso(key.expires_at * 1000),
        list(key.ip_allow),
        "expired" if has_expired else key.state,
        key.is_disabled,
        is_over,
        key.created_by or None,
        key.profile_id or None,
        iso(key.created_at * 1000),
    )
