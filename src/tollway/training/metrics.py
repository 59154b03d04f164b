"""The measures that routers are compared with, by their published definitions, and bootstrap intervals around them."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from tollway.training.fit import Array, Whole

Measures: TypeAlias = dict[str, float]
Interval: TypeAlias = tuple[float, float, float]
"""As measured; 2.5 % and 97.5 % of the bootstrap."""
ROUNDS, SEED = 1_000, 20_261_125


def gap_recovered(score: Array, weak: Array, strong: Array, bins: int = 10) -> Measures:
    """APGR, CPT50, CPT80 (RouteLLM, arXiv 2406.18665).

    The curve is quality against the share of calls to the strong model, at `bins` thresholds of equal counts. `apgr` is the
    area between it and the weak model, over that between both models; `cpt50` is the share of strong calls in % at which
    half of the gap is recovered, by linear interpolation.
    """
    # Ties are broken at random in the reference too, by the same seed.
    spread = score + 1e-9 * np.random.RandomState(0).rand(len(weak))
    points = list[tuple[float, float]]()
    for at, threshold in enumerate(np.quantile(spread, np.linspace(0, 1, bins + 1))):
        chosen = spread > threshold if at == bins else spread >= threshold
        points.append((float(chosen.mean()), float(np.where(chosen, strong, weak).mean())))
    ordered: Array = np.array(sorted(points))
    share, quality = ordered[:, 0], ordered[:, 1]
    low, gap = float(weak.mean()), float(strong.mean() - weak.mean())
    return {
        "apgr": (float(np.trapezoid(quality, share)) - low) / gap,
        "cpt50": 100 * float(np.interp(low + 0.5 * gap, quality, share)),
        "cpt80": 100 * float(np.interp(low + 0.8 * gap, quality, share)),
    }


def improvement_in_quality(points: Sequence[tuple[float, float]], least: float, most: float, steps: int = 300) -> float:
    """AIQ (RouterBench, arXiv 2403.12031): mean quality under the non-decreasing convex hull of (cost, quality)."""
    hull, best = list[tuple[float, float]](), -np.inf
    for cost, quality in sorted(points):
        best = max(best, quality)
        while len(hull) >= 2 and (hull[-1][1] - hull[-2][1]) * (cost - hull[-2][0]) <= (best - hull[-2][1]) * (
            hull[-1][0] - hull[-2][0]
        ):
            hull.pop()
        hull.append((cost, float(best)))
    corners: Array = np.array(hull)
    return float(np.mean(np.interp(np.linspace(least, most, steps), corners[:, 0], corners[:, 1])))


def intervals(measure: Callable[[Whole], Mapping[str, float]], count: int, rounds: int = ROUNDS) -> dict[str, Interval]:
    """Each measure with its 95 % bootstrap interval over rows, of `measure(row numbers)`."""
    chance = np.random.default_rng(SEED)
    drawn = [measure(chance.integers(0, count, count)) for _ in range(rounds)]
    whole = measure(np.arange(count))
    found = dict[str, Interval]()
    for name, value in whole.items():
        low, high = np.nanquantile([one[name] for one in drawn], [0.025, 0.975])
        found[name] = (value, float(low), float(high))
    return found


DEARNESS = (0.0, *(float(one) for one in np.geomspace(1e-3, 30, 60)))
"""What a dollar per million tokens is weighed at: from nothing, quality alone, to cost alone."""


def choices(predicted: Array, costs: Array) -> Whole:
    """Dearness x rows: the model with the best predicted quality less cost."""
    return np.stack([(predicted - dear * costs).argmax(axis=1) for dear in DEARNESS])


Band: TypeAlias = tuple[str, int, float, float]
"""A band of confidence: its name, rows, mean confidence, share that was right."""
_EDGES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.01)


def reliability(confidence: Array, right: Array) -> list[Band]:
    """The bands that have rows, lowest first."""
    bands = list[Band]()
    for low, high in itertools.pairwise(_EDGES):
        here = (confidence >= low) & (confidence < high)
        if here.any():
            name = f"{low:.2f} - {min(high, 1.0):.2f}"
            bands.append((name, int(here.sum()), float(confidence[here].mean()), float(right[here].mean())))
    return bands
