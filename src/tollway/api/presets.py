"""`/v1/presets` and `/v1/aliases`: names of a workspace's own for models, and for models with parameters."""

import logging
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api.acting import acting
from tollway.api.edge import AskedBody, Page, body_of, documented, iso, paged, said
from tollway.api.models import unknown_model
from tollway.api.profile_shapes import Deleted, DeletedReply
from tollway.api.rooms import Rooms
from tollway.catalogue.offers import Catalogue
from tollway.errors import InvalidField
from tollway.jsontypes import JSON
from tollway.store.presets import Named
from tollway.workspaces.actor import Actor
from tollway.workspaces.profile import (
    ALIAS_MAX,
    AUTO,
    PRESET_NAME,
    SYSTEM_MAX,
    TIERS,
    Alias,
    Preset,
    preset_reference,
)

Looking = Annotated[Actor, acting("models")]
Managing = Annotated[Actor, acting("keys")]
PresetName = Annotated[str, Field(pattern=f"^{PRESET_NAME}$", examples=["support-bot"])]
PresetModel = Annotated[
    str | None,
    Field(
        max_length=200, description="An id or alias of `GET /v1/models`, `auto` or `auto:<tier>`; null: the request's."
    ),
]
Parameters = Annotated[
    dict[str, Any],
    Field(
        description="Chat parameters of the OpenAI shape, without messages and without fields of our own.",
        json_schema_extra={"examples": [{"temperature": 0.2, "max_tokens": 400}]},
    ),
]
System = Annotated[str | None, Field(max_length=SYSTEM_MAX, description="A prompt before all messages; null: none.")]
Description = Annotated[str, Field(max_length=500)]
Target = Annotated[
    str, Field(min_length=1, max_length=200, description="A model, `auto`, `auto:<tier>` or `@preset/name`.")
]
_log = logging.getLogger("tollway.presets")


class NewPreset(AskedBody):
    """A preset to make."""

    name: PresetName
    model: PresetModel = None
    parameters: Parameters = Field(default_factory=dict[str, Any])
    system: System = None
    description: Description = ""


class PresetChange(AskedBody):
    """What to change of a preset; what is left out stays. `parameters` are replaced as a whole."""

    model: PresetModel = None
    parameters: Parameters = Field(default_factory=dict[str, Any])
    system: System = None
    description: Description = ""


class NewAlias(AskedBody):
    """An alias to make. override: it may have the name of a model, which it hides in this workspace."""

    name: Annotated[str, Field(min_length=1, max_length=ALIAS_MAX, examples=["fast"])]
    target: Target
    override: bool = False


class AliasChange(AskedBody):
    """What to change of an alias; what is left out stays."""

    target: Target = ""
    override: bool = False


class PresetVersion(msgspec.Struct):
    """One version of a preset; it never changes. created_by: id of a key, user or operator."""

    version: int
    model: str | None
    parameters: dict[str, JSON]
    system: str | None
    created_by: str | None
    created_at: str


class PresetEntry(msgspec.Struct):
    """A preset and its newest version. reference: what a request names as its `model`."""

    name: str
    reference: str
    description: str
    version: int
    model: str | None
    parameters: dict[str, JSON]
    system: str | None
    created_at: str
    changed_at: str


class PresetReply(msgspec.Struct):
    """A preset."""

    data: PresetEntry


class PresetList(msgspec.Struct):
    """The presets of a workspace, oldest first."""

    data: list[PresetEntry]
    has_more: bool
    next_cursor: str | None


class PresetVersionList(msgspec.Struct):
    """The versions of a preset, newest first."""

    data: list[PresetVersion]
    has_more: bool
    next_cursor: str | None


class AliasEntry(msgspec.Struct):
    """Another name. override: it may hide a model of that name."""

    id: str
    name: str
    target: str
    override: bool
    created_at: str
    changed_at: str


class AliasReply(msgspec.Struct):
    """An alias."""

    data: AliasEntry


class AliasList(msgspec.Struct):
    """The aliases of a workspace, oldest first."""

    data: list[AliasEntry]
    has_more: bool
    next_cursor: str | None


REPLIES: tuple[type[msgspec.Struct], ...] = (PresetReply, PresetList, PresetVersionList, AliasReply, AliasList)
BODIES = (NewPreset, PresetChange, NewAlias, AliasChange)


