"""catalogue/check.py: what `tollway prices check` finds."""

import shutil

import msgspec
import pytest

from tollway.catalogue import check
from tollway.catalogue.check import findings, summary
from tollway.catalogue.load import MODELS, PACKAGED_SNAPSHOT, PROVIDERS, load_catalogue
from tollway.catalogue.snapshot import Entry, ListRow, Snapshot, TierRow, written

GOOD = ListRow({"input": 1, "output": 2}, source="p 1", checked="2026-11-24")


def changed(**more):
    return msgspec.structs.replace(GOOD, **more)


def test_the_packaged_files_are_in_order(catalogue):
    found = findings(PACKAGED_SNAPSHOT, catalogue)
    assert summary(found)["error"] == 0, [str(one) for one in found if one.level == "error"]
    assert [one.key for one in found if one.level == "warning"] == ["openrouter/~deepseek/deepseek-pro-latest"]
    notes = {one.key: one.text for one in found if one.level == "note"}
    assert "audio_hours" in notes["openai/whisper-1"]
    assert "no price" in notes["openrouter/meta-llama/llama-3.3-70b-instruct:free"]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Entry("openai", "m", source="s"), "neither a price nor a quarantine"),
        (Entry("openai", "m", source="s", lists=(changed(source=""),)), "no source or date"),
        (Entry("openai", "m", source="s", lists=(changed(window=(0, 60)),)), "not exactly one price"),
        (Entry("openai", "m", source="s", lists=(GOOD, GOOD)), "not exactly one price"),
        (
            Entry("openai", "m", source="s", lists=(changed(prices={"input": 10_000_000_001, "output": 2}),)),
            "beyond belief",
        ),
        (
            Entry(
                "openai", "m", source="s", lists=(changed(tiers=(TierRow(9, {"input": 1}), TierRow(3, {"input": 1}))),)
            ),
            "do not rise",
        ),
    ],
)
def test_a_fault_of_the_snapshot_is_an_error_with_its_line(tmp_path, entry, text):
    path = tmp_path / "prices.json"
    path.write_bytes(
        written(Snapshot(1, "p 1", "2026-11-24", (Entry("openai", "l", source="s", lists=(GOOD,)), entry)))
    )
    (error,) = [one for one in findings(path, None) if one.level == "error"]
    assert (error.file, error.line, error.key) == (str(path), 3, "openai/m")
    assert text in error.text


def test_two_entries_of_one_name_are_an_error(tmp_path):
    path = tmp_path / "prices.json"
    entry = Entry("openai", "m", source="s", lists=(GOOD,))
    path.write_bytes(written(Snapshot(1, "p 1", "2026-11-24", (entry, entry))))
    assert [(one.line, one.text) for one in findings(path, None) if one.level == "error"] == [(3, "is there twice")]


@pytest.mark.parametrize(
    ("good", "bad", "text"),
    [
        ("id: groq", "id: grok", "the file should be grok.yml"),
        ("id: groq", "id: groq\nid: groq", "is there twice"),
        ("checked: 2026-11-24", "checkd: 2026-11-24", "unknown field"),
    ],
)
def test_a_fault_of_a_data_file_is_an_error_with_its_line(tmp_path, monkeypatch, good, bad, text):
    shutil.copytree(PROVIDERS, tmp_path / "providers")
    path = tmp_path / "providers" / "groq.yml"
    path.write_text(path.read_text().replace(good, bad, 1))
    monkeypatch.setattr(check, "PROVIDERS", tmp_path / "providers")
    errors = [one for one in findings(PACKAGED_SNAPSHOT, None) if one.level == "error"]
    assert any(text in one.text and one.file == str(path) and one.line for one in errors), [str(one) for one in errors]


def test_a_unit_that_is_reported_and_not_priced_is_an_error(tmp_path, monkeypatch, every_key):
    shutil.copytree(PROVIDERS, tmp_path / "providers")
    path = tmp_path / "providers" / "groq.yml"
    path.write_text(path.read_text().replace("usage:\n", "usage:\n  web_search: usage.searches\n"))
    monkeypatch.setattr("tollway.catalogue.load.PROVIDERS", tmp_path / "providers")
    errors = [one for one in findings(PACKAGED_SNAPSHOT, load_catalogue(environment=every_key)) if one.level == "error"]
    assert "the provider reports web_search, which has no price" in {one.text for one in errors}


def test_an_offer_of_a_model_that_is_not_there_is_a_warning(tmp_path, monkeypatch):
    path = tmp_path / "models.yml"
    path.write_text(MODELS.read_text().replace("groq/llama-3.3-70b-versatile", "groq/llama-3.3-70b-vesratile"))
    monkeypatch.setattr(check, "MODELS", path)
    warnings = [one for one in findings(PACKAGED_SNAPSHOT, None) if one.level == "warning"]
    (one,) = [one for one in warnings if "vesratile" in one.text]
    assert one.line == 7


def test_prices_older_than_the_release_are_a_warning(tmp_path):
    path = tmp_path / "prices.json"
    path.write_bytes(written(Snapshot(1, "p 1", "2025-01-01", (Entry("openai", "l", source="s", lists=(GOOD,)),))))
    assert any("this release came with those of" in one.text for one in findings(path, None) if one.level == "warning")
