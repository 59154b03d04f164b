"""From `[providers.<id>]` to what the catalogue takes."""

import pathlib

import pytest

from tollway.settings import custom_providers, disabled_providers, load_settings

TEXT = """
[providers.mine]
url = "http://127.0.0.1:8000/v1/"
key_env = "MY_KEY"
name = "Mine"
on_disconnect = "drain"

[[providers.mine.models]]
id = "a"
name = "A"
context_tokens = 10
max_output_tokens = 5
tokenizer = "o200k"
prices = {input = "0.5", output = "1.5", web_search = "10"}

[[providers.mine.models]]
id = "b"
free = true

[providers.openai]
key = "sk-1"

[providers.gone]
enabled = false
"""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("tollway.toml").write_text(TEXT)
    return load_settings(environment={"MY_KEY": "sk-2\n"})


def test_providers_become_the_catalogues(settings):
    mine, openai = custom_providers(settings)
    assert (mine.id, mine.url, mine.key, mine.name) == ("mine", "http://127.0.0.1:8000/v1", "sk-2", "Mine")
    assert (mine.file, mine.line, mine.key_path) == ("tollway.toml", 2, "providers.mine")
    first, second = mine.models
    assert (first.upstream_id, first.name, first.context_tokens, first.max_output_tokens) == ("a", "A", 10, 5)
    assert (dict(first.per_million), dict(first.per_thousand)) == (
        {"input": "0.5", "output": "1.5"},
        {"web_search": "10"},
    )
    assert dict(second.per_million) == {"input": "0", "output": "0"}
    assert (openai.id, openai.key, openai.url, openai.models) == ("openai", "sk-1", "", ())


def test_disabled_providers_are_left_out_and_named(settings):
    assert [one.id for one in custom_providers(settings)] == ["mine", "openai"]
    assert disabled_providers(settings) == {"gone"}


def test_a_key_of_another_environment(settings):
    assert custom_providers(settings, {"MY_KEY": "other"})[0].key == "other"
    assert custom_providers(settings, {})[0].key == ""


def test_what_a_caller_who_hangs_up_pays(settings):
    policies = {provider.id: provider.on_disconnect for provider in custom_providers(settings)}
    assert policies == {"mine": "drain", "openai": ""}
