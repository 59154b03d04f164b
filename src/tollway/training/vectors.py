"""Word vectors from a wheel, if it is installed: only to say what they would add. The shipped router does without."""

import importlib
import importlib.util
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tollway.routing.task import cut
from tollway.training.fit import Array


class Vectors:
    """256 numbers per prompt, of length 1."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @classmethod
    def installed(cls) -> "Vectors | None":
        """Of the package `wordllama`, whose wheel holds them; nothing is downloaded. None where it is not installed."""
        found = importlib.util.find_spec("wordllama")
        if found is None or found.origin is None:
            return None
        package: Any = importlib.import_module("wordllama")
        place = pathlib.Path(found.origin).parent
        return cls(package.WordLlama.load(cache_dir=place, disable_download=True))

    def __call__(self, prompts: Sequence[str]) -> Array:
        """Rows x 256."""
        found = np.asarray(self._model.embed([cut(prompt) for prompt in prompts]), dtype=np.float64)
        return found / (np.linalg.norm(found, axis=1, keepdims=True) + 1e-12)
