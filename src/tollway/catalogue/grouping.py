"""Models that several providers serve, and who counts their tokens exactly: the shape of `data/models.yml`."""

from pathlib import Path

import msgspec

from tollway.catalogue.pricerows import Day
from tollway.catalogue.wiring import OfferRow, matches
from tollway.catalogue.yamlfile import YamlFile


class GroupRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model under one id. offers: `<provider>/<id in the price package>`, best known first.

    context_tokens, max_output_tokens: for offers that have none of their own. source, checked: of what is said here.
    """

    id: str
    name: str
    offers: list[str]
    aliases: list[str] = []
    context_tokens: int = 0
    max_output_tokens: int = 0
    input_modalities: list[str] = []
    output_modalities: list[str] = []
    capabilities: list[str] = []
    description: str = ""
    source: str = ""
    checked: Day = ""


class TokenizerRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The vocabulary of all models whose id matches one of the globs."""

    tokenizer: str
    models: list[str]
    source: str
    checked: Day


class ModelsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. The first tokenizer that matches counts."""

    models: list[GroupRow] = []
    tokenizers: list[TokenizerRow] = []

    def tokenizer(self, model_id: str) -> str:
        """The vocabulary of a model, "" when it is not known."""
        for row in self.tokenizers:
            if matches(model_id, row.models):
                return row.tokenizer
        return ""


class CorrectedRow(OfferRow, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A correction of the operator's: `offer` names the offer, the rest is as in a provider's data file."""

    offer: str
    upstream_id: str = ""


class CorrectionsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's corrections: of single offers, and further models in the shape of `models.yml`."""

    offers: list[CorrectedRow] = []
    models: list[GroupRow] = []


def read_models(path: Path) -> ModelsFile:
    """`models.yml`. Raises ConfigurationError for a wrong shape or an offer that is in two models."""
    file = YamlFile(path)
    models = file.read(ModelsFile)
    _check(file, models.models)
    return models


def read_corrections(path: Path) -> tuple[YamlFile, CorrectionsFile]:
    """The operator's corrections, and the file for messages. Raises ConfigurationError."""
    file = YamlFile(path)
    corrections = file.read(CorrectionsFile)
    _check(file, corrections.models)
    return file, corrections


def _check(file: YamlFile, groups: list[GroupRow]) -> None:
    seen_ids, seen_offers = set[str](), set[str]()
    for index, group in enumerate(groups):
        if group.id in seen_ids:
            file.fail(["models", index, "id"], f"`{group.id}` is there twice", "merge the two")
        seen_ids.add(group.id)
        for place, offer in enumerate(group.offers):
            if offer in seen_offers:
                file.fail(["models", index, "offers", place], f"`{offer}` is in two models", "leave it in one")
            seen_offers.add(offer)
