"""Routing profiles, aliases and presets of a workspace: what they say, and what of it is refused.

A profile is a set of rules with an API key of its own. An alias is another name of something that can be asked for. A
preset is a model with parameters, kept in versions that never change.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

import msgspec

from tollway.errors import InvalidField, ValidationFailed
from tollway.jsontypes import JSON
from tollway.money.amount import NANO_PER_USD
from tollway.workspaces.workspace import checked_name

Tier = Literal["nano", "simple", "light", "standard", "complex"]
"""As in routing/tiers.py, cheapest first."""
TIERS: tuple[Tier, ...] = get_args(Tier)
Need = Literal["tools", "json_schema", "vision", "audio", "file", "video", "reasoning"]
NEEDS: tuple[Need, ...] = get_args(Need)
ProfileMode = Literal["cheapest", "balanced", "best", "fastest"]
MODES: Mapping[ProfileMode, int] = {"cheapest": 0, "balanced": 50, "best": 100, "fastest": 50}
"""Mode -> the quality that it sets, percent. `fastest` sorts by latency, too."""
Sort = Literal["price", "throughput", "latency"]
AUTO = "auto"
NAMES_MAX = 100
FALLBACKS_MAX = 16
REGION_MAX = 40
ALIAS_MAX = 200
SYSTEM_MAX = 50_000
PARAMETERS_BYTES_MAX = 65_536
PRESET_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
MARK = "@preset/"
"""Names a preset in `model`: `@preset/name`, `@preset/name@3`, `openai/gpt-4o@preset/name`."""
_PRESET_NAME = re.compile(PRESET_NAME)
_REFERENCE = re.compile(rf"({PRESET_NAME})(?:@([1-9]\d{{0,8}}))?")
_BOUNDS = ("max_tokens", "max_completion_tokens")
"""Two names of one field."""
NOT_PARAMETERS = frozenset({
    "model", "models", "messages", "stream", "stream_options", "preset", "provider", "user_id", "max_price", "max_cost",
    "tier", "tier_floor", "tier_ceiling", "tool_calling_min", "quality", "needs", "code_quality", "chat_quality", "profile",
    "assistant_id", "conversation_id", "plugins", "route", "api_base", "base_url", "api_key", "api_version",
    "organization", "extra_headers", "headers", "extra_body", "custom_llm_provider",
})  # fmt: skip
"""What a preset does not set: what is asked, how it is answered, where it goes and who pays."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Rules of routing with a key of their own. "", None and () mean no rule.

    tier_floor, tier_ceiling: no task is answered below or above. max_cost_nano: most that one request may cost, nano-USD.
    needs: what every model must be able to do. tool_calling_milli: least score of calling tools, thousandths. quality:
    percent, 0 cheapest, 100 best. mode: what set it, "" if it was given as a number. allowed_models, fallbacks: ids or
    aliases of the catalogue; fallbacks in their order. *_providers: ids. sort: of the offers of one model. *_at: unix
    seconds.
    """

    id: str
    workspace_id: str
    name: str
    tier_floor: Tier | Literal[""] = ""
    tier_ceiling: Tier | Literal[""] = ""
    max_cost_nano: int | None = None
    needs: tuple[Need, ...] = ()
    tool_calling_milli: int = 0
    quality: int | None = None
    mode: ProfileMode | Literal[""] = ""
    allowed_models: tuple[str, ...] | None = None
    allowed_providers: tuple[str, ...] | None = None
    ignored_providers: tuple[str, ...] = ()
    region: str = ""
    fallbacks: tuple[str, ...] = ()
    sort: Sort | Literal[""] = ""
    created_at: int = 0
    changed_at: int = 0

    @property
    def sorts_by(self) -> Sort | Literal[""]:
        """How offers are sorted: as it says, else as its mode does."""
        return self.sort or ("latency" if self.mode == "fastest" else "")


class Alias(msgspec.Struct, frozen=True, gc=False):
    """Another name. target: a model of the catalogue, `auto`, `auto:<tier>` or `@preset/...`.

    is_override: it may be the name of a model of the catalogue, which it then hides. *_at: unix seconds.
    """

    id: str
    workspace_id: str
    name: str
    target: str
    is_override: bool = False
    created_at: int = 0
    changed_at: int = 0


class Preset(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One version of a preset. model: a model of the catalogue, `auto`, `auto:<tier>`, or "" to leave it to the request.

    parameters: chat parameters of the OpenAI shape. system: a prompt that goes before all messages, "" none. created_by:
    id of the key, user or operator. created_at: of this version, unix seconds.
    """

    workspace_id: str
    name: str
    version: int
    model: str = ""
    parameters: Mapping[str, JSON] = {}
    system: str = ""
    created_by: str = ""
    created_at: int = 0


