"""Sparse rows of features, and the two fits over them: softmax regression and ridge. Deterministic: no chance is drawn."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Whole: TypeAlias = NDArray[np.int64]
Features: TypeAlias = Mapping[str, float]
_MEMORY = 8
_SMALL = 1e-12


class Vocabulary:
    """Features that are numbered: cues and shape always, words that at least so many rows have."""

    def __init__(self, rows: Sequence[Features], *, at_least: int) -> None:
        counts = Counter(name for row in rows for name in row)
        self.names = sorted(name for name, count in counts.items() if count >= (at_least if name[0] == "w" else 2))
        self.index = {name: at for at, name in enumerate(self.names)}


class Sparse:
    """Rows x features, with a last column of ones; products only."""

    def __init__(self, rows: Sequence[Features], vocabulary: Vocabulary) -> None:
        index, ones = vocabulary.index, len(vocabulary.names)
        columns, values, starts = list[int](), list[float](), list[int]()
        for row in rows:
            starts.append(len(columns))
            for name, strength in row.items():
                if name in index:
                    columns.append(index[name])
                    values.append(strength)
            columns.append(ones)
            values.append(1.0)
        self.shape = (len(rows), ones + 1)
        self._columns = np.array(columns, dtype=np.int64)
        self._values = np.array(values)[:, None]
        self._starts = np.array(starts, dtype=np.int64)
        self._rows = np.repeat(np.arange(len(rows)), np.diff(np.append(self._starts, len(columns))))
        self._order = np.argsort(self._columns, kind="stable")
        self._present, self._begins = np.unique(self._columns[self._order], return_index=True)

    def times(self, weights: Array) -> Array:
        """Rows x outputs."""
        return np.add.reduceat(self._values * weights[self._columns], self._starts, axis=0)

    def back(self, errors: Array) -> Array:
        """Features x outputs: the transpose times `errors`."""
        spread = (self._values * errors[self._rows])[self._order]
        found = np.zeros((self.shape[1], errors.shape[1]))
        found[self._present] = np.add.reduceat(spread, self._begins, axis=0)
        return found


def softmax(scores: Array) -> Array:
    """Rows of probabilities."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def fit_softmax(
    data: Sparse, labels: Whole, classes: int, *, penalty: float, weights: Array | None = None, rounds: int = 120
) -> Array:
    """Features x classes, by L-BFGS from zero. `penalty`: of the squared weights, per summed loss; the constant is free."""
    wanted = np.eye(classes)[labels]
    rows = (np.ones(len(labels)) if weights is None else weights)[:, None]
    total = float(rows.sum())
    free = np.ones((data.shape[1], 1))
    free[-1] = 0.0

    def loss(flat: Array) -> tuple[float, Array]:
        table = flat.reshape(data.shape[1], classes)
        chances = softmax(data.times(table))
        value = -float((rows * wanted * np.log(chances + _SMALL)).sum()) + penalty / 2 * float((free * table**2).sum())
        slope = data.back(rows * (chances - wanted)) + penalty * free * table
        return value / total, slope.ravel() / total

    return _lbfgs(loss, np.zeros(data.shape[1] * classes), rounds).reshape(data.shape[1], classes)


def fit_ridge(data: Sparse, targets: Array, *, penalty: float, rounds: int = 60) -> Array:
    """Features x outputs by conjugate gradients; `targets` are rows x outputs; the constant is free."""
    free = np.full((data.shape[1], 1), penalty)
    free[-1] = 0.0
    found = np.zeros((data.shape[1], targets.shape[1]))
    rest = data.back(targets)
    step = rest.copy()
    size = (rest**2).sum(axis=0)
    for _ in range(rounds):
        moved = data.back(data.times(step)) + free * step
        far = size / ((step * moved).sum(axis=0) + _SMALL)
        found += far * step
        rest -= far * moved
        new = (rest**2).sum(axis=0)
        step = rest + new / (size + _SMALL) * step
        size = new
    return found


def _lbfgs(loss: Callable[[Array], tuple[float, Array]], start: Array, rounds: int) -> Array:
    place, memory = start, list[tuple[Array, Array]]()
    value, slope = loss(place)
    for _ in range(rounds):
        way, kept = -slope, list[float]()
        for moved, turned in reversed(memory):
            share = float(moved @ way) / float(moved @ turned)
            kept.append(share)
            way = way - share * turned
        if memory:
            moved, turned = memory[-1]
            way = way * (float(moved @ turned) / float(turned @ turned))
        for (moved, turned), share in zip(memory, reversed(kept), strict=True):
            way = way + (share - float(turned @ way) / float(moved @ turned)) * moved
        far, falls = 1.0, float(slope @ way)
        if falls > -1e-11:
            break
        while True:
            ahead = place + far * way
            new_value, new_slope = loss(ahead)
            if new_value <= value + 1e-4 * far * falls or far < 1e-8:
                break
            far /= 2
        step, turn = ahead - place, new_slope - slope
        if float(step @ turn) > _SMALL:
            memory = [*memory[1 - _MEMORY :], (step, turn)]
        place, value, slope = ahead, new_value, new_slope
    return place


def folds(count: int, parts: int = 5) -> Whole:
    """Row -> its part, fixed: rows are dealt by a multiplicative hash of their number."""
    return (np.arange(count, dtype=np.int64) * 2_654_435_761 % 4_294_967_296 >> 7) % parts
