"""The packaged weights: small, sound, and saying what they are made of."""

import importlib.resources

import msgspec
import pytest

from tollway.errors import ConfigurationError
from tollway.routing.tiers import CATEGORIES
from tollway.routing.weights import FILE, FORMAT, packaged, read_weights


def test_the_packaged_weights():
    weights = packaged()
    assert weights is not None
    assert weights.format == FORMAT
    assert weights.categories == list(CATEGORIES)
    assert weights.made_by.startswith("tollway train (numpy ")
    assert all(len(digest) == 64 for digest in weights.data.values())
    assert not [name for name in weights.data if "val" in name or "dev" in name]
    assert weights.features == sorted(weights.features)
    assert len(importlib.resources.files("tollway.routing.weights").joinpath(FILE).read_bytes()) < 1_000_000


def test_a_broken_file_is_named():
    with pytest.raises(ConfigurationError, match="no file of routing weights"):
        read_weights(b"nonsense", "mine.msgpack")
    weights = packaged()
    assert weights is not None
    with pytest.raises(ConfigurationError, match="tollway train"):
        read_weights(msgspec.msgpack.encode(msgspec.structs.replace(weights, format=99)))
