"""Fits: they find what is there, against dense mathematics, and do the same twice."""

import pytest

np = pytest.importorskip("numpy")
from tollway.training.fit import Sparse, Vocabulary, fit_ridge, fit_softmax, folds  # noqa: E402

ROWS = [{"s:a": at % 7 / 3, "s:b": at % 5 / 2, **({"w:x": 0.3} if at % 3 else {})} for at in range(60)]


def dense(rows, vocabulary):
    return np.array([[row.get(name, 0.0) for name in vocabulary.names] + [1.0] for row in rows])


def test_products_are_those_of_the_dense_table():
    vocabulary = Vocabulary(ROWS, at_least=1)
    data, table = Sparse(ROWS, vocabulary), dense(ROWS, vocabulary)
    chance = np.random.default_rng(1)
    weights, errors = chance.normal(size=(table.shape[1], 3)), chance.normal(size=(60, 3))
    assert np.allclose(data.times(weights), table @ weights)
    assert np.allclose(data.back(errors), table.T @ errors)


def test_ridge_is_the_closed_form():
    vocabulary = Vocabulary(ROWS, at_least=1)
    table = dense(ROWS, vocabulary)
    target = table @ np.array([[1.0], [-2.0], [0.5], [3.0]]) + np.sin(np.arange(60))[:, None]
    free = np.diag([2.0, 2.0, 2.0, 0.0])
    expected = np.linalg.solve(table.T @ table + free, table.T @ target)
    assert np.allclose(fit_ridge(Sparse(ROWS, vocabulary), target, penalty=2.0), expected, atol=1e-6)


def test_softmax_finds_the_border_and_does_the_same_twice():
    labels = np.array([int(row["s:a"] > row["s:b"]) for row in ROWS])
    data = Sparse(ROWS, Vocabulary(ROWS, at_least=1))
    one = fit_softmax(data, labels, 2, penalty=0.01)
    assert (data.times(one).argmax(axis=1) == labels).mean() > 0.95
    assert (one == fit_softmax(data, labels, 2, penalty=0.01)).all()


def test_rare_words_are_left_out_and_unknown_ones_are_nothing():
    vocabulary = Vocabulary([*ROWS, {"w:once": 1.0}], at_least=3)
    assert "w:once" not in vocabulary.index
    assert Sparse([{"w:never": 1.0}], vocabulary).times(np.ones((len(vocabulary.names) + 1, 1))).tolist() == [[1.0]]


def test_folds_are_even():
    counts = np.bincount(folds(5_000))
    assert len(counts) == 5
    assert counts.min() > 950
