"""The routing fields of a request, decoded, become a `Wish`, or a 400 that names the field and says what would do.

Our own fields, Routor's names for them (`routor_*`), `model: "auto"`, `auto:<tier>`, variants, and OpenRouter's `provider`
object. Nothing is ignored silently: a wish that we have no facts for is refused unless it asks for nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar, cast

import msgspec

from tollway.catalogue.units import INPUT, INPUT_IMAGE, OUTPUT, REQUEST, Unit
from tollway.errors import InvalidField
from tollway.jsontypes import JSON, JSONObject
from tollway.money.amount import NANO_PER_USD, NotAnAmount, PicoUSD, parse_per_million, parse_pico, parse_usd
from tollway.routing.tiers import TIERS, Tier, tier_of
from tollway.routing.wish import NEEDS, PLAIN, VARIANTS, Mode, Sort, Variant, Wish

AUTO = "auto"
ALIASES: Mapping[str, str] = {
    "routor_tier": "tier",
    "routor_tier_floor": "tier_floor",
    "routor_tier_ceiling": "tier_ceiling",
    "routor_max_cost": "max_cost",
    "routor_bfcl_min": "tool_calling_min",
    "routor_code_quality": "code_quality",
    "routor_chat_quality": "chat_quality",
}
"""Routor's names of our fields; `routor_profile` says how the model is chosen."""
OWN_FIELDS = frozenset({*ALIASES.values(), "profile", "quality", "needs"})
ROUTING_FIELDS = OWN_FIELDS | ALIASES.keys() | {"routor_profile", "provider"}
"""Top-level fields that `wish_of` reads beside `model`; none of them travels upstream."""
PROVIDER_FIELDS = frozenset({
    "order", "only", "ignore", "allow_fallbacks", "require_parameters", "sort", "max_price", "data_collection", "zdr",
    "region", "quantizations", "enforce_distillable_text",
})  # fmt: skip
KNOBS: Mapping[str, float] = {"cheapest": 0.0, "balanced": 0.5, "best": 1.0, "fastest": 0.5}
_SORTS = ("price", "throughput", "latency")
_PRICES: Mapping[str, tuple[Unit, Callable[[str], PicoUSD]]] = {
    "prompt": (INPUT, parse_per_million),
    "completion": (OUTPUT, parse_per_million),
    "request": (REQUEST, parse_pico),
    "image": (INPUT_IMAGE, parse_pico),
}
_LIST_MAX = 100
Value = TypeVar("Value")


def wish_of(model: str, fields: Mapping[str, JSON]) -> Wish:
    """The wish of one request.

    Args:
        model: as asked. fields: those of ROUTING_FIELDS that are there, decoded; others are not looked at.

    Raises:
        InvalidField: a field that is wrong, that contradicts another, or that asks for what nobody knows.
    """
    named, variants = _split(model)
    if not fields and named != AUTO:
        return PLAIN
    given = _given(fields)
    tier, mode = _mode(named, variants, given, fields.get("routor_profile"))
    variant = _variant(variants) if named == AUTO else ""
    preferences = _provider(fields.get("provider"))
    quality = given.get("quality")
    sort = cast("Sort", preferences.get("sort", "")) or VARIANTS.get(variant, "")
    if quality == "fastest" and not sort:
        sort = "latency"
    preferences["sort"] = sort
    wish = Wish(
        mode=mode,
        tier=tier or "",
        floor=_tier("tier_floor", given.get("tier_floor")) or "",
        ceiling=_tier("tier_ceiling", given.get("tier_ceiling")) or "",
        max_cost_nano=_cost(given.get("max_cost")),
        tool_calling_min=_fraction("tool_calling_min", given.get("tool_calling_min")) or 0.0,
        quality_knob=_knob(quality),
        needs=_needs(given.get("needs")),
        code_quality=_level("code_quality", given.get("code_quality")),
        chat_quality=_level("chat_quality", given.get("chat_quality")),
        variant=variant,
        profile=_text("profile", given.get("profile")),
    )
    return msgspec.structs.replace(wish, **preferences).checked()


def _split(model: str) -> tuple[str, tuple[str, ...]]:
    """`auto:light:nitro` is `auto` with `light` and `nitro`; any other name stays whole."""
    first, *rest = model.split(":")
    return (AUTO, tuple(rest)) if first.lower() == AUTO else (model, ())