class Presets:
    """The endpoints of presets."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._store = rooms.store.presets

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["presets"])
        one = "/v1/presets/{preset_name}"
        add("/v1/presets", self.list_presets, methods=["GET"], **documented(PresetList))
        add("/v1/presets", self.add, methods=["POST"], **documented(PresetReply, body=NewPreset, status=201))
        add(one, self.show, methods=["GET"], **documented(PresetReply))
        add(one, self.change, methods=["PATCH"], **documented(PresetReply, body=PresetChange))
        add(one, self.delete, methods=["DELETE"], **documented(DeletedReply))
        add("/v1/presets/{preset_name}/versions", self.versions, methods=["GET"], **documented(PresetVersionList))

    async def list_presets(self, actor: Looking, page: Annotated[Page, Query()]) -> Response:
        """The presets of the workspace, each in its newest version."""
        shown, more, cursor = paged(self._store.presets_of(actor.workspace_id), page, lambda one: one.name)
        return said(PresetList([_preset(one) for one in shown], more, cursor))

    async def show(self, actor: Looking, preset_name: str) -> Response:
        """One preset in its newest version."""
        return said(PresetReply(_preset(self._store.preset(actor.workspace_id, preset_name))))

    async def versions(self, actor: Looking, preset_name: str, page: Annotated[Page, Query()]) -> Response:
        """Every version of a preset, newest first."""
        found = self._store.preset(actor.workspace_id, preset_name).versions[::-1]
        shown, more, cursor = paged(found, page, lambda one: str(one.version))
        return said(PresetVersionList([_version(one) for one in shown], more, cursor))

    async def add(self, actor: Managing, asked: Annotated[NewPreset, body_of(NewPreset)]) -> Response:
        """Make a preset: its first version, or the next one of a name that was deleted."""
        first = Preset(
            workspace_id=actor.workspace_id,
            name=asked.name,
            version=0,
            model=_checked_model(self._rooms.catalogue(), asked.model),
            parameters=asked.parameters,
            system=asked.system or "",
        )
        made = await self._store.add(first, asked.description, by=actor.by)
        _log.info("%s %s made preset %s", actor.kind, actor.id, made.name)
        return said(PresetReply(_preset(made)), 201)

    async def change(
        self, actor: Managing, preset_name: str, asked: Annotated[PresetChange, body_of(PresetChange)]
    ) -> Response:
        """Change a preset: a new version, which requests that name none get from now on. The others stay as they are."""
        given = asked.model_fields_set

        def changed(old: Preset) -> Preset:
            return msgspec.structs.replace(
                old,
                model=_checked_model(self._rooms.catalogue(), asked.model) if "model" in given else old.model,
                parameters=asked.parameters if "parameters" in given else old.parameters,
                system=(asked.system or "") if "system" in given else old.system,
            )

        described = asked.description if "description" in given else None
        found = await self._store.change(actor.workspace_id, preset_name, changed, described, by=actor.by)
        _log.info("%s %s changed preset %s", actor.kind, actor.id, found.name)
        return said(PresetReply(_preset(found)))

    async def delete(self, actor: Managing, preset_name: str) -> Response:
        """Delete a preset: requests that name it are refused from now on."""
        deleted = await self._store.delete(actor.workspace_id, preset_name, by=actor.by)
        _log.info("%s %s deleted preset %s", actor.kind, actor.id, deleted.name)
        return said(DeletedReply(Deleted(deleted.name, deleted=True)))


class Aliases:
    """The endpoints of aliases."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._store = rooms.store.profiles

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["aliases"])
        one = "/v1/aliases/{alias_id}"
        add("/v1/aliases", self.list_aliases, methods=["GET"], **documented(AliasList))
        add("/v1/aliases", self.add, methods=["POST"], **documented(AliasReply, body=NewAlias, status=201))
        add(one, self.show, methods=["GET"], **documented(AliasReply))
        add(one, self.change, methods=["PATCH"], **documented(AliasReply, body=AliasChange))
        add(one, self.delete, methods=["DELETE"], **documented(DeletedReply))

    async def list_aliases(self, actor: Looking, page: Annotated[Page, Query()]) -> Response:
        """The aliases of the workspace."""
        shown, more, cursor = paged(self._store.aliases_of(actor.workspace_id), page, lambda one: one.id)
        return said(AliasList([_alias(one) for one in shown], more, cursor))

    async def show(self, actor: Looking, alias_id: str) -> Response:
        """One alias of the workspace."""
        return said(AliasReply(_alias(self._store.alias_by_id(alias_id, actor.workspace_id))))

    async def add(self, actor: Managing, asked: Annotated[NewAlias, body_of(NewAlias)]) -> Response:
        """Make an alias, which every request of the workspace may name from now on."""
        target = self._checked(actor, asked.name.strip(), asked.target, is_override=asked.override)
        made = await self._store.add_alias(
            actor.workspace_id, asked.name, target, is_override=asked.override, by=actor.by
        )
        _log.info("%s %s made alias %s", actor.kind, actor.id, made.id)
        return said(AliasReply(_alias(made)), 201)

    async def change(
        self, actor: Managing, alias_id: str, asked: Annotated[AliasChange, body_of(AliasChange)]
    ) -> Response:
        """Give an alias another target, from the next request on; what is left out stays."""
        old, given = self._store.alias_by_id(alias_id, actor.workspace_id), asked.model_fields_set
        is_override = asked.override if "override" in given else old.is_override
        target = self._checked(
            actor, old.name, asked.target if "target" in given else old.target, is_override=is_override
        )
        changed = await self._store.change_alias(
            alias_id, actor.workspace_id, target=target, is_override=is_override, by=actor.by
        )
        _log.info("%s %s changed alias %s", actor.kind, actor.id, alias_id)
        return said(AliasReply(_alias(changed)))

    async def delete(self, actor: Managing, alias_id: str) -> Response:
        """Delete an alias: its name means again what it meant without it."""
        deleted = await self._store.delete_alias(alias_id, actor.workspace_id, by=actor.by)
        _log.info("%s %s deleted alias %s", actor.kind, actor.id, alias_id)
        return said(DeletedReply(Deleted(deleted.id, deleted=True)))

    def _checked(self, actor: Actor, name: str, target: str, *, is_override: bool) -> str:
        """The target, if it is one and the name hides nothing unasked. Raises InvalidField, ModelNotFound."""
        catalogue = self._rooms.catalogue()
        hidden = catalogue.find(name)
        if hidden is not None and not is_override:
            problem = f"`{name}` is a name of the model `{hidden.id}`"
            raise InvalidField(f"{problem}; take another name, or say `override: true` to hide it here", param="name")
        target = target.strip()
        try:
            reference = preset_reference(target)
            if reference is not None:
                self._rooms.store.presets.find(actor.workspace_id, reference)
        except InvalidField as error:
            raise InvalidField(error.message, param="target") from None
        if reference is None:
            return _checked_name(catalogue, target, "target")
        if reference.model:
            raise InvalidField(
                f"`{target}` names a model and a preset; an alias stands for one of them", param="target"
            )
        return target


