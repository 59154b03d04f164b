"""Nine models, many tasks: foretell the quality of each for a prompt, and take the best of quality less cost.

A classifier names the task; a table has each model's mean per task, drawn towards its mean over all; half of a ridge over
what the table leaves unsaid is added.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from tollway.routing.features import observe
from tollway.routing.task import cut
from tollway.training.data import Scores
from tollway.training.fit import Array, Features, Sparse, Vocabulary, fit_ridge, fit_softmax, folds, softmax

SHRINK = 10.0
"""Rows by which a task's table is drawn towards the mean over all tasks."""
TASK_PENALTY, REST_PENALTY, REST_PART, AT_LEAST = 1.0, 100.0, 0.5, 4


class Table(msgspec.Struct, frozen=True):
    """A fitted estimate of quality. tasks: features x tasks; means: tasks x models; rest: features x models."""

    vocabulary: Vocabulary
    tasks: Array
    means: Array
    rest: Array

    def quality(self, rows: Sequence[Features]) -> Array:
        """Rows x models."""
        data = Sparse(rows, self.vocabulary)
        return softmax(data.times(self.tasks)) @ self.means + REST_PART * data.times(self.rest)


def fit_table(rows: Sequence[Scores], seen: Sequence[Features]) -> Table:
    """A table of these rows; models in the order of the first."""
    names = sorted({row.task for row in rows})
    labels = np.array([names.index(row.task) for row in rows])
    quality = outcomes(rows)
    vocabulary = Vocabulary(seen, at_least=AT_LEAST)
    data = Sparse(seen, vocabulary)
    member = np.eye(len(names))[labels]
    means = (member.T @ quality + SHRINK * quality.mean(axis=0)) / (member.sum(axis=0)[:, None] + SHRINK)
    return Table(
        vocabulary,
        fit_softmax(data, labels, len(names), penalty=TASK_PENALTY, rounds=80),
        means,
        fit_ridge(data, quality - means[labels], penalty=REST_PENALTY),
    )


def outcomes(rows: Sequence[Scores]) -> Array:
    """Rows x models."""
    models = list(rows[0].scores)
    return np.array([[row.scores[model] for model in models] for row in rows])


def foretold_apart(rows: Sequence[Scores], parts: int = 5) -> Array:
    """Quality of each row by a table that did not see it."""
    seen = [observe(cut(row.prompt)) for row in rows]
    part_of = folds(len(rows), parts)
    found = np.zeros((len(rows), len(rows[0].scores)))
    for part in range(parts):
        fit, held = np.flatnonzero(part_of != part), np.flatnonzero(part_of == part)
        table = fit_table([rows[at] for at in fit.tolist()], [seen[at] for at in fit.tolist()])
        found[held] = table.quality([seen[at] for at in held.tolist()])
    return found