def _given(fields: Mapping[str, JSON]) -> JSONObject:
    """Our fields by our own names. Raises InvalidField where one is asked twice and differently."""
    found: JSONObject = {name: fields[name] for name in fields if name in OWN_FIELDS and fields[name] is not None}
    for alias, name in ALIASES.items():
        value = fields.get(alias)
        if value is None:
            continue
        if name in found and str(found[name]).lower() != str(value).lower():
            raise InvalidField(f"`{alias}` and `{name}` say different things; send one of them", param=alias)
        found[name] = value
    return found


def _mode(named: str, variants: tuple[str, ...], given: Mapping[str, JSON], profile: JSON) -> tuple[Tier | None, Mode]:
    """The pinned tier, if any, and how the model is chosen."""
    tier = _tier("tier", given.get("tier"))
    for one in variants:
        pinned = tier_of(one)
        if pinned is None:
            if one not in VARIANTS:
                what = f"{', '.join(TIERS)}, {', '.join(VARIANTS)}"
                raise InvalidField(f"`auto:{one}`: after the colon comes one of {what}", param="model")
        elif tier not in {None, pinned}:
            raise InvalidField(f"`model` pins the tier `{pinned}`, another place `{tier}`; send one", param="tier")
        else:
            tier = pinned
    if profile is None:
        if named == AUTO:
            return tier, "auto" if tier is None else "tier"
        if tier is not None:
            raise InvalidField(f'`tier` chooses the model; send `"model": "auto"` with it, not `{named}`', param="tier")
        return None, "direct"
    match profile:
        case "auto":
            # As documented there: the tier is read by `tier` alone, and the model by `direct` alone.
            return (tier, "tier") if variants and tier else (None, "auto")
        case "tier" if tier is not None:
            return tier, "tier"
        case "tier":
            raise InvalidField(
                f"`routor_profile` is `tier`, and no tier is named; send `routor_tier`: {', '.join(TIERS)}",
                param="routor_tier",
            )
        case "direct" if named != AUTO:
            return None, "direct"
        case "direct":
            raise InvalidField("`routor_profile` is `direct`; name a model of `GET /v1/models`", param="model")
        case _:
            raise InvalidField("`routor_profile` is one of auto, tier, direct", param="routor_profile")


def _variant(variants: tuple[str, ...]) -> Variant:
    found = [one for one in variants if one in VARIANTS]
    if len(found) > 1:
        raise InvalidField(f"`model` has {' and '.join(found)}; one of them at most", param="model")
    return cast("Variant", found[0]) if found else ""


