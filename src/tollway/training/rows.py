"""The rows of the benchmark: each fits on training files and is scored on what the fit did not see."""

import pathlib
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from tollway.routing.features import observe
from tollway.routing.task import cut
from tollway.training import metrics
from tollway.training.data import (
    GSM8K_EVAL,
    MANY_TRAIN,
    MMLU_EVAL,
    MMLU_TRAIN,
    TIERS_EVAL,
    TIERS_TRAIN,
    Folder,
    Pair,
    Scores,
    Tiered,
)
from tollway.training.fit import Array, Features, Sparse, Vocabulary, Whole, fit_ridge, fit_softmax, folds, softmax
from tollway.training.heads import Heads, fit_heads
from tollway.training.labels import Example, examples, tiered
from tollway.training.many import foretold_apart, outcomes
from tollway.training.metrics import Interval
from tollway.training.pairs import Others, school_problems, with_labels, without_labels
from tollway.training.vectors import Vectors

BANDS_RANKED = np.array([0, 1, 2, 3])
KEPT_OF_BEST = 0.97


class Goal(msgspec.Struct, frozen=True):
    """What a measure must reach. at_least: higher is better."""

    value: float
    at_least: bool = True

    def is_reached(self, value: float) -> bool:
        return value >= self.value if self.at_least else value <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.value:g}"


class Line(msgspec.Struct, frozen=True):
    """One way to route, with its measures: name -> (value, low, high)."""

    name: str
    measures: Mapping[str, Interval]
    is_router: bool = False


class Row(msgspec.Struct, frozen=True):
    """One row of the table. The first router line is ours as shipped. note: what to know when reading it."""

    title: str
    rows: int
    goals: Mapping[str, Goal]
    lines: Sequence[Line]
    note: str = ""


