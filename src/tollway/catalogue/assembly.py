"""How offers become models, and every name that reaches one.

Order decides conflicts: an id comes before an alias, what the operator configured before what we ship, a model's own
provider before others that serve it too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tollway.catalogue.grouping import GroupRow, ModelsFile
from tollway.catalogue.offering import Item
from tollway.catalogue.offers import Catalogue, Model, ModelId, Offer, Provider, ProviderId
from tollway.catalogue.units import OUTPUT


@dataclass(slots=True)
class _Draft:
    """A model in the making."""

    id: str
    items: list[Item] = field(default_factory=list[Item])
    group: GroupRow | None = None


def assembled(
    items: Sequence[Item],
    groups: Sequence[GroupRow],
    tokenizers: ModelsFile,
    providers: Mapping[ProviderId, Provider],
    version: str,
) -> Catalogue:
    """The catalogue of these offers.

    Args:
        items: the operator's own providers first.
        groups: models that several offers share; the operator's first. Those without any offer vanish.
        tokenizers: who counts which models exactly.
        providers: all of them, by id.
        version: of everything that went in.
    """
    drafts = _drafts(items, groups)
    models: dict[ModelId, Model] = {}
    for draft in drafts.values():
        if draft.items:
            models[ModelId(draft.id)] = _model(draft, tokenizers.tokenizer(draft.id))
    names, stems = _names(models, drafts, items)
    return Catalogue(
        models=MappingProxyType(models),
        names=MappingProxyType(names),
        providers=MappingProxyType(dict(providers)),
        version=version,
        stems=MappingProxyType(stems),
    )


def _drafts(items: Sequence[Item], groups: Sequence[GroupRow]) -> dict[str, _Draft]:
    drafts: dict[str, _Draft] = {}
    grouped: dict[str, str] = {}
    for group in groups:
        drafts.setdefault(group.id, _Draft(group.id, group=group))
        for offer in group.offers:
            grouped.setdefault(offer, group.id)
    waiting = list[Item]()
    for item in items:
        stated = item.model or grouped.get(item.own, "")
        if item.same and not stated:
            waiting.append(item)
        else:
            _join(drafts, stated or item.own, item)
    spelled = {_spelling(name): name for name, draft in drafts.items() if draft.items or draft.group}
    for item in waiting:
        _join(drafts, spelled.get(_spelling(item.same), item.own), item)
    return drafts


def _join(drafts: dict[str, _Draft], model_id: str, item: Item) -> None:
    draft = drafts.get(model_id)
    if draft is None:
        draft = drafts[model_id] = _Draft(model_id)
    draft.items.append(item)


def _model(draft: _Draft, tokenizer: str) -> Model:
    group = draft.group
    if len(draft.items) > 1:
        place = {offer: index for index, offer in enumerate(group.offers)} if group else {}
        draft.items.sort(key=lambda item: (item.own != draft.id, place.get(item.own, 999), item.own))
    first = draft.items[0]
    fact, row = first.fact, first.row
    reads = (row.input_modalities if row else None) or (group.input_modalities if group else None) or fact.reads
    writes = (row.output_modalities if row else None) or (group.output_modalities if group else None) or fact.writes
    can = (row.capabilities if row else None) or (group.capabilities if group else None) or fact.can
    offers = tuple(_placed(item, draft, tokenizer) for item in draft.items)
    aliases: dict[str, None] = dict.fromkeys(group.aliases if group else ())
    for item in draft.items:
        if item.row is not None:
            aliases.update(dict.fromkeys(item.row.aliases))
    return Model(
        id=ModelId(draft.id),
        name=group.name if group else first.name,
        offers=offers,
        aliases=tuple(aliases),
        description=group.description if group else "",
        context_tokens=next((offer.context_tokens for offer in offers if offer.context_tokens), 0),
        max_output_tokens=next((offer.max_output_tokens for offer in offers if offer.max_output_tokens), 0),
        input_modalities=tuple(reads) or ("text",),
        output_modalities=tuple(writes) or _purpose(first.offer),
        capabilities=tuple(can),
        owned_by=draft.id.partition("/")[0] if "/" in draft.id else first.offer.provider.id,
    )


def _placed(item: Item, draft: _Draft, tokenizer: str) -> Offer:
    """The offer as one of this model; limits it does not know are its group's, or those of its equal."""
    offer, group = item.offer, draft.group
    context, most = offer.context_tokens, offer.max_output_tokens
    if group is not None:
        context, most = context or group.context_tokens, most or group.max_output_tokens
    elif item.same:
        own = draft.items[0].offer
        context, most = context or own.context_tokens, most or own.max_output_tokens
    words = offer.tokenizer or tokenizer
    if (offer.model, offer.context_tokens, offer.max_output_tokens, offer.tokenizer) == (
        draft.id,
        context,
        most,
        words,
    ):
        return offer
    return replace(offer, model=ModelId(draft.id), context_tokens=context, max_output_tokens=most, tokenizer=words)


