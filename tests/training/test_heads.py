"""Weights are made again byte for byte, from training files only, and carry the hashes of them."""

import hashlib

import msgspec
import pytest

np = pytest.importorskip("numpy")
from tollway.errors import ConfigurationError  # noqa: E402
from tollway.routing.classifier import LexicalClassifier  # noqa: E402
from tollway.routing.features import observe  # noqa: E402
from tollway.routing.weights import packaged  # noqa: E402
from tollway.training.data import ALL, TRAINED_ON, Folder  # noqa: E402
from tollway.training.fit import softmax  # noqa: E402
from tollway.training.heads import fit_heads, squeezed, train  # noqa: E402
from tollway.training.labels import BANDS, CATEGORY_OF, TASK_OF, examples, written  # noqa: E402


@pytest.fixture
def subset(data, tmp_path):
    for name in TRAINED_ON:
        (tmp_path / name).write_bytes(b"".join((data / name).read_bytes().splitlines(keepends=True)[::8]))
    return Folder(tmp_path)


def test_the_same_data_gives_the_same_bytes(subset):
    one, other = train(subset, "tollway train"), train(subset, "tollway train")
    assert msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other)
    for name in TRAINED_ON:
        assert one.data[name] == hashlib.sha256((subset.path / name).read_bytes()).hexdigest()


def test_the_packaged_weights_are_of_this_data(data):
    weights = packaged()
    assert weights is not None
    assert weights.data == {name: Folder(data).digest(name) for name in TRAINED_ON}


@pytest.mark.full
def test_the_packaged_weights_are_made_again(data):
    weights = packaged()
    if weights is None or f"numpy {np.__version__}" not in weights.made_by:
        pytest.skip(f"the weights were made with another numpy than {np.__version__}")
    assert train(Folder(data), "tollway train") == weights


def test_bytes_say_what_full_precision_says(subset):
    found = examples(subset)
    seen = [observe(one.prompt) for one in found]
    heads = fit_heads(found, seen)
    classifier = LexicalClassifier(squeezed(heads, temperature=1.0, data={}, command="test"))
    exact = softmax(heads.scores(seen))
    close = [max(abs(np.array(classifier.chances(row)[0]) - exact[at])) for at, row in enumerate(seen[:200])]
    assert np.quantile(close, 0.95) < 0.05


def test_no_evaluation_file_is_read(subset):
    assert not [name for name in TRAINED_ON if "val" in name or "dev" in name]
    assert len(examples(subset)) > 200  # only the training files lie in that folder


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ConfigurationError) as refused:
        train(Folder(tmp_path), "tollway train")
    for name in TRAINED_ON:
        assert name in str(refused.value)
    assert set(TRAINED_ON) < set(ALL)


def test_own_examples_are_no_prompts_of_the_docs():
    prompts = {one.prompt.lower().rstrip(".?!") for one in written()}
    assert len(prompts) > 90
    for known in ("what time is it in tokyo", "summarize this email", "debug this python function"):
        assert known not in prompts
    assert not prompts & {"prove sqrt(2) is irrational", "write a legal brief"}


def test_every_label_of_the_files_is_mapped(data):
    rows = [msgspec.json.decode(line) for line in (data / TRAINED_ON[1]).read_bytes().splitlines()]
    assert {row["category"] for row in rows} <= set(CATEGORY_OF)
    assert {row["expected_tier"] for row in rows} <= set(BANDS)
    tasks = {msgspec.json.decode(line)["task"] for line in (data / TRAINED_ON[2]).read_bytes().splitlines()}
    assert tasks <= set(TASK_OF)
