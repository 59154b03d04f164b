"""Routing profiles as they are asked for and told of: one shape for a workspace's own and the operator's.

Whether the models, providers and regions that a profile names exist is checked here, against the catalogue of now.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, cast

import msgspec
from pydantic import BeforeValidator, Field

from tollway.api.edge import AskedBody, Money, Number, iso, number, usd
from tollway.api.key_shapes import OverLimit
from tollway.api.models import unknown_model
from tollway.api.rooms import Rooms
from tollway.catalogue.offers import Catalogue, ModelId
from tollway.errors import InvalidField
from tollway.plans.entitlement import effect, over
from tollway.workspaces.key import DEFAULT_SCOPES, Terms
from tollway.workspaces.profile import FALLBACKS_MAX, NAMES_MAX, REGION_MAX, Need, Profile, ProfileMode, Sort, Tier

LIMIT = "routing_profiles"
KEY_TERMS = Terms(scopes=DEFAULT_SCOPES)
_FRACTION = re.compile(r"0|1|0\.\d{1,3}|1\.0{1,3}", re.ASCII)


def _milli(value: object) -> int:
    """Thousandths of a fraction in [0, 1]."""
    text = str(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else ""
    if isinstance(value, float):
        text = format(Decimal(text), "f") if value == value and abs(value) < 2 else ""  # noqa: PLR0124 - not a NaN
    if _FRACTION.fullmatch(text) is None:
        raise ValueError('write a number from 0 to 1 with at most 3 decimals, such as 0.85 or "0.85"')
    return int(Decimal(text) * 1_000)


_Text = Annotated[str, Field(pattern=rf"^({_FRACTION.pattern})$")]
Fraction = Annotated[
    int,
    BeforeValidator(_milli, json_schema_input_type=Annotated[float, Field(ge=0, le=1)] | _Text),
    Field(
        description="From 0 to 1, at most 3 decimals, as a number or as text.", json_schema_extra={"examples": ["0.85"]}
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=500)]
_One = Annotated[str, Field(min_length=1, max_length=200)]
Models = Annotated[
    list[_One] | None, Field(min_length=1, max_length=NAMES_MAX, description="Ids or aliases; null: all.")
]
Providers = Annotated[list[_One] | None, Field(min_length=1, max_length=NAMES_MAX, description="Ids; null: all.")]
Ignored = Annotated[list[_One], Field(max_length=NAMES_MAX, description="Ids; none of them answers.")]
Fallbacks = Annotated[list[_One], Field(max_length=FALLBACKS_MAX, description="Models to try next, in this order.")]
Needs = Annotated[list[Need], Field(max_length=10, description="What every model must be able to do.")]
Region = Annotated[str | None, Field(max_length=REGION_MAX, description="Where an offer must run; null: anywhere.")]
Quality = Annotated[int | None, Field(ge=0, le=100, description="Percent: 0 is cheapest, 100 is best.")]
Mode = Annotated[ProfileMode | None, Field(description="Sets `quality`; `fastest` sorts by latency, too.")]


class ProfileRules(AskedBody):
    """Rules of a routing profile."""

    tier_floor: Tier | None = None
    tier_ceiling: Tier | None = None
    max_cost_usd: Annotated[Money | None, Field(description="Most that one request may cost; null: no cap.")] = None
    needs: Needs = Field(default_factory=list[Need])
    tool_calling_min: Fraction | None = None
    quality: Quality = None
    mode: Mode = None
    allowed_models: Models = None
    allowed_providers: Providers = None
    ignored_providers: Ignored = Field(default_factory=list[str])
    region: Region = None
    fallbacks: Fallbacks = Field(default_factory=list[str])
    sort: Annotated[Sort | None, Field(description="Of the offers of one model.")] = None


class NewProfile(ProfileRules):
    """A routing profile to make, with a key of its own. What is left out is no rule."""

    name: Name


class ProfileChange(ProfileRules):
    """What to change of a routing profile; what is left out stays. null takes a rule away."""

    name: Name = ""


class ProfileKey(msgspec.Struct):
    """The key of a profile. `GET /v1/keys/{key_id}` has the rest of it."""

    id: str
    prefix: str
    status: str


class ProfileEntry(msgspec.Struct):
    """A routing profile. null and [] are no rule. max_cost_usd: exact.

    sort: as asked, or as its mode has it. key: null once it was revoked; `POST /v1/profiles/{profile_id}/key` makes
    another. over_limit: it is one of those that the plan has no room for; it works, and cannot be changed.
    """

    id: str
    name: str
    workspace_id: str
    tier_floor: str | None
    tier_ceiling: str | None
    max_cost_usd: str | None
    needs: list[str]
    tool_calling_min: Number | None
    quality: int | None
    mode: str | None
    allowed_models: list[str] | None
    allowed_providers: list[str] | None
    ignored_providers: list[str]
    region: str | None
    fallbacks: list[str]
    sort: str | None
    key: ProfileKey | None
    over_limit: bool
    created_at: str
    changed_at: str


class ProfileList(msgspec.Struct):
    """Routing profiles of a workspace, oldest first. over_limit: null, unless the organization has more than its plan."""

    data: list[ProfileEntry]
    has_more: bool
    next_cursor: str | None
    over_limit: OverLimit | None


class ProfileReply(msgspec.Struct):
    """A routing profile."""

    data: ProfileEntry


class MadeProfile(msgspec.Struct):
    """A routing profile with a new key. `key` is its text: shown now, never again."""

    data: ProfileEntry
    key: str


class Deleted(msgspec.Struct):
    """What was deleted, now or before."""

    id: str
    deleted: bool


class DeletedReply(msgspec.Struct):
    """A deletion; asked again, the answer is the same."""

    data: Deleted


REPLIES: tuple[type[msgspec.Struct], ...] = (ProfileList, ProfileReply, MadeProfile, DeletedReply)
BODIES = (NewProfile, ProfileChange)
_RULES: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "name": ("name", str),
    "tier_floor": ("tier_floor", lambda tier: tier or ""),
    "tier_ceiling": ("tier_ceiling", lambda tier: tier or ""),
    "max_cost_usd": ("max_cost_nano", lambda nano: nano),
    "needs": ("needs", tuple),
    "tool_calling_min": ("tool_calling_milli", lambda milli: milli or 0),
    "quality": ("quality", lambda percent: percent),
    "mode": ("mode", lambda mode: mode or ""),
    "allowed_models": ("allowed_models", lambda names: None if names is None else tuple(names)),
    "allowed_providers": ("allowed_providers", lambda names: None if names is None else tuple(names)),
    "ignored_providers": ("ignored_providers", tuple),
    "region": ("region", lambda region: region or ""),
    "fallbacks": ("fallbacks", tuple),
    "sort": ("sort", lambda sort: sort or ""),
}
"""Field of a body -> field of a profile, and how it is kept."""


def ruled(catalogue: Catalogue, old: Profile, asked: ProfileRules) -> Profile:
    """The profile with what was asked; what was left out stays.

    Raises:
        ModelNotFound: with the nearest names. InvalidField: no such provider or region, or a fallback that is not allowed.
    """
    given = asked.model_fields_set
    found = {field: keep(getattr(asked, name)) for name, (field, keep) in _RULES.items() if name in given}
    # A mode sets the number, and a number takes the mode away.
    if "mode" in given and asked.mode is not None:
        found.setdefault("quality", None)
    elif "quality" in given:
        found.setdefault("mode", "")
    new = msgspec.structs.replace(old, **found)
    for param in ("allowed_models", "fallbacks"):
        if param in given:
            _check_models(catalogue, param, cast("tuple[str, ...] | None", found[param]) or ())
    for param in ("allowed_providers", "ignored_providers"):
        if param in given:
            _check_providers(catalogue, param, cast("tuple[str, ...] | None", found[param]) or ())
    if new.region and "region" in given:
        _check_region(catalogue, new.region)
    if {"allowed_models", "fallbacks"} & given:
        _check_fallbacks(catalogue, new)
    return new


def _check_models(catalogue: Catalogue, param: str, names: Iterable[str]) -> None:
    for at, name in enumerate(names):
        if catalogue.find(name) is None:
            raise unknown_model(catalogue, name, f"{param}[{at}]")


def _check_providers(catalogue: Catalogue, param: str, names: Iterable[str]) -> None:
    known = list[str](catalogue.providers)
    for at, name in enumerate(names):
        if name.strip().lower() not in known:
            near = get_close_matches(name.lower(), known, n=3) or sorted(known)[:10]
            hint = ", ".join(f"`{one}`" for one in near)
            raise InvalidField(f"there is no provider `{name}`; there are: {hint}", param=f"{param}[{at}]")


def _check_region(catalogue: Catalogue, region: str) -> None:
    known = {offer.region.lower() for model in catalogue.models.values() for offer in model.offers} - {""}
    if region.strip().lower() not in known:
        told = f"offers here run in {', '.join(sorted(known))}" if known else "no offer here says where it runs"
        raise InvalidField(f"nothing could answer in the region `{region}`: {told}", param="region")


def _check_fallbacks(catalogue: Catalogue, profile: Profile) -> None:
    allowed = _ids(catalogue, profile.allowed_models or ())
    for at, name in enumerate(profile.fallbacks):
        if profile.allowed_models is not None and not _ids(catalogue, (name,)) <= allowed:
            problem = f"`{name}` is not among `allowed_models`: {', '.join(profile.allowed_models[:10])}"
            raise InvalidField(f"{problem}; allow it, or leave it out", param=f"fallbacks[{at}]")


def _ids(catalogue: Catalogue, names: Iterable[str]) -> set[ModelId]:
    return {ModelId(name) if (model := catalogue.find(name)) is None else model.id for name in names}


def excess(rooms: Rooms, organization_id: str) -> OverLimit | None:
    """That an organization has more profiles than its plan allows; None: it has not."""
    counts = {LIMIT: len(rooms.store.profiles.live(organization_id))}
    found = over(rooms.store.plans.grants(organization_id), counts)
    return OverLimit(found[0].name, found[0].limit, found[0].current, effect(found[0])) if found else None


def beyond(rooms: Rooms, organization_id: str) -> frozenset[str]:
    """The ids of an organization's profiles that its plan has no room for: the newest."""
    limit = rooms.store.plans.grants(organization_id).limit(LIMIT)
    return (
        frozenset(one.id for one in rooms.store.profiles.live(organization_id)[limit:]) if limit >= 0 else frozenset()
    )