def _purpose(offer: Offer) -> tuple[str, ...]:
    """What an offer without a price for output tokens is for: it answers no chat."""
    if not offer.prices or OUTPUT in offer.prices[-1].prices:
        return ("text",)
    name = offer.id.lower()
    return ("embedding",) if "embed" in name or "bge" in name else ("other",)


def _names(
    models: Mapping[ModelId, Model], drafts: Mapping[str, _Draft], items: Sequence[Item]
) -> tuple[dict[str, Model], dict[str, Model]]:
    names: dict[str, Model] = {**models}
    stems: dict[str, Model] = {}
    home = {item.own: models[ModelId(draft.id)] for draft in drafts.values() for item in draft.items}
    listed = [(home[item.own], item) for item in items]
    for model, item in listed:
        for alias in item.row.aliases if item.row else ():
            names.setdefault(alias, model)
    for model in models.values():
        for alias in model.aliases:
            names.setdefault(alias, model)
    for model, item in listed:
        if item.own != model.id:
            offer = next(offer for offer in model.offers if offer.id == item.own)
            names.setdefault(item.own, replace(model, offers=(offer,)))
    for model, item in listed:
        if item.is_first_party:
            bare = item.own.partition("/")[2]
            names.setdefault(bare, model)
            _name_releases(names, model, item)
    for model, item in listed:
        if item.is_first_party:
            provider = item.offer.provider.id
            for name in (name for stem in item.stems for name in (stem, f"{provider}/{stem}")):
                named = names.get(name, model)
                if named.offers[0].provider.id == provider:
                    stems.setdefault(name, named)
        elif item.has_bare:
            names.setdefault(item.own.partition("/")[2], model)
    return names, stems


def _name_releases(names: dict[str, Model], model: Model, item: Item) -> None:
    """Other names that the provider has for a model, each said upstream as it is asked.

    A name that differs from a better one only by dots and dashes is that one misspelled.
    """
    provider, bare = item.offer.provider.id, item.own.partition("/")[2]
    own = next(offer for offer in model.offers if offer.id == item.own)
    spelled: dict[str, Model] = {_spelling(bare): names[item.own]}
    for alias in sorted(
        {*item.names, *_respelled(item.stems, bare)}, key=lambda name: (not name.startswith(bare), name)
    ):
        release = spelled.get(_spelling(alias))
        if release is None:
            offer = replace(own, id=f"{provider}/{alias}", upstream_id=alias)
            release = spelled[_spelling(alias)] = replace(model, offers=(offer,))
        names.setdefault(alias, release)
        names.setdefault(f"{provider}/{alias}", release)


def _respelled(stems: Iterable[str], bare: str) -> list[str]:
    return [stem for stem in stems if stem != bare and _spelling(stem) == _spelling(bare)]


def _spelling(name: str) -> str:
    """`claude-sonnet-4.5` and `claude-sonnet-4-5` are one name."""
    return name.replace(".", "-").lower()
