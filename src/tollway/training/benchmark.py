"""The whole benchmark: every row, the reliability of confidence, and latency."""

import pathlib
from collections.abc import Callable

from tollway.routing.classifier import load_classifier
from tollway.routing.weights import packaged
from tollway.training.data import ALL, TIERS_EVAL, Tiered
from tollway.training.latency import LONG, SHORT, load_time, time_of
from tollway.training.report import Report
from tollway.training.rows import Bench, Row


def measure(path: pathlib.Path, *, rounds: int, say: Callable[[str], None]) -> Report:
    """Works it all out; about two minutes. `say` is told each step before it is taken.

    Raises:
        ConfigurationError: data or weights are missing.
    """
    bench = Bench(path, rounds=rounds)
    bench.folder.require(ALL)
    steps = (
        ("MMLU with labels", bench.mmlu_with_labels), ("MMLU without labels", bench.mmlu_without_labels),
        ("GSM8K", bench.gsm8k), ("four bands", bench.tiers), ("nine models", bench.nine_models),
    )  # fmt: skip
    rows = list[Row]()
    for name, step in steps:
        say(name)
        rows.append(step())
    say("confidence")
    bands = bench.confidence()
    say("latency")
    classifier = load_classifier()
    # By language, because a person writes a prompt in one.
    prompts = [row.prompt for row in sorted(bench.folder.rows(TIERS_EVAL, Tiered), key=lambda row: row.lang)]
    latency = ((time_of(classifier, prompts, SHORT), 0.3, 1.0), (time_of(classifier, prompts, LONG), None, 2.0))
    weights = packaged()
    size = 0 if weights is None else len(weights.rows) + sum(len(name.encode()) for name in weights.features)
    return Report(rows, bands, latency, load_time(), size, 0 if weights is None else len(weights.features))
