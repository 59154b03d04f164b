"""The benchmark as text: for the terminal, and for the page in the docs."""

import platform
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from tollway.training.latency import Timing
from tollway.training.metrics import Band, Interval
from tollway.training.rows import Goal, Row


class Report(msgspec.Struct, frozen=True):
    """All that was measured. latency: each with its goals for p50 and p99, None where there is none."""

    rows: Sequence[Row]
    bands: Sequence[Band]
    latency: Sequence[tuple[Timing, float | None, float]]
    load_ms: float
    weights_bytes: int
    features: int


def shown(interval: Interval) -> str:
    """`0.661 [0.600, 0.724]`; percentages with one place."""
    value, low, high = interval
    places = 1 if abs(value) >= 2 else 3
    return f"{value:.{places}f} [{low:.{places}f}, {high:.{places}f}]"


def markdown(report: Report, command: str) -> str:
    """The page's measured part: everything between its head and its explanations."""
    parts = [_summary(report), *map(_section, report.rows), _latency(report), _reliability(report.bands)]
    machine = f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}, one core"
    return "\n\n".join([*parts, f"Measured by `{command}` with {machine}."]) + "\n"


def judged(report: Report) -> Iterable[tuple[str, str, Goal, Interval, Interval | None]]:
    """Per goal: row, measure, goal, ours, and the same by length alone."""
    for row in report.rows:
        by_length = next((line for line in row.lines if line.name == "length alone"), None)
        for measure, goal in row.goals.items():
            ours = next(line for line in row.lines if line.is_router and measure in line.measures)
            length = None if by_length is None else by_length.measures.get(measure)
            yield row.title, measure, goal, ours.measures[measure], length


def _summary(report: Report) -> str:
    lines = [
        (
            title,
            measure,
            str(goal),
            shown(ours),
            "" if length is None else shown(length),
            _word(goal.is_reached(ours[0])),
        )
        for title, measure, goal, ours, length in judged(report)
    ]
    for timing, p50, p99 in report.latency:
        if p50 is not None:
            lines.append((timing.name, "p50 ms", f"<= {p50:g}", f"{timing.p50:.2f}", "", _word(timing.p50 <= p50)))
        lines.append((timing.name, "p99 ms", f"<= {p99:g}", f"{timing.p99:.2f}", "", _word(timing.p99 <= p99)))
    return _table(("what", "measure", "goal", "router [95 %]", "length alone", "reached"), lines)


def _section(row: Row) -> str:
    measures = list(dict.fromkeys(name for line in row.lines for name in line.measures))
    lines = [
        (line.name, *(shown(line.measures[name]) if name in line.measures else "" for name in measures))
        for line in row.lines
    ]
    return f"## {row.title}\n\n{row.rows:,} prompts. {row.note}\n\n{_table(('way', *measures), lines)}"


def _latency(report: Report) -> str:
    lines = [(timing.name, f"{timing.p50:.3f}", f"{timing.p99:.3f}") for timing, _, _ in report.latency]
    size = f"{report.weights_bytes / 1000:.0f} kB of weights with {report.features:,} features load in {report.load_ms:.0f} ms."
    return f"## Latency\n\n{size}\n\n{_table(('prompt', 'p50 ms', 'p99 ms'), lines)}"


def _reliability(bands: Sequence[Band]) -> str:
    lines = [(name, f"{rows}", f"{stated:.3f}", f"{right:.3f}") for name, rows, stated, right in bands]
    return f"## Confidence\n\n{_table(('stated', 'prompts', 'mean stated', 'came true'), lines)}"


def _word(is_reached: bool) -> str:  # noqa: FBT001 - one truth, one word
    return "yes" if is_reached else "**no**"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
