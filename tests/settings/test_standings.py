"""settings/standings.py: where the operator's own facts about models are."""

import pathlib

import pytest

from tollway.errors import ConfigurationError
from tollway.settings import load_settings
from tollway.settings.catalogue import catalogue_of
from tollway.settings.standings import standings_of

OWN = "models:\n  - {id: simulated/echo, tier: light, because: We tried it.}\n"


def loaded(folder: pathlib.Path, text: str):
    (folder / "tollway.toml").write_text(text)
    settings = load_settings(config=str(folder / "tollway.toml"), environment={})
    return standings_of(settings, catalogue_of(settings))


def test_without_a_setting_the_shipped_facts_are_in_force(tmp_path):
    found = loaded(tmp_path, "")
    assert found.standing("openai/gpt-5.5").tier == "complex"
    assert found.standing("simulated/echo") is None


def test_a_path_is_relative_to_the_settings_file(tmp_path):
    (tmp_path / "mine.yml").write_text(OWN)
    assert loaded(tmp_path, '[routing]\nstandings = "mine.yml"\n').standing("simulated/echo").tier == "light"


def test_a_missing_file_is_told_at_the_setting(tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        loaded(tmp_path, '[routing]\nstandings = "nowhere.yml"\n')
    assert (raised.value.line, raised.value.key) == (2, "routing.standings")
    assert "nowhere.yml" in raised.value.problem


def test_a_mistake_in_the_file_is_told_there(tmp_path):
    (tmp_path / "mine.yml").write_text(OWN.replace("light", "huge"))
    with pytest.raises(ConfigurationError) as raised:
        loaded(tmp_path, '[routing]\nstandings = "mine.yml"\n')
    assert raised.value.file == str(tmp_path / "mine.yml")
    assert raised.value.line == 2


def test_the_rest_is_estimated_only_when_allowed(tmp_path):
    found = loaded(tmp_path, "[routing]\nestimate_unlisted = true\n")
    assert len(found) > 2 * len(loaded(tmp_path, ""))
