"""The trained weights as they are packaged: a small file that says what it was made of.

`classifier.msgpack` is rebuilt by `tollway train`; `cues.txt` is written by hand.
"""

import importlib.resources
from collections.abc import Mapping

import msgspec

from tollway.errors import ConfigurationError

FORMAT = 1
FILE = "classifier.msgpack"


class Weights(msgspec.Struct, frozen=True):
    """Two softmax heads over named features.

    made_by: the command, and with which numpy. data: file -> SHA-256 of what they were trained on. scales: what one step of
    a byte is worth, per head. constants: per output, bands first. temperature: scores are divided by it. rows: per feature
    a byte per output, the weight plus 128.
    """

    format: int
    made_by: str
    data: Mapping[str, str]
    bands: list[str]
    categories: list[str]
    scales: list[float]
    constants: list[float]
    temperature: float
    features: list[str]
    rows: bytes


def read_weights(found: bytes, name: str = FILE) -> Weights:
    """Weights of a file's bytes. Raises `ConfigurationError` for a file that is none."""
    try:
        weights = msgspec.msgpack.decode(found, type=Weights)
    except msgspec.DecodeError as error:
        raise _unreadable(name, f"this is no file of routing weights: {error}") from error
    width = len(weights.bands) + len(weights.categories)
    if weights.format != FORMAT or len(weights.rows) != width * len(weights.features):
        raise _unreadable(name, f"routing weights of format {weights.format} do not fit this version")
    return weights


def packaged() -> Weights | None:
    """The weights of this installation; None where it was built without them."""
    place = importlib.resources.files(__name__).joinpath(FILE)
    return read_weights(place.read_bytes()) if place.is_file() else None


def _unreadable(name: str, problem: str) -> ConfigurationError:
    return ConfigurationError(
        file=name, line=None, key="routing weights", problem=problem, fix="make them again with `tollway train`"
    )
