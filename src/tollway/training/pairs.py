"""Two models, a weak and a strong one: to whom of both does a prompt go. Scores that rise with the gain of the strong one.

The gain (strong minus weak) is predicted, not the failure of the weak: where both fail the strong one is wasted. Each
part is a linear fit; parts are added after each was brought to mean 0 and deviation 1 over its own training rows.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from tollway.routing.features import observe
from tollway.routing.task import cut
from tollway.training.data import GSM8K_EVAL, MANY_TRAIN, MMLU_EVAL, Folder, Pair, Scores
from tollway.training.fit import Array, Features, Sparse, Vocabulary, fit_ridge
from tollway.training.vectors import Vectors

CHOICE_TASKS = frozenset({"mmlu", "arc_challenge", "openbook_qa", "commonsense_qa"})
"""Tasks of the nine-model file that ask to choose an answer, as MMLU does."""
SCHOOL_TASK = "gsm8k"
WORDS_PENALTY, SHAPE_PENALTY, SCHOOL_PENALTY, VECTORS_PENALTY = 10.0, 1_000.0, 300.0, 60.0
SHAPE_PART, LENGTH_PART, OTHERS_PART, SCHOOL_PART = 0.5, 0.5, 0.25, 0.5
"""Chosen by cross-validation inside the training file; the same within noise from half to double."""
OVERLAP = 60
"""A prompt that shares so many first letters with an evaluation prompt is not trained on."""


class Seen(msgspec.Struct, frozen=True):
    """Prompts in the two views that the fits take. lengths: log of characters."""

    prompts: list[str]
    words: list[Features]
    shapes: list[Features]
    lengths: Array


def look(prompts: Sequence[str]) -> Seen:
    """The views of prompts."""
    rows = [observe(cut(prompt)) for prompt in prompts]
    return Seen(
        list(prompts),
        [{name: 1.0 for name in row if name[0] == "w" and " " not in name} for row in rows],
        [{name: value for name, value in row.items() if name[0] != "w"} for row in rows],
        np.array([math.log1p(len(prompt)) for prompt in prompts]),
    )


class Weighed:
    """Words weighed by how rare they are, each prompt of length 1. Frequencies are of the prompts that training has."""

    def __init__(self, rows: Sequence[Features]) -> None:
        self.vocabulary = Vocabulary(rows, at_least=3)
        counts = dict.fromkeys(self.vocabulary.names, 0)
        for row in rows:
            for name in row:
                if name in counts:
                    counts[name] += 1
        self._rarity = {name: math.log(len(rows) / (1 + count)) for name, count in counts.items()}

    def __call__(self, rows: Sequence[Features]) -> Sparse:
        """The rows, ready for a fit."""
        weighed = list[Features]()
        for row in rows:
            found = {name: self._rarity[name] for name in row if name in self._rarity}
            size = math.sqrt(sum(value * value for value in found.values())) or 1.0
            weighed.append({name: value / size for name, value in found.items()})
        return Sparse(weighed, self.vocabulary)


class Standard:
    """Cues and shape, each feature at mean 0 and deviation 1 over the rows given."""

    def __init__(self, rows: Sequence[Features]) -> None:
        self._names = sorted({name for row in rows for name in row})
        table = self._table(rows)
        self._mean, self._spread = table.mean(axis=0), table.std(axis=0) + 0.05

    def _table(self, rows: Sequence[Features]) -> Array:
        return np.array([[row.get(name, 0.0) for name in self._names] for row in rows])

    def __call__(self, rows: Sequence[Features]) -> Array:
        """Rows x features."""
        return (self._table(rows) - self._mean) / self._spread


def dense_ridge(rows: Array, targets: Array, penalty: float) -> tuple[Array, float]:
    """(weights, constant) of a ridge over few features, solved at once."""
    middle, mean = rows.mean(axis=0), float(targets.mean())
    centred: Array = rows - middle
    square: Array = centred.T @ centred + penalty * np.eye(rows.shape[1])
    right: Array = centred.T @ (targets - mean)
    weights: Array = np.linalg.solve(square, right).astype(np.float64)
    return weights, mean - float(middle @ weights)


def unit(fitted: Array, asked: Array) -> Array:
    """`asked` on the scale on which `fitted` has mean 0 and deviation 1."""
    return (asked - fitted.mean()) / (fitted.std() + 1e-12)


def opening(prompt: str) -> str:
    """The first letters and digits of a prompt, by which overlap is found."""
    return "".join(filter(str.isalnum, prompt.lower()))[:OVERLAP]


class Others:
    """What other models' scores say of choice questions: where four middling ones fail, and where a big one beats a small."""

    SMALL, MIDDLING, BIG = "7b-instruct-v0.3", ("gemma-2-9b", "llama-3.1-8b", "7b-instruct"), "nemotron-51b"

    def __init__(self, folder: Folder) -> None:
        evaluated = {opening(row.prompt) for name in (MMLU_EVAL, GSM8K_EVAL) for row in folder.rows(name, Pair)}
        rows = [
            row
            for row in folder.rows(MANY_TRAIN, Scores)
            if row.task in CHOICE_TASKS and opening(row.prompt) not in evaluated
        ]
        seen = look([row.prompt for row in rows])
        self._weigh = Weighed(seen.words)
        targets = np.array([[self._fails(row), self._gains(row)] for row in rows])
        self._table = fit_ridge(self._weigh(seen.words), targets, penalty=WORDS_PENALTY)

    def _fails(self, row: Scores) -> float:
        found = [score for model, score in row.scores.items() if any(part in model for part in self.MIDDLING)]
        return 1 - sum(found) / max(len(found), 1)

    def _gains(self, row: Scores) -> float:
        def of(part: str) -> float:
            return next((score for model, score in row.scores.items() if part in model), 0.0)

        return of(self.BIG) - of(self.SMALL)

    def __call__(self, seen: Seen) -> tuple[Array, Array]:
        """(middling ones fail, a big one gains) per prompt."""
        found = self._weigh(seen.words).times(self._table)
        return found[:, 0], found[:, 1]


