"""The documented example file, written from the settings themselves: `python -m tollway.settings.example`.

Lines that begin with `#` and no space are settings to uncomment; the others are in force and equal the defaults.
"""

import re
import sys
import textwrap
from collections.abc import Iterator, Mapping

import msgspec

from tollway.settings.load import variables
from tollway.settings.sections import SECTIONS, CustomModel, ProviderSettings, Section, meta_of
from tollway.tomlplace import toml_value

_WIDTH = 100
_INTRODUCTION = """
Every setting of Tollway with its default. Copy what you change to tollway.toml in the folder where you run
`tollway serve`, or name the file with --config or TOLLWAY_CONFIG. A flag wins over a variable (in brackets behind each
setting), a variable over the file. Anything unknown or out of range stops the start and says where and how to fix it.
"""
_KNOWN = """
A provider that Tollway knows needs nothing here when its key is in the environment under the usual name;
`tollway doctor` lists them. Below is what can be said about one.
"""
_OWN = "A provider of your own, and its models: anything that speaks one of the dialects."
_KNOWN_EXAMPLE = {"key_env": "MY_OPENAI_KEY", "url": "https://eu.api.openai.com/v1", "enabled": True}
_OWN_EXAMPLE = {
    "name": "My server",
    "dialect": "openai",
    "url": "http://127.0.0.1:8000/v1",
    "key": "any-text",
    "on_disconnect": "estimate",
}
_MODEL_EXAMPLE = {
    "id": "my-model",
    "name": "My model",
    "context_tokens": 32_768,
    "max_output_tokens": 8_192,
    "tokenizer": "o200k",
}
_PRICES_EXAMPLE = {"input": "0.50", "output": "1.50", "cache_read": "0.05"}


def example() -> str:
    """The text of `docs/tollway.example.toml`."""
    names = dict(variables())
    lines = list(_prose(_INTRODUCTION))
    for section, kind in SECTIONS.items():
        lines += ["", "", *_prose(_summary(kind)), f"[{section}]"]
        default = kind()
        for field in msgspec.structs.fields(kind):
            lines += ["", *_prose(_reason(field.type, names[f"{section}.{field.name}"]))]
            lines.append(f"{field.name} = {toml_value(getattr(default, field.name))}")
    lines += ["", "", *_prose(_summary(ProviderSettings)), *_prose(_KNOWN), "#[providers.openai]"]
    lines += _commented(ProviderSettings, _KNOWN_EXAMPLE)
    lines += ["", *_prose(_OWN), "#[providers.my-server]", *_commented(ProviderSettings, _OWN_EXAMPLE)]
    lines += ["#[[providers.my-server.models]]", *_commented(CustomModel, _MODEL_EXAMPLE)]
    lines += ["#[providers.my-server.models.prices]", *_prose(_reason(_types(CustomModel)["prices"]))]
    lines += [f"#{unit} = {toml_value(price)}" for unit, price in _PRICES_EXAMPLE.items()]
    lines += ["#[[providers.my-server.models]]", *_commented(CustomModel, {"id": "my-other-model", "free": True})]
    return "\n".join(lines) + "\n"


def _commented(kind: type[Section], values: Mapping[str, object]) -> Iterator[str]:
    types = _types(kind)
    for name, value in values.items():
        yield from _prose(_reason(types[name]))
        yield f"#{name} = {toml_value(value)}"


def _types(kind: type[Section]) -> dict[str, object]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _reason(annotation: object, variable: str = "") -> str:
    meta = meta_of(annotation)
    unit = (meta.extra or {}).get("unit", "")
    aside = "; ".join(text for text in (unit, variable) if text)
    return f"{meta.description}{f' [{aside}]' if aside else ''}"


def _summary(kind: type[Section]) -> str:
    return " ".join((kind.__doc__ or "").split())


def _prose(text: str) -> Iterator[str]:
    for line in textwrap.wrap(re.sub(r"\s+", " ", text).strip(), _WIDTH):
        yield f"# {line}"


if __name__ == "__main__":
    sys.stdout.write(example())
