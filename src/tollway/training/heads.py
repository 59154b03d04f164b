"""The packaged classifier's two heads, band and category, fitted and squeezed into bytes."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from tollway.routing.features import observe
from tollway.routing.lanes import OFFSET
from tollway.routing.task import cut
from tollway.routing.tiers import CATEGORIES
from tollway.routing.weights import FORMAT, Weights
from tollway.training.data import TRAINED_ON, Folder
from tollway.training.fit import Array, Features, Sparse, Vocabulary, fit_softmax, softmax
from tollway.training.labels import BANDS, Example, examples

PENALTY, AT_LEAST = 0.33, 3
"""Chosen by cross-validation inside the training file; flat from 0.1 to 1."""
CALIBRATION_FOLDS = 5
LEAST_WEIGHT = 3
"""Of 127, a feature's largest weight; below it the feature decides nothing."""


def without_words(row: Features) -> dict[str, float]:
    """Cues and shape alone: what is left of a prompt in a language that training never saw."""
    return {name: strength for name, strength in row.items() if name[0] != "w"}


class Heads(msgspec.Struct, frozen=True):
    """Fitted in full precision. bands, categories: features x outputs, the constant last."""

    vocabulary: Vocabulary
    bands: Array
    categories: Array

    def scores(self, rows: Sequence[Features]) -> Array:
        """Rows x bands, before the softmax."""
        return Sparse(rows, self.vocabulary).times(self.bands)


def fit_heads(found: Sequence[Example], seen: Sequence[Features]) -> Heads:
    """Both heads. Every row is also seen without its words, so that cues alone learn to carry the decision."""
    vocabulary = Vocabulary(seen, at_least=AT_LEAST)
    data = Sparse([*seen, *map(without_words, seen)], vocabulary)
    weights = np.array([one.weight for one in found] * 2)
    bands = np.array([one.band for one in found] * 2)
    categories = np.array([one.category for one in found] * 2)
    return Heads(
        vocabulary,
        fit_softmax(data, bands, len(BANDS), penalty=PENALTY, weights=weights),
        fit_softmax(data, categories, len(CATEGORIES), penalty=PENALTY, weights=weights, rounds=60),
    )


def temperature(scores: Array, labels: Array) -> float:
    """What scores are divided by so that stated confidence is what comes true: the least log loss of a fixed grid."""
    grid = np.geomspace(0.5, 4.0, 43)
    rows = np.arange(len(labels))
    losses = [-np.log(softmax(scores / one)[rows, labels.astype(int)] + 1e-12).mean() for one in grid]
    return float(grid[int(np.argmin(losses))])


def train(folder: Folder, command: str) -> Weights:
    """The packaged weights, from the training files alone."""
    folder.require(TRAINED_ON)
    found = examples(folder)
    seen = [observe(cut(one.prompt)) for one in found]
    heads = fit_heads(found, seen)
    return squeezed(heads, temperature=_held_out_temperature(found, seen), data=_hashes(folder), command=command)


def _held_out_temperature(found: Sequence[Example], seen: Sequence[Features]) -> float:
    """Of scores of rows that their fit did not see; of rows that people gave a tier only."""
    parts = np.arange(len(found)) % CALIBRATION_FOLDS
    scores, labels = list[Array](), list[int]()
    for part in range(CALIBRATION_FOLDS):
        fit = [at for at in range(len(found)) if parts[at] != part]
        held = [at for at in range(len(found)) if parts[at] == part and found[at].weight == 1.0]
        vocabulary = Vocabulary([seen[at] for at in fit], at_least=AT_LEAST)
        data = Sparse([seen[at] for at in fit] + [without_words(seen[at]) for at in fit], vocabulary)
        bands = np.array([found[at].band for at in fit] * 2)
        weights = np.array([found[at].weight for at in fit] * 2)
        table = fit_softmax(data, bands, len(BANDS), penalty=PENALTY, weights=weights)
        scores.append(Sparse([seen[at] for at in held], vocabulary).times(table))
        labels.extend(found[at].band for at in held)
    return temperature(np.concatenate(scores), np.array(labels, dtype=np.float64))


def _hashes(folder: Folder) -> dict[str, str]:
    return {name: folder.digest(name) for name in TRAINED_ON}


def squeezed(heads: Heads, *, temperature: float, data: Mapping[str, str], command: str) -> Weights:
    """One signed byte per weight, with a scale per head; features whose weights are all next to nothing are left out."""
    tables = list[Array]()
    scales = list[float]()
    for table in (heads.bands, heads.categories):
        scale = float(np.abs(table[:-1]).max()) / (OFFSET - 1)
        scales.append(scale)
        tables.append(np.rint(table[:-1] / scale))
    rows = np.concatenate(tables, axis=1)
    kept = np.abs(rows).max(axis=1) >= LEAST_WEIGHT
    names = [name for name, keep in zip(heads.vocabulary.names, kept, strict=True) if keep]
    return Weights(
        format=FORMAT,
        made_by=f"{command} (numpy {np.__version__})",
        data=dict(data),
        bands=list(BANDS),
        categories=list(CATEGORIES),
        scales=[round(scale, 9) for scale in scales],
        constants=[round(float(one), 6) for one in (*heads.bands[-1], *heads.categories[-1])],
        temperature=round(temperature, 4),
        features=names,
        rows=(rows[kept] + OFFSET).astype(np.uint8).tobytes(),
    )
