"""What a request or a routing profile wishes of routing: one frozen value, and how two of them become the narrower one.

A profile narrows what its key may do, and a request may only narrow further: the higher floor, the lower ceiling, the
smaller cap, the common models. Where that leaves nothing, the error names both sides. Preferences that exclude nothing -
how much quality is worth, how offers are sorted - are the request's where it has one.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tollway.catalogue.units import Unit
from tollway.errors import InvalidField
from tollway.money.amount import PicoUSD
from tollway.routing.tiers import RANK, TIERS, Tier, higher, lower

Mode = Literal["direct", "auto", "tier"]
Sort = Literal["", "price", "throughput", "latency"]
Variant = Literal["", "free", "nitro", "floor"]
VARIANTS: Mapping[str, Sort] = {"free": "", "nitro": "throughput", "floor": "price"}
"""What may follow a model's name after a colon, and how it sorts the offers of that model."""
Need = Literal["tools", "json_schema", "vision", "audio", "file", "video", "reasoning"]
NEEDS: tuple[Need, ...] = ("tools", "json_schema", "vision", "audio", "file", "video", "reasoning")
KNOB_DEFAULT = 0.5


class Wish(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What may answer, and what is preferred among it. The defaults exclude nothing and prefer nothing.

    mode: `direct` names its models, `auto` lets the task decide, `tier` pins `tier`. floor, ceiling: tiers, "" none.
    max_cost_nano: most that the request may cost in its worst case, margin included, nano-USD. tool_calling_min: in
    [0, 1], of a request with tools. quality_knob: in [0, 1], from cheapest to best; None leaves it open. needs: besides
    what the request itself needs. allowed_models: ids or aliases; allowed_providers, ignored_providers: ids in lower
    case; None allows all. order: providers to try first. region: where an offer must run, "" anywhere. fallbacks: others
    than the first choice may be tried. max_price: pico-USD per unit. code_quality, chat_quality: 0 no floor, 1 balanced,
    2 best. requires_parameters: what the request needs holds for a named model too. profile_id, profile: whose rules these
    are.
    """

    mode: Mode = "direct"
    tier: Tier | Literal[""] = ""
    floor: Tier | Literal[""] = ""
    ceiling: Tier | Literal[""] = ""
    max_cost_nano: int | None = None
    tool_calling_min: float = 0.0
    quality_knob: float | None = None
    needs: frozenset[str] = frozenset()
    allowed_models: frozenset[str] | None = None
    allowed_providers: frozenset[str] | None = None
    ignored_providers: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()
    region: str = ""
    fallbacks: bool = True
    max_price: Mapping[Unit, PicoUSD] = {}
    code_quality: int = 0
    chat_quality: int = 0
    sort: Sort = ""
    variant: Variant = ""
    requires_parameters: bool = False
    profile_id: str = ""
    profile: str = ""

    @property
    def knob(self) -> float:
        """How much quality is worth against cost, in [0, 1]."""
        return KNOB_DEFAULT if self.quality_knob is None else self.quality_knob

    @property
    def has_range(self) -> bool:
        """Some tiers are out."""
        return bool(self.tier or self.floor or self.ceiling)

    def checked(self, floor_from: str = "`tier_floor`", ceiling_from: str = "`tier_ceiling`") -> "Wish":
        """The same, if its tiers agree with each other. Raises InvalidField naming both sides.

        Args:
            floor_from, ceiling_from: who set them, in words.
        """
        if self.floor and self.ceiling and RANK[self.floor] > RANK[self.ceiling]:
            raise InvalidField(
                f"{floor_from} is `{self.floor}`, above {ceiling_from} `{self.ceiling}`; no tier lies between. The tiers, "
                f"cheapest first: {', '.join(TIERS)}",
                param="tier_floor",
            )
        if self.tier and self.floor and RANK[self.tier] < RANK[self.floor]:
            raise InvalidField(
                f"`tier` is `{self.tier}`, below {floor_from} `{self.floor}`; ask for `{self.floor}` or above",
                param="tier",
            )
        if self.tier and self.ceiling and RANK[self.tier] > RANK[self.ceiling]:
            raise InvalidField(
                f"`tier` is `{self.tier}`, above {ceiling_from} `{self.ceiling}`; ask for `{self.ceiling}` or below",
                param="tier",
            )
        return self


PLAIN = Wish()
"""A request that names a model and wishes nothing."""


def merged(profile: Wish, request: Wish) -> Wish:
    """What both allow: the narrower of the two in every field.

    Args:
        profile: the rules of a routing profile; its mode and pinned tier are not read.
        request: what one request asks.

    Raises:
        InvalidField: together they leave nothing; the message names both.
    """
    whose = f"the {{}} of the profile `{profile.profile or profile.profile_id}`"
    floor, ceiling = _higher(profile.floor, request.floor), _lower(profile.ceiling, request.ceiling)
    knob = profile.quality_knob if request.quality_knob is None else request.quality_knob
    found = msgspec.structs.replace(
        request,
        floor=floor,
        ceiling=ceiling,
        max_cost_nano=_least(profile.max_cost_nano, request.max_cost_nano),
        tool_calling_min=max(profile.tool_calling_min, request.tool_calling_min),
        quality_knob=knob,
        needs=profile.needs | request.needs,
        allowed_models=_common(profile.allowed_models, request.allowed_models, "models", "models"),
        allowed_providers=_common(profile.allowed_providers, request.allowed_providers, "providers", "provider.only"),
        ignored_providers=profile.ignored_providers | request.ignored_providers,
        order=request.order or profile.order,
        region=_one_region(profile, request),
        fallbacks=profile.fallbacks and request.fallbacks,
        max_price=_least_prices(profile.max_price, request.max_price),
        code_quality=max(profile.code_quality, request.code_quality),
        chat_quality=max(profile.chat_quality, request.chat_quality),
        sort=request.sort or profile.sort,
        variant=request.variant or profile.variant,
        requires_parameters=profile.requires_parameters or request.requires_parameters,
        profile_id=profile.profile_id,
        profile=profile.profile,
    )
    return found.checked(
        whose.format("floor") if floor and floor == profile.floor else "`tier_floor`",
        whose.format("ceiling") if ceiling and ceiling == profile.ceiling else "`tier_ceiling`",
    )


def _higher(one: Tier | Literal[""], other: Tier | Literal[""]) -> Tier | Literal[""]:
    return higher(one, other) if one and other else one or other


def _lower(one: Tier | Literal[""], other: Tier | Literal[""]) -> Tier | Literal[""]:
    return lower(one, other) if one and other else one or other


def _least(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _least_prices(one: Mapping[Unit, PicoUSD], other: Mapping[Unit, PicoUSD]) -> Mapping[Unit, PicoUSD]:
    if not one or not other:
        return one or other
    return {**one, **{unit: min(price, one.get(unit, price)) for unit, price in other.items()}}


def _common(
    profile: frozenset[str] | None, request: frozenset[str] | None, what: str, param: str
) -> frozenset[str] | None:
    if profile is None or request is None:
        return request if profile is None else profile
    common = profile & request
    if not common:
        raise InvalidField(
            f"`{param}` allows {_listed(request)}; the {what} of this key's profile are {_listed(profile)}; they have none "
            "in common",
            param=param,
        )
    return common


def _one_region(profile: Wish, request: Wish) -> str:
    if profile.region and request.region and profile.region != request.region:
        raise InvalidField(
            f"`provider.region` is `{request.region}`; this key's profile stays in `{profile.region}`. Leave it out",
            param="provider.region",
        )
    return profile.region or request.region


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)[:10]) or "nothing"
