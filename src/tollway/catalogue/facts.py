"""Facts about models that the price package does not have: output limits, modalities, capabilities.

`data/facts.json` holds one line per model, made by `tollway prices facts FILE` from the model file that the litellm
project (MIT licence) publishes inside its package; the file's head says which version and when. Facts are no prices:
a wrong one makes a hold too large or too small, never a charge wrong.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

import msgspec

from tollway.catalogue.wiring import Wiring
from tollway.errors import ConfigurationError
from tollway.jsontypes import JSON, JSONObject


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """context, output: most tokens, 0 unknown. reads, writes: modalities. can: capabilities, as `Model` names them."""

    key: str
    context: int = 0
    output: int = 0
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    can: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """source: what it was made from. checked: ISO date of that."""

    source: str
    checked: str
    facts: tuple[Fact, ...]


_decoder = msgspec.json.Decoder(Facts)


def read_facts(path: Path) -> dict[str, Fact]:
    """Facts by `<provider>/<name>`. Raises ConfigurationError."""
    try:
        facts = _decoder.decode(path.read_bytes()).facts
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigurationError(
            file=str(path), line=None, key="facts", problem=str(error), fix="install the package anew"
        ) from None
    return {fact.key: fact for fact in facts}


def written(facts: Facts) -> bytes:
    """The file's bytes, one line per model."""
    head = msgspec.json.encode({"source": facts.source, "checked": facts.checked})
    return head[:-1] + b',"facts":[\n' + b",\n".join(map(msgspec.json.encode, facts.facts)) + b"\n]}\n"


def gathered(document: Mapping[str, JSON], wirings: Iterable[Wiring], names: Mapping[str, Iterable[str]]) -> list[Fact]:
    """Facts of the models that we know, by key.

    Args:
        document: the published file: model name -> properties.
        wirings: our providers; `models.facts_prefix` says how the file prefixes each one's models.
        names: provider id -> every name we have for its models.
    """
    found = list[Fact]()
    for wiring in wirings:
        provider = wiring.provider.id
        prefix = wiring.models.facts_prefix if wiring.models else ""
        for name in names.get(provider, ()):
            row = document.get(prefix + name)
            if not isinstance(row, dict) or (not prefix and row.get("litellm_provider") != provider):
                continue
            fact = _fact(f"{provider}/{name}", row)
            if fact != Fact(fact.key):
                found.append(fact)
    return sorted(found, key=lambda fact: fact.key)


def _fact(key: str, row: JSONObject) -> Fact:
    writes = _writes(row)
    return Fact(
        key=key,
        context=_count(row, "max_input_tokens"),
        output=_count(row, "max_output_tokens") if "text" in writes else 0,
        reads=tuple(_reads(row)),
        writes=writes,
        can=tuple(
            name
            for name, flag in (
                ("tools", "supports_function_calling"),
                ("json_schema", "supports_response_schema"),
                ("reasoning", "supports_reasoning"),
                ("vision", "supports_vision"),
            )
            if row.get(flag) is True
        ),
    )


def _count(row: JSONObject, name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _reads(row: JSONObject) -> Iterator[str]:
    listed = row.get("supported_modalities")
    said = {str(each) for each in cast("list[JSON]", listed)} if isinstance(listed, list) else set[str]()
    yield "text"
    for name, flag in (("image", "supports_vision"), ("audio", "supports_audio_input"), ("file", "supports_pdf_input")):
        if name in said or row.get(flag) is True:
            yield name
    if "video" in said or row.get("supports_video_input") is True:
        yield "video"


def _writes(row: JSONObject) -> tuple[str, ...]:
    """`text` for what answers a chat, else the name of what the model is for: `embedding`, `image_generation`, ..."""
    mode = str(row.get("mode") or "chat")
    if mode not in {"chat", "responses"}:
        return (mode,)
    listed = row.get("supported_output_modalities")
    said = (
        [str(each) for each in listed if each in {"text", "image", "audio", "video"}]
        if isinstance(listed, list)
        else []
    )
    if row.get("supports_audio_output") is True and "audio" not in said:
        said.append("audio")
    return tuple(said) if "text" in said else ("text", *said)