def profile_entries(rooms: Rooms, profiles: Iterable[Profile]) -> list[ProfileEntry]:
    """Profiles of one organization as they are told of."""
    found, over_limit = list[ProfileEntry](), None
    for one in profiles:
        if over_limit is None:
            over_limit = beyond(rooms, rooms.store.workspaces.workspace(one.workspace_id).organization_id)
        found.append(_entry(rooms, one, is_over=one.id in over_limit))
    return found


def profile_entry(rooms: Rooms, profile: Profile) -> ProfileEntry:
    """A profile as it is told of."""
    return profile_entries(rooms, (profile,))[0]


def _entry(rooms: Rooms, one: Profile, *, is_over: bool) -> ProfileEntry:
    key = rooms.store.profiles.key_of(one)
    return ProfileEntry(
        id=one.id,
        name=one.name,
        workspace_id=one.workspace_id,
        tier_floor=one.tier_floor or None,
        tier_ceiling=one.tier_ceiling or None,
        max_cost_usd=None if one.max_cost_nano is None else usd(one.max_cost_nano),
        needs=list(one.needs),
        tool_calling_min=number(fraction(one.tool_calling_milli)) if one.tool_calling_milli else None,
        quality=one.quality,
        mode=one.mode or None,
        allowed_models=None if one.allowed_models is None else list(one.allowed_models),
        allowed_providers=None if one.allowed_providers is None else list(one.allowed_providers),
        ignored_providers=list(one.ignored_providers),
        region=one.region or None,
        fallbacks=list(one.fallbacks),
        sort=one.sorts_by or None,
        key=None if key is None else ProfileKey(key.id, key.prefix, key.state),
        over_limit=is_over,
        created_at=iso(one.created_at * 1000),
        changed_at=iso(one.changed_at * 1000),
    )


def fraction(milli: int) -> str:
    """Thousandths as decimal text: `0.85`, `1`."""
    whole, rest = divmod(milli, 1_000)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".")