class Reference(NamedTuple):
    """A preset that a request names. version: None is the newest. model: what was named before the mark, "" nothing."""

    name: str
    version: int | None = None
    model: str = ""


def checked_profile(profile: Profile) -> Profile:
    """The profile as it is kept. Whether models and providers exist is for whoever knows the catalogue.

    Raises:
        InvalidField: two rules contradict each other; both are named. ValidationFailed: a name or number is out of range.
    """
    floor, ceiling, mode = profile.tier_floor, profile.tier_ceiling, profile.mode
    if floor and ceiling and TIERS.index(floor) > TIERS.index(ceiling):
        raise InvalidField(
            f"`tier_floor` is `{floor}`, above `tier_ceiling` `{ceiling}`; no tier lies between. The tiers, cheapest "
            f"first: {', '.join(TIERS)}",
            param="tier_floor",
        )
    if mode and profile.quality not in {None, MODES[mode]}:
        raise InvalidField(
            f"`mode` `{mode}` sets `quality` to {MODES[mode]}, and `quality` is {profile.quality}; give one of them",
            param="quality",
        )
    cost = profile.max_cost_nano
    if cost is not None and not 0 < cost <= 1_000_000 * NANO_PER_USD:
        raise ValidationFailed(
            "`max_cost_usd` is more than 0, and at most 1000000; null for none.", param="max_cost_usd"
        )
    if not 0 <= profile.tool_calling_milli <= 1_000:
        raise ValidationFailed("`tool_calling_min` is 0 to 1.", param="tool_calling_min")
    if not 0 <= (profile.quality or 0) <= 100:
        raise ValidationFailed("`quality` is 0 to 100, percent.", param="quality")
    found = msgspec.structs.replace(
        profile,
        name=checked_name(profile.name, "routing profile"),
        quality=MODES[mode] if mode else profile.quality,
        needs=tuple(one for one in NEEDS if one in profile.needs),
        allowed_models=None if profile.allowed_models is None else _distinct(profile.allowed_models),
        allowed_providers=None if profile.allowed_providers is None else _lowered(profile.allowed_providers),
        ignored_providers=_lowered(profile.ignored_providers),
        region=profile.region.strip().lower(),
        fallbacks=_distinct(profile.fallbacks),
    )
    _check_lists(found)
    return found


def _check_lists(profile: Profile) -> None:
    allowed, ignored = profile.allowed_providers, profile.ignored_providers
    for param, names in (("allowed_models", profile.allowed_models), ("allowed_providers", allowed)):
        if names is not None and not names:
            raise InvalidField(f"`{param}` is empty, so nothing could answer; null allows all", param=param)
    if allowed is not None and set(allowed) <= set(ignored):
        raise InvalidField(
            f"`ignored_providers` has all of `allowed_providers`: {', '.join(allowed)}; nothing could answer",
            param="ignored_providers",
        )


def checked_alias(alias: Alias) -> Alias:
    """The alias as it is kept. What its name hides and its target reaches is for whoever knows the catalogue.

    Raises:
        ValidationFailed: the name cannot be one. InvalidField: it is `auto`.
    """
    name, target = alias.name.strip(), alias.target.strip()
    if not 1 <= len(name) <= ALIAS_MAX or not name.isprintable() or " " in name or "@" in name:
        problem = f"An alias has 1 to {ALIAS_MAX} printable characters without spaces and without @."
        raise ValidationFailed(problem, param="name")
    if name.lower().partition(":")[0] == AUTO:
        raise InvalidField(f"`{name}` always means what routing chooses; take another name", param="name")
    return msgspec.structs.replace(alias, name=name, target=target)