def _checked_model(catalogue: Catalogue, name: str | None) -> str:
    return "" if name is None else _checked_name(catalogue, name.strip(), "model")


def _checked_name(catalogue: Catalogue, name: str, param: str) -> str:
    """A name that routing or the catalogue knows. Raises InvalidField, ModelNotFound with the nearest names."""
    auto, colon, tier = name.partition(":")
    if auto == AUTO:
        if colon and tier not in TIERS:
            raise InvalidField(f"`{name}`: after `auto:` comes one of {', '.join(TIERS)}", param=param)
        return name
    if catalogue.find(name) is None:
        raise unknown_model(catalogue, name, param)
    return name


def _preset(one: Named) -> PresetEntry:
    newest = one.newest
    return PresetEntry(
        one.name,
        f"@preset/{one.name}",
        one.description,
        newest.version,
        newest.model or None,
        dict(newest.parameters),
        newest.system or None,
        iso(one.created_at * 1000),
        iso(newest.created_at * 1000),
    )


def _version(one: Preset) -> PresetVersion:
    return PresetVersion(
        one.version,
        one.model or None,
        dict(one.parameters),
        one.system or None,
        one.created_by or None,
        iso(one.created_at * 1000),
    )


def _alias(one: Alias) -> AliasEntry:
    return AliasEntry(
        one.id, one.name, one.target, one.is_override, iso(one.created_at * 1000), iso(one.changed_at * 1000)
    )