def _tier(param: str, value: JSON) -> Tier | None:
    if value is None:
        return None
    found = tier_of(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidField(f"`{param}` is {_shown(value)}; it is one of {', '.join(TIERS)}", param=param)
    return found


def _cost(value: JSON) -> int | None:
    if value is None:
        return None
    nano = _amount("max_cost", value, parse_usd)
    if not 0 < nano <= 1_000_000 * NANO_PER_USD:
        raise InvalidField("`max_cost` is in USD for the whole request and more than 0, such as 0.05", param="max_cost")
    return nano


def _amount(param: str, value: JSON, parse: Callable[[str], int]) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidField(f'`{param}` is {_shown(value)}; write USD such as "0.05"', param=param)
    try:
        return parse(str(value))
    except NotAnAmount as error:
        raise InvalidField(f"`{param}`: {error}", param=param) from None


def _fraction(param: str, value: JSON) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidField(f"`{param}` is {_shown(value)}; it is a number from 0 to 1", param=param)
    return float(value)


def _knob(value: JSON) -> float | None:
    if isinstance(value, str):
        if value not in KNOBS:
            what = ", ".join(KNOBS)
            raise InvalidField(f"`quality` is {_shown(value)}; it is a number from 0 to 1, or {what}", param="quality")
        return KNOBS[value]
    return _fraction("quality", value)


def _level(param: str, value: JSON) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in {0, 1, 2}:
        raise InvalidField(f"`{param}` is {_shown(value)}; it is 0 (fast), 1 (balanced) or 2 (best)", param=param)
    return int(value)


def _needs(value: JSON) -> frozenset[str]:
    found = frozenset(_names("needs", value, lower=False))
    if unknown := sorted(found.difference(NEEDS)):
        raise InvalidField(f"`needs` has `{unknown[0]}`; it is a list of {', '.join(NEEDS)}", param="needs")
    return found


def _text(param: str, value: JSON, length: int = 200) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= length:
        raise InvalidField(f"`{param}` is {_shown(value)}; it is a text of 1 to {length} characters", param=param)
    return value


def _names(param: str, value: JSON, *, lower: bool = True) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _LIST_MAX or not all(isinstance(one, str) for one in value):
        raise InvalidField(f"`{param}` is {_shown(value)}; it is a list of at most {_LIST_MAX} texts", param=param)
    names = cast("list[str]", value)
    return tuple(dict.fromkeys(one.lower() if lower else one for one in names))


def _flag(param: str, value: JSON, *, default: bool) -> bool:
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidField(f"`{param}` is {_shown(value)}; it is true or false", param=param)
    return value


def _provider(value: JSON) -> dict[str, object]:
    """The fields of a `Wish` that a `provider` object sets."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidField(f"`provider` is {_shown(value)}; it is an object", param="provider")
    for name in value:
        if name not in PROVIDER_FIELDS:
            what = ", ".join(sorted(PROVIDER_FIELDS))
            raise InvalidField(f"`provider.{name}` is not a field; there are {what}", param=f"provider.{name}")
    _refuse_unknowable(value)
    get = value.get
    found: dict[str, object] = {
        "order": _names("provider.order", get("order")),
        "ignored_providers": frozenset(_names("provider.ignore", get("ignore"))),
        "fallbacks": _flag("provider.allow_fallbacks", get("allow_fallbacks"), default=True),
        "requires_parameters": _flag("provider.require_parameters", get("require_parameters"), default=False),
        "region": _text("provider.region", get("region"), 40).lower(),
        "sort": _sort(get("sort")),
        "max_price": _max_price(get("max_price")),
    }
    if only := _names("provider.only", get("only")):
        found["allowed_providers"] = frozenset(only)
    return found


def _refuse_unknowable(value: Mapping[str, JSON]) -> None:
    """Wishes about which the catalogue has no facts: refused, unless they ask for nothing."""
    idle: Iterable[tuple[str, tuple[JSON, ...], str]] = (
        ("data_collection", ("allow",), "how providers keep data"),
        ("zdr", (False,), "which providers keep no data"),
        ("enforce_distillable_text", (False,), "which models may be distilled"),
    )
    for name, nothing, what in idle:
        asked = value.get(name)
        if asked is not None and asked not in nothing:
            raise InvalidField(
                f"`provider.{name}` is {_shown(asked)}, and nothing is known here of {what}, so it cannot be promised; leave "
                f"it out, and choose providers by `provider.only`",
                param=f"provider.{name}",
            )
    if value.get("quantizations"):
        raise InvalidField(
            "`provider.quantizations`: nothing is known here of how providers quantize; leave it out, and choose providers "
            "by `provider.only`",
            param="provider.quantizations",
        )


def _sort(value: JSON) -> Sort:
    if isinstance(value, dict):
        by: JSON = value.get("by")
        if value.keys() - {"by", "partition"} or value.get("partition") not in (None, "model"):
            raise InvalidField(
                '`provider.sort` is {"by": ...}; offers are sorted within each model', param="provider.sort"
            )
        value = by
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or value not in _SORTS:
        raise InvalidField(
            f"`provider.sort` is {_shown(value)}; it is one of {', '.join(_SORTS)}", param="provider.sort"
        )
    return cast("Sort", value)


def _max_price(value: JSON) -> dict[Unit, PicoUSD]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidField(f"`provider.max_price` is {_shown(value)}; it is an object", param="provider.max_price")
    found = dict[Unit, PicoUSD]()
    for name, amount in value.items():
        param = f"provider.max_price.{name}"
        if name not in _PRICES:
            raise InvalidField(f"`{param}` is not a price; there are {', '.join(_PRICES)}", param=param)
        if amount is None:
            continue
        unit, parse = _PRICES[name]
        price = PicoUSD(_amount(param, amount, parse))
        if price < 0:
            raise InvalidField(f"`{param}` is not negative", param=param)
        if unit == INPUT_IMAGE:
            raise InvalidField(
                f"`{param}`: images are priced as tokens here; bound them by `provider.max_price.prompt`", param=param
            )
        found[unit] = price
    return found


def _shown(value: JSON) -> str:
    return f"`{str(value)[:40]}`"