def checked_preset(preset: Preset) -> Preset:
    """The version as it is kept. Raises ValidationFailed or InvalidField with the field as `param`."""
    if _PRESET_NAME.fullmatch(preset.name) is None:
        text = "The name of a preset has 1 to 63 characters of a-z, 0-9, dot, dash and underscore; a letter or digit first."
        raise ValidationFailed(text, param="name")
    for name in preset.parameters:
        if name in NOT_PARAMETERS or name.startswith("routor_"):
            problem = f"`{name}` is no parameter of a preset"
            hint = "`model` and `system` stand beside it" if name in {"model", "messages"} else "the request says it"
            raise InvalidField(f"{problem}; {hint}", param=f"parameters.{name}")
    bounds = [name for name in _BOUNDS if name in preset.parameters]
    if len(bounds) > 1:
        raise InvalidField(
            "`max_tokens` and `max_completion_tokens` are one field; give one", param="parameters.max_tokens"
        )
    if len(preset.system) > SYSTEM_MAX:
        raise ValidationFailed(f"A system prompt has at most {SYSTEM_MAX} characters.", param="system")
    if len(_written(preset.parameters)) > PARAMETERS_BYTES_MAX:
        raise ValidationFailed(f"Parameters have at most {PARAMETERS_BYTES_MAX} bytes as JSON.", param="parameters")
    return preset


def _written(parameters: Mapping[str, JSON]) -> bytes:
    """Their JSON. Raises InvalidField: there is a number that JSON does not have."""
    try:
        text = msgspec.json.encode(parameters)
        if msgspec.json.decode(text) == parameters:
            return text
    except (OverflowError, RecursionError, UnicodeEncodeError, msgspec.MsgspecError):
        pass
    raise InvalidField("`parameters` has a value that no provider would read as it was given", param="parameters")


def preset_reference(model: str) -> Reference | None:
    """The preset that the `model` of a request names; None: it names none.

    Raises:
        InvalidField: what follows the mark is no name of a preset.
    """
    before, mark, name = model.partition(MARK)
    return _reference(name, "model", before) if mark else None


def preset_named(name: str) -> Reference:
    """The preset that the field `preset` of a request names, `name` or `name@3`. Raises InvalidField."""
    return _reference(name.removeprefix(MARK), "preset", "")


def _reference(name: str, param: str, model: str) -> Reference:
    match = _REFERENCE.fullmatch(name)
    if match is None:
        shown = f"{MARK}{name[:100]}" if param == "model" else name[:100]
        raise InvalidField(f"`{shown}` names no preset; write {MARK}name or {MARK}name@3", param=param)
    return Reference(match[1], None if match[2] is None else int(match[2]), model)


def apply_preset(fields: Mapping[str, JSON], preset: Preset) -> dict[str, JSON]:
    """The fields of a chat request with those of a preset below them: whatever the request says itself stays.

    The preset's system prompt goes before the request's messages. `model` is the request's where it names one, also
    before the mark; else the preset's; it is left out where neither has one. `preset` is taken away.

    Args:
        fields: top-level fields of the request, decoded. preset: the version that it names.
    """
    found = {name: value for name, value in preset.parameters.items() if name not in _overruled(fields)}
    found.update(fields)
    found.pop("preset", None)
    asked = found.pop("model", None)
    named = asked.partition(MARK)[0] if isinstance(asked, str) else asked
    model = preset.model if named is None or named == "" else named
    if model != "":
        found["model"] = model
    messages = fields.get("messages")
    if preset.system and isinstance(messages, list):
        found["messages"] = [{"role": "system", "content": preset.system}, *messages]
    return found


def _overruled(fields: Mapping[str, JSON]) -> tuple[str, ...]:
    """Parameters that the request says under another name."""
    return _BOUNDS if any(name in fields for name in _BOUNDS) else ()


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _lowered(names: Iterable[str]) -> tuple[str, ...]:
    return _distinct(name.strip().lower() for name in names)
