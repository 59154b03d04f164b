"""Model, provider and offer: what a request can be sent to, and how each provider is reached.

An *offer* is a model at a provider under a price list. A provider is data (`data/providers/*.yml`): its URL,
credentials, dialect, the five request verbs and where its replies report usage.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, NewType

from tollway.catalogue.prices import PriceList, price_at
from tollway.catalogue.units import Unit
from tollway.jsontypes import JSON

ModelId = NewType("ModelId", str)
ProviderId = NewType("ProviderId", str)

AuthScheme = Literal["bearer", "header", "query", "none"]
OnDisconnect = Literal["estimate", "drain", "no_bill"]
_NOTHING: Mapping[str, JSON] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class UsageSpec:
    """Where a provider's reply reports usage: unit -> dotted path, and which counts contain which.

    inside: `{cache_read: input}` says that the number at `input` already contains the one at `cache_read`, so that it
    is subtracted once; a unit not named there is beside, not inside.
    """

    paths: tuple[tuple[Unit, tuple[str, ...]], ...]
    inside: tuple[tuple[Unit, Unit], ...] = ()


@dataclass(frozen=True, slots=True)
class WireSpec:
    """How to reach a provider. The five verbs - drop, rename, fix, default, clamp - edit a request of the OpenAI shape.

    url: base URL without a trailing slash. path: of the chat endpoint below it.
    auth: scheme `bearer`, `header` (name in `auth_name`), `query` (likewise) or `none`.
    secret: name of the environment variable with the key.
    drop: fields this provider refuses; sent by a caller they are refused with 400, never silently lost.
    rename: field -> the provider's name for it. fix: field -> value always sent. default: value sent if absent.
    clamp: field -> (least, most).
    on_disconnect: what the customer pays when they hang up (money.md R8c).
    """

    dialect: str
    url: str
    path: str = "/chat/completions"
    auth: AuthScheme = "bearer"
    auth_name: str = "Authorization"
    secret: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    fix: Mapping[str, JSON] = field(default_factory=lambda: _NOTHING)
    default: Mapping[str, JSON] = field(default_factory=lambda: _NOTHING)
    clamp: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    usage: UsageSpec = UsageSpec(())
    on_disconnect: OnDisconnect = "estimate"
    stream_usage: bool = True
    """The provider understands `stream_options.include_usage`."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as our data file and the operator's configuration describe it.

    prices_from: the provider's id in the price package, if it differs. source: the page the wiring was read from.
    is_usable: a credential is configured, or none is needed. key: the credential itself; never printed (`repr=False`).
    """

    id: ProviderId
    name: str
    wire: WireSpec
    source: str = ""
    checked: str = ""
    is_usable: bool = False
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Offer:
    """A model at a provider.

    id: `<provider>/<upstream id>`. model: the id customers ask for. context_tokens, max_output_tokens: 0 when unknown.
    tokenizer: the vocabulary that counts its tokens exactly (`o200k`, `cl100k`), or "" for an estimate.
    prices: every price list there ever was, oldest first; empty = unpriced, not routable on wallet money (R6c).
    """

    id: str
    model: ModelId
    provider: Provider
    upstream_id: str
    prices: tuple[PriceList, ...] = ()
    context_tokens: int = 0
    max_output_tokens: int = 0
    tokenizer: str = ""
    region: str = ""

    def price_list(self, when: int) -> PriceList | None:
        """The price list in force at `when` (unix seconds), or None."""
        return price_at(self.prices, when)


@dataclass(frozen=True, slots=True)
class Model:
    """What customers ask for by id.

    aliases: other names that reach it, bare names included. input_modalities: `text`, `image`, `audio`, `file`,
    `video`.
    capabilities: subset of `tools`, `json_schema`, `reasoning`, `logprobs`, `vision`; empty when unknown.
    """

    id: ModelId
    name: str
    offers: tuple[Offer, ...]
    aliases: tuple[str, ...] = ()
    description: str = ""
    context_tokens: int = 0
    max_output_tokens: int = 0
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("text",)
    capabilities: tuple[str, ...] = ()
    created: int = 0
    owned_by: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that can be bought, indexed by every name it answers to.

    names: id or alias -> model. A name that stands for one provider's offer, or for one release of a model,
    reaches a Model of the same id with that offer only. stems: name that may be followed by a date of release -> model.
    version: changes whenever anything in it does.
    """

    models: Mapping[ModelId, Model]
    names: Mapping[str, Model]
    providers: Mapping[ProviderId, Provider]
    version: str = ""
    stems: Mapping[str, Model] = field(default_factory=lambda: _NO_STEMS)

    def find(self, name: str) -> Model | None:
        """The model that `name` (an id or alias, exact) reaches, or None.

        A known name followed by a date (`claude-sonnet-4-5-20250929`) is a release of that model at its own provider:
        same price, and the date goes upstream as it was asked.
        """
        found = self.names.get(name)
        return found if found is not None else self._release(name)

    def _release(self, name: str) -> Model | None:
        match = _RELEASE.fullmatch(name)
        model = None if match is None else self.stems.get(match[1])
        if match is None or model is None:
            return None
        offer = model.offers[0]
        upstream_id = name.removeprefix(f"{offer.provider.id}/")
        if _spelling(match[1].removeprefix(f"{offer.provider.id}/")) == _spelling(offer.upstream_id):
            upstream_id = offer.upstream_id + match[2]
        release = replace(offer, id=f"{offer.provider.id}/{upstream_id}", upstream_id=upstream_id)
        return replace(model, offers=(release,))


_NO_STEMS: Mapping[str, Model] = MappingProxyType({})
_RELEASE = re.compile(r"(.+?)(-20\d{6}|-20\d\d-\d\d-\d\d)")


def _spelling(name: str) -> str:
    """`claude-sonnet-4.5` and `claude-sonnet-4-5` are one name."""
    return name.replace(".", "-")
