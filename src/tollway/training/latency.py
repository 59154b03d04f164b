"""How long one classification takes on one core: time of this thread, so that a busy machine does not change it."""

import time
from collections.abc import Sequence

import msgspec

from tollway.routing.task import cut
from tollway.routing.verdict import Classifier, Task

SHORT, LONG = 500, 10_000
ROUNDS = 3_000
_TEXTS = 64


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds."""

    name: str
    p50: float
    p99: float


def time_of(classifier: Classifier, prompts: Sequence[str], characters: int, rounds: int = ROUNDS) -> Timing:
    """Over neighbouring prompts put together until they have so many characters; cutting to 2,000 is timed too."""
    texts = [_grown(prompts, at, characters) for at in range(_TEXTS)]
    took = list[int]()
    for at in range(rounds):
        text = texts[at % len(texts)]
        start = time.thread_time_ns()
        classifier.classify(
            Task(text=cut(text), context="", characters=len(text), input_tokens=len(text) // 4, output_tokens=500)
        )
        took.append(time.thread_time_ns() - start)
    took.sort()
    return Timing(f"{characters:,} characters", took[len(took) // 2] / 1e6, took[len(took) * 99 // 100] / 1e6)


def load_time(rounds: int = 5) -> float:
    """Milliseconds on the clock to load the packaged classifier, the best of a few."""
    from tollway.routing.classifier import load_classifier  # noqa: PLC0415 - its import is not what is timed

    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter_ns()
        load_classifier()
        best = min(best, (time.perf_counter_ns() - start) / 1e6)
    return best


def _grown(prompts: Sequence[str], start: int, characters: int) -> str:
    text, at = "", start * len(prompts) // _TEXTS
    while len(text) < characters:
        text += prompts[at % len(prompts)] + "\n"
        at += 1
    return text[:characters]