class Bench:
    """Works out the rows over a folder of data."""

    def __init__(self, path: pathlib.Path, *, rounds: int = metrics.ROUNDS) -> None:
        self.folder = Folder(path)
        self._rounds = rounds
        self._others: Others | None = None

    @property
    def others(self) -> Others:
        """Fitted once."""
        if self._others is None:
            self._others = Others(self.folder)
        return self._others

    def mmlu_with_labels(self) -> Row:
        """A router with 1,500 labels of this pair of models."""
        train, asked = self.folder.rows(MMLU_TRAIN, Pair), self.folder.rows(MMLU_EVAL, Pair)
        goals = {"APGR": Goal(0.66), "CPT50": Goal(28, at_least=False), "CPT80": Goal(61, at_least=False)}
        ways = {"words": with_labels(train, asked, self.others, None)}
        vectors = Vectors.installed()
        if vectors is not None:
            ways["words and word vectors"] = with_labels(train, asked, self.others, vectors)
        return self._pair("MMLU, 1,500 labels of this pair", asked, ways, goals)

    def mmlu_without_labels(self) -> Row:
        """A router that has seen other models only."""
        asked = self.folder.rows(MMLU_EVAL, Pair)
        return self._pair(
            "MMLU, no labels of this pair", asked, {"words": without_labels(asked, self.others)}, {"APGR": Goal(0.58)}
        )

    def gsm8k(self) -> Row:
        """School problems, by length and what other models gained."""
        asked = self.folder.rows(GSM8K_EVAL, Pair)
        ways = {"length and others' gain": school_problems(self.folder, asked)}
        return self._pair("GSM8K, no labels of this pair", asked, ways, {"APGR": Goal(0.62)})

    def _pair(self, title: str, asked: Sequence[Pair], ways: Mapping[str, Array], goals: Mapping[str, Goal]) -> Row:
        weak = np.array([row.weak_correct for row in asked])
        strong = np.array([row.strong_correct for row in asked])
        length = np.array([float(len(row.prompt)) for row in asked])

        def line(name: str, score: Array, *, is_router: bool) -> Line:
            def measure(at: Whole) -> dict[str, float]:
                found = metrics.gap_recovered(score[at], weak[at], strong[at])
                return {"APGR": found["apgr"], "CPT50": found["cpt50"], "CPT80": found["cpt80"]}

            return Line(name, self._intervals(measure, len(asked)), is_router)

        lines = [line(name, score, is_router=True) for name, score in ways.items()]
        lines.append(line("length alone", length, is_router=False))
        note = (
            f"The weak model alone answers {weak.mean():.1%}, the strong one, the best single model, {strong.mean():.1%}. "
            "Chance has APGR 0.5, CPT50 50, CPT80 80."
        )
        return Row(title, len(asked), goals, lines, note)

    def tiers(self) -> Row:
        """Four bands of difficulty; and each language by a fit that never saw it."""
        train, asked = self.folder.rows(TIERS_TRAIN, Tiered), self.folder.rows(TIERS_EVAL, Tiered)
        fitted, gold = list(tiered(train)), _bands(list(tiered(asked)))
        seen, new = _observed(fitted), _observed(list(tiered(asked)))
        ours = fit_heads(fitted, seen).scores(new).argmax(axis=1)
        wide = examples(self.folder)
        shipped = fit_heads(wide, _observed(wide)).scores(new).argmax(axis=1)
        by_length = _by_length(seen, _bands(fitted), new)
        most = np.full(len(gold), np.bincount(_bands(fitted)).argmax())
        unseen, unseen_gold = self._unseen_languages(train, asked)
        lines = [
            self._accuracy("words, train split only", ours, gold, is_router=True),
            self._accuracy("words, the shipped weights' training", shipped, gold, is_router=True),
            self._accuracy("length alone", by_length, gold),
            self._accuracy("always the commonest", most, gold),
        ]
        other = self._accuracy(
            "words, a language that its fit never saw", unseen, unseen_gold, measure="unseen languages"
        )
        lines.insert(1, other)
        goals = {"accuracy": Goal(0.92), "unseen languages": Goal(0.88)}
        return Row(
            "Four bands of difficulty", len(asked), goals, lines, f"{len(unseen)} prompts are in other languages."
        )

    def _unseen_languages(self, train: Sequence[Tiered], asked: Sequence[Tiered]) -> tuple[Whole, Whole]:
        every = [*train, *asked]
        predicted, gold = list[int](), list[int]()
        for language in sorted({row.lang for row in asked} - {"en", "mixed"}):
            fitted = list(tiered(tuple(row for row in train if row.lang != language)))
            held = list(tiered(tuple(row for row in every if row.lang == language)))
            heads: Heads = fit_heads(fitted, _observed(fitted))
            predicted.extend(int(one) for one in heads.scores(_observed(held)).argmax(axis=1))
            gold.extend(one.band for one in held)
        return np.array(predicted), np.array(gold)

    def _accuracy(
        self, name: str, predicted: Whole, gold: Whole, *, is_router: bool = False, measure: str = "accuracy"
    ) -> Line:
        def found(at: Whole) -> dict[str, float]:
            one, other = predicted[at], gold[at]
            return {
                measure: float((one == other).mean()),
                "too low": float((one < other).mean()),
                "too high": float((one > other).mean()),
            }

        return Line(name, self._intervals(found, len(gold)), is_router or measure != "accuracy")

    def nine_models(self) -> Row:
        """Nine models, twelve tasks, in five folds."""
        rows = self.folder.rows(MANY_TRAIN, Scores)
        prices, quality = self.folder.prices(), outcomes(rows)
        models = list(rows[0].scores)
        costs = np.array([prices[model] for model in models])
        best = int(quality.mean(axis=0).argmax())
        lines = [
            self._many("words", foretold_apart(rows), quality, costs, best, is_router=True),
            self._many("length alone", _quality_by_length(rows, quality), quality, costs, best),
            self._singles(quality, costs, best),
        ]
        goals = {"AIQ": Goal(0.62), "cost at 97 %": Goal(0.30, at_least=False)}
        note = (
            f"The best single model, {models[best]}, has quality {quality[:, best].mean():.3f}. Costs are the prices of the "
            "file, as if every request had as many tokens; measured in five folds of the training file."
        )
        return Row("Nine models, their tasks", len(rows), goals, lines, note)

    def _many(
        self, name: str, predicted: Array, quality: Array, costs: Array, best: int, *, is_router: bool = False
    ) -> Line:
        chosen = metrics.choices(predicted, costs)
        rows = np.arange(len(quality))
        got, paid = quality[rows, chosen], costs[chosen]

        def measure(at: Whole) -> dict[str, float]:
            points = list(zip(paid[:, at].mean(axis=1).tolist(), got[:, at].mean(axis=1).tolist(), strict=True))
            enough = [cost for cost, value in points if value >= KEPT_OF_BEST * float(quality[at, best].mean())]
            return {
                "AIQ": metrics.improvement_in_quality(points, float(costs.min()), float(costs.max())),
                "cost at 97 %": (min(enough) if enough else float("nan")) / float(costs[best]),
                "best quality": max(value for _, value in points),
            }

        return Line(name, self._intervals(measure, len(quality), self._rounds // 4 or 1), is_router)

    def _singles(self, quality: Array, costs: Array, best: int) -> Line:
        def measure(at: Whole) -> dict[str, float]:
            means = quality[at].mean(axis=0)
            points = [(float(cost), float(mean)) for cost, mean in zip(costs, means, strict=True)]
            enough = [cost for cost, mean in points if mean >= KEPT_OF_BEST * float(means[best])]
            return {
                "AIQ": metrics.improvement_in_quality(points, float(costs.min()), float(costs.max())),
                "cost at 97 %": min(enough) / float(costs[best]),
                "best quality": float(means[best]),
            }

        return Line("single models and mixtures of two", self._intervals(measure, len(quality), self._rounds // 4 or 1))

    def confidence(self) -> list[metrics.Band]:
        """Reliability of the shipped weights' confidence on the evaluation split."""
        from tollway.routing.classifier import LexicalClassifier  # noqa: PLC0415
        from tollway.training.heads import train  # noqa: PLC0415

        classifier = LexicalClassifier(train(self.folder, ""))
        found = list(tiered(self.folder.rows(TIERS_EVAL, Tiered)))
        chances = np.array([classifier.chances(row)[0] for row in _observed(found)])
        return metrics.reliability(chances.max(axis=1), (chances.argmax(axis=1) == _bands(found)).astype(float))

    def _intervals(
        self, measure: Callable[[Whole], Mapping[str, float]], count: int, rounds: int | None = None
    ) -> dict[str, Interval]:
        return metrics.intervals(measure, count, self._rounds if rounds is None else rounds)


def _observed(rows: Sequence[Example]) -> list[Features]:
    return [observe(cut(row.prompt)) for row in rows]


def _bands(rows: Sequence[Example]) -> Whole:
    return np.array([row.band for row in rows])


def _by_length(seen: Sequence[Features], gold: Whole, new: Sequence[Features]) -> Whole:
    def only(rows: Sequence[Features]) -> list[Features]:
        return [{"s:length": row["s:length"], "s:squared": row["s:length"] ** 2} for row in rows]

    vocabulary = Vocabulary(only(seen), at_least=1)
    table = fit_softmax(Sparse(only(seen), vocabulary), gold, 4, penalty=0.01)
    return softmax(Sparse(only(new), vocabulary).times(table)).argmax(axis=1)


def _quality_by_length(rows: Sequence[Scores], quality: Array) -> Array:
    length: list[Features] = [{"s:length": float(np.log1p(len(row.prompt)))} for row in rows]
    vocabulary, part_of = Vocabulary(length, at_least=1), folds(len(rows))
    found = np.zeros_like(quality)
    for part in range(5):
        fit, held = np.flatnonzero(part_of != part), np.flatnonzero(part_of == part)
        table = fit_ridge(Sparse([length[at] for at in fit.tolist()], vocabulary), quality[fit], penalty=1.0)
        found[held] = Sparse([length[at] for at in held.tolist()], vocabulary).times(table)
    return found
