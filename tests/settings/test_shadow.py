"""`[shadow]`: what is asked again, of whom, and for how much."""

import pytest

from tollway.errors import ConfigurationError
from tollway.settings import load_settings


def loaded(folder, text: str):
    file = folder / "tollway.toml"
    file.write_text(text)
    return load_settings(config=str(file), environment={}, flags={})


def test_it_is_off_at_first(tmp_path) -> None:
    shadow = loaded(tmp_path, "").shadow
    assert (shadow.sample_percent, shadow.budget_nano, shadow.workspace_ids) == (0, 10**9, frozenset())


def test_it_is_read(tmp_path) -> None:
    text = '[shadow]\nsample_percent = 5\nmodel = "a/b"\nbudget_usd = "0.5"\nworkspaces = " w1, w2 ,"\n'
    shadow = loaded(tmp_path, text).shadow
    assert (shadow.sample_percent, shadow.model, shadow.judge_model) == (5, "a/b", "")
    assert (shadow.budget_nano, shadow.workspace_ids) == (500_000_000, frozenset({"w1", "w2"}))


@pytest.mark.parametrize(
    ("text", "key", "problem", "fix"),
    [
        ('sample_percent = 5\nworkspaces = "*"', "sample_percent", "of no model", "tollway models list"),
        ('sample_percent = 5\nmodel = "a/b"', "sample_percent", "of no workspace", '"*" for all'),
        ("sample_percent = 101", "sample_percent", "101 is not", "sample_percent = 0"),
        ("budget_usd = '-1'", "budget_usd", "not negative", '"0"'),
        ("budget_usd = 'much'", "budget_usd", "not an amount", "plain decimal in quotes"),
        ("workspaces = ['w']", "workspaces", "not text", "workspaces"),
    ],
)
def test_what_it_cannot_be(tmp_path, text, key, problem, fix) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, f"[shadow]\n{text}\n")
    told = str(caught.value)
    assert problem in told
    assert fix in told
    assert "shadow" in told
