"""Part of stop 1, read: the names of a workspace's own - aliases and presets - become what they stand for.

Whoever uses neither pays for one lookup. Fields that nothing touches travel in the caller's own bytes.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, cast

import msgspec

from tollway.errors import InvalidField
from tollway.jsontypes import JSON
from tollway.store.presets import Presets
from tollway.store.profiles import Profiles
from tollway.workspaces.profile import MARK, Preset, Reference, apply_preset, preset_named, preset_reference

Fields = Mapping[str, msgspec.Raw]
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Named(NamedTuple):
    """A chat body in the catalogue's names. alias: the name that was asked, "" if it is no alias. preset: `name@version`."""

    body: bytes
    alias: str = ""
    preset: str = ""


def named(profiles: Profiles, presets: Presets, workspace_id: str, fields: Fields) -> Named | None:
    """The body as routing reads it: an alias is its target, a preset lies below the fields of the request.

    Args:
        profiles, presets: of the installation. workspace_id: whose names. fields: top-level fields of the body as asked.

    Returns:
        None: nothing of the workspace's own is named.

    Raises:
        InvalidField: there is no such preset or version, two are named, or `preset` is no name.
    """
    model, field = _value(fields, "model"), _value(fields, "preset")
    if "preset" in fields and not isinstance(field, str):
        raise InvalidField("`preset` is the name of a preset, such as support or support@3", param="preset")
    if not isinstance(model, str):
        if model is not None:
            return None  # the reader says what is wrong with it
        model = ""
    before, mark, rest = model.partition(MARK)
    target = profiles.alias(workspace_id, before)
    asked = model if target is None else target + mark + rest
    reference = _reference(asked, field if isinstance(field, str) else None)
    if reference is None:
        if target is None:
            return None
        return Named(msgspec.json.encode({**fields, "model": target}), alias=before)
    preset = presets.find(workspace_id, reference)
    alias = "" if target is None else before
    return Named(_below(fields, asked, preset), alias, f"{preset.name}@{preset.version}")


def _value(fields: Fields, name: str) -> JSON:
    raw = fields.get(name)
    return None if raw is None else msgspec.json.decode(raw)


def _reference(model: str, field: str | None) -> Reference | None:
    reference = preset_reference(model)
    if field is None:
        return reference
    if reference is not None:
        raise InvalidField(f"`model` `{model}` names a preset, and so does `preset`; send one of them", param="preset")
    return preset_named(field)


def _below(fields: Fields, model: str, preset: Preset) -> bytes:
    """The body with a preset below it. What is no list of messages is left for the reader."""
    # Raw values pass through as they are: only the model and the list of messages are looked at.
    values = cast("dict[str, JSON]", {**fields, "model": model})
    with suppress(msgspec.MsgspecError):
        if "messages" in fields:
            values["messages"] = cast("list[JSON]", _list(fields["messages"]))
    return msgspec.json.encode(apply_preset(values, preset))