def with_labels(train: Sequence[Pair], asked: Sequence[Pair], others: Others, vectors: Vectors | None) -> Array:
    """Scores for `asked` of a router that has labels of this pair of models."""
    fitted, new = look([row.prompt for row in train]), look([row.prompt for row in asked])
    gain = np.array([row.strong_correct - row.weak_correct for row in train])
    weigh, standard = Weighed(fitted.words), Standard(fitted.shapes)
    words = fit_ridge(weigh(fitted.words), gain[:, None], penalty=WORDS_PENALTY)
    shape, _ = dense_ridge(standard(fitted.shapes), gain, SHAPE_PENALTY)
    score = unit(weigh(fitted.words).times(words)[:, 0], weigh(new.words).times(words)[:, 0])
    score = score + SHAPE_PART * unit(standard(fitted.shapes) @ shape, standard(new.shapes) @ shape)
    score = score + LENGTH_PART * unit(fitted.lengths, new.lengths)
    for old, found in zip(others(fitted), others(new), strict=True):
        score = score + OTHERS_PART / 2 * unit(old, found)
    if vectors is not None:
        held, looked = vectors(fitted.prompts), vectors(new.prompts)
        pull, _ = dense_ridge(held, gain, VECTORS_PENALTY)
        score = score + unit(held @ pull, looked @ pull)
    return score


def without_labels(asked: Sequence[Pair], others: Others) -> Array:
    """Scores for `asked` from other models and length alone, in equal parts."""
    new = look([row.prompt for row in asked])
    fails, gains = others(new)
    return unit(fails, fails) + unit(gains, gains) + unit(new.lengths, new.lengths)


def school_problems(folder: Folder, asked: Sequence[Pair]) -> Array:
    """Scores for school problems: length, and half of the gain that cues and shape foretell of other models there.

    The gain is of the two best of the nine models over the four worst, on the problems of their file. The number of steps of
    a problem's solution can be foretold too (correlation 0.5), but added nothing to length on other pairs of models.
    """
    evaluated = {opening(row.prompt) for row in folder.rows(GSM8K_EVAL, Pair)}
    rows = [
        row
        for row in folder.rows(MANY_TRAIN, Scores)
        if row.task == SCHOOL_TASK and opening(row.prompt) not in evaluated
    ]
    fitted, new = look([row.prompt for row in rows]), look([row.prompt for row in asked])
    quality = np.array([[row.scores[model] for model in rows[0].scores] for row in rows])
    ranked = quality[:, np.argsort(quality.mean(axis=0), kind="stable")]
    standard = Standard(fitted.shapes)
    pull, _ = dense_ridge(
        standard(fitted.shapes), ranked[:, -2:].mean(axis=1) - ranked[:, :4].mean(axis=1), SCHOOL_PENALTY
    )
    gain = unit(standard(fitted.shapes) @ pull, standard(new.shapes) @ pull)
    return unit(fitted.lengths, new.lengths) + SCHOOL_PART * gain
