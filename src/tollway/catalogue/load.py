"""The catalogue, read once at start from packaged data, the operator's prices and corrections, and the environment.

This is the stated exception to the purity of the catalogue: it reads files. Everything it gives is frozen, and what
is wrong in a file stops the start with file, line, key and fix (`ConfigurationError`).
"""

import difflib
import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tollway.catalogue.assembly import assembled
from tollway.catalogue.custom import CustomProvider, refused, wired
from tollway.catalogue.facts import read_facts
from tollway.catalogue.grouping import CorrectionsFile, read_corrections, read_models
from tollway.catalogue.offering import Correction, Item, items
from tollway.catalogue.offers import Catalogue
from tollway.catalogue.snapshot import Entry, read_snapshot
from tollway.catalogue.wiring import Wiring, read_wiring
from tollway.catalogue.yamlfile import YamlFile

DATA = Path(__file__).with_name("data")
PACKAGED_SNAPSHOT = DATA / "prices.json"
FACTS = DATA / "facts.json"
MODELS = DATA / "models.yml"
PROVIDERS = DATA / "providers"
_TEMPLATES = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
"""Dialect -> the data file whose usage paths a custom provider of that dialect shares."""


def snapshot_path(data: Path | None) -> Path:
    """The snapshot in force: the operator's own in `<data folder>/prices/`, else the packaged one."""
    own = None if data is None else data / "prices" / "prices.json"
    return own if own is not None and own.exists() else PACKAGED_SNAPSHOT


def corrections_path(data: Path | None) -> Path | None:
    """The operator's corrections, `<data folder>/prices/corrections.yml`, None where there are none."""
    own = None if data is None else data / "prices" / "corrections.yml"
    return own if own is not None and own.exists() else None


def load_catalogue(
    *,
    environment: Mapping[str, str],
    snapshot: Path | None = None,
    custom: Sequence[CustomProvider] = (),
    corrections: Path | None = None,
    disabled: Collection[str] = (),
) -> Catalogue:
    """Everything that can be bought, and how to reach it. Providers without a credential are in it, not usable.

    Args:
        environment: where credentials and base URLs are looked up.
        snapshot: the prices to use instead of the packaged ones; see `snapshot_path`.
        custom: providers from the operator's settings.
        corrections: the operator's own prices and facts, a YAML file.
        disabled: ids of providers to leave out.

    Raises:
        ConfigurationError: a file or a variable that cannot be used; names file, line, key and fix.
    """
    path = snapshot or PACKAGED_SNAPSHOT
    entries: dict[str, list[Entry]] = {}
    for entry in read_snapshot(path).entries:
        entries.setdefault(entry.provider, []).append(entry)
    every = _with_custom(read_wirings(environment), custom)
    wirings = [wiring for wiring in every if wiring.provider.id not in disabled]
    facts = read_facts(FACTS)
    models = read_models(MODELS)
    corrected, groups = (None, CorrectionsFile()) if corrections is None else read_corrections(corrections)
    known = _by_offer(corrected, groups)
    offered = list[Item]()
    for wiring in wirings:
        offered += items(wiring, entries, facts, known)
    _refuse_strays(known, offered, disabled)
    return assembled(
        offered,
        (*groups.models, *models.models),
        models,
        {wiring.provider.id: wiring.provider for wiring in wirings},
        _version(wirings, [path, FACTS, MODELS, *([corrections] if corrections else [])]),
    )


def read_wirings(environment: Mapping[str, str]) -> list[Wiring]:
    """Every packaged provider, by id. Raises ConfigurationError."""
    return [read_wiring(path, environment) for path in sorted(PROVIDERS.glob("*.yml"))]


def _with_custom(packaged: list[Wiring], custom: Sequence[CustomProvider]) -> list[Wiring]:
    by_id = {str(wiring.provider.id): wiring for wiring in packaged}
    own = dict[str, Wiring]()
    for one in custom:
        dialect = one.dialect or "openai"
        if one.id in own:
            raise refused(one, "", "there are two providers of this id", "rename one of them")
        if dialect not in _TEMPLATES:
            fix = f"choose one of: {', '.join(_TEMPLATES)}"
            raise refused(one, "dialect", f"there is no dialect `{dialect}`", fix)
        own[one.id] = wired(one, by_id.get(one.id), by_id[_TEMPLATES[dialect]])
    return [*own.values(), *(wiring for wiring in packaged if wiring.provider.id not in own)]


def _by_offer(file: YamlFile | None, corrections: CorrectionsFile) -> dict[str, Correction]:
    if file is None:
        return {}
    return {row.offer: Correction(row, file, index) for index, row in enumerate(corrections.offers)}


def _refuse_strays(known: Mapping[str, Correction], offered: Sequence[Item], disabled: Collection[str]) -> None:
    """A correction of an offer that does not exist corrects nothing, which nobody may find out from a bill."""
    there = {item.offer.id for item in offered}
    for name, correction in known.items():
        if name not in there and name.partition("/")[0] not in disabled:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            correction.file.fail(
                ["offers", correction.index, "offer"],
                f"there is no offer {name}",
                f"{hint}`tollway prices list --all` has them; a new one belongs to its provider in tollway.toml",
            )


def _version(wirings: Sequence[Wiring], files: Sequence[Path]) -> str:
    """Short digest of everything that the catalogue was made of, credentials left out."""
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        digest.update(path.read_bytes())
    for wiring in wirings:
        provider = wiring.provider
        digest.update(f"{provider.id} {provider.wire.url} {provider.is_usable} {wiring.offers!r}".encode())
        if wiring.file is not None:
            digest.update(wiring.file.text.encode())
    return digest.hexdigest()
