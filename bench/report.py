"""The report: medians over the rounds, ratios within each round, and the goals that they must reach."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Key = tuple[str, str, int]
"""(target, shape, connections)."""
Runs = Mapping[Key, Sequence[Mapping[str, float]]]
"""Key -> one set of figures per round, in the order of the rounds."""


@dataclass(frozen=True)
class Goal:
    """`must` is the promise, `goal` the wish; None where there is none. at_most: smaller is better."""

    name: str
    must: float
    goal: float | None
    unit: str = ""
    at_most: bool = False


GOALS = {
    "bare": Goal("rps against the bare Python proxy, c=64, JSON", 0.55, 0.75, "x"),
    "portkey": Goal("rps against Portkey, c=64, JSON", 4, 7, "x"),
    "litellm": Goal("rps against LiteLLM, c=64, JSON", 30, 50, "x"),
    "added_p50_ms": Goal("added p50, c=1, JSON", 1.0, None, " ms", at_most=True),
    "rss_mb": Goal("resident memory after the load", 120, None, " MB", at_most=True),
    "import_s": Goal("import tollway.app", 0.5, None, " s", at_most=True),
    "ready_s": Goal("start until ready", 1.5, None, " s", at_most=True),
}


def median(runs: Runs, key: Key, figure: str) -> float | None:
    """Over the rounds."""
    found = runs.get(key)
    return statistics.median(one[figure] for one in found) if found else None


def ratio(runs: Runs, key: Key, against: str, figure: str = "rps") -> float | None:
    """Median over the rounds of (figure / the other's of the same round)."""
    others = runs.get((against, *key[1:]))
    if not others or key not in runs:
        return None
    pairs = zip(runs[key], others, strict=True)
    found = [one[figure] / other[figure] for one, other in pairs if other[figure]]
    return statistics.median(found) if found else None


def summary(runs: Runs) -> list[dict[str, Any]]:
    """One row per target, shape and number of connections."""
    figures = ("rps", "p50_ms", "p95_ms", "p99_ms", "cpu_ms", "rss_mb")
    rows = list[dict[str, Any]]()
    for key in runs:
        row: dict[str, Any] = {"target": key[0], "shape": key[1], "connections": key[2]}
        row |= {figure: median(runs, key, figure) for figure in figures}
        row |= {"of_nginx": ratio(runs, key, "nginx"), "of_bare": ratio(runs, key, "bare")}
        row["cpu_of_bare"] = ratio(runs, key, "bare", "cpu_ms")
        row["failed"] = sum(int(one["failed"] + one["broken"]) for one in runs[key])
        rows.append(row)
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """For the terminal; times in ms, memory in MB."""
    head = f"{'shape':5} {'c':>3} {'target':9} {'rps':>9} {'p50':>8} {'p95':>8} {'p99':>8} {'cpu/req':>8} {'rss':>6}"
    lines = [f"{head} {'of nginx':>9} {'of bare':>8} {'cpu/bare':>8} {'failed':>6}"]
    last: tuple[Any, Any] | None = None
    for row in sorted(rows, key=lambda row: (row["shape"], row["connections"])):
        group = (row["shape"], row["connections"])
        if last not in (None, group):
            lines.append("")
        last = group
        shares = "".join(
            f" {_share(row[name]):>{width}}" for name, width in (("of_nginx", 9), ("of_bare", 8), ("cpu_of_bare", 8))
        )
        lines.append(
            f"{row['shape']:5} {row['connections']:>3} {row['target']:9} {row['rps']:>9,.0f} {row['p50_ms']:>8.2f} "
            f"{row['p95_ms']:>8.2f} {row['p99_ms']:>8.2f} {row['cpu_ms']:>8.3f} {row['rss_mb']:>6.0f}{shares}"
            f" {row['failed']:>6}"
        )
    return "\n".join(lines)


def goals(runs: Runs, facts: Mapping[str, float | str], name: str = "tollway") -> list[dict[str, Any]]:
    """What was promised of Tollway, as far as this run can tell."""
    alone, through = (median(runs, (one, "json", 1), "p50_ms") for one in ("upstream", name))
    memory = [one["rss_mb"] for key, found in runs.items() if key[0] == name for one in found]
    measured = {
        **{peer: ratio(runs, (name, "json", 64), peer) for peer in ("bare", "portkey", "litellm")},
        "added_p50_ms": through - alone if through is not None and alone is not None else None,
        "rss_mb": max(memory, default=None),
        "import_s": facts.get("import_s"),
        "ready_s": facts.get("ready_s"),
    }
    rows = list[dict[str, Any]]()
    for which, goal in GOALS.items():
        value = measured[which]
        if value is None or isinstance(value, str):
            continue
        holds = value <= goal.must if goal.at_most else value >= goal.must
        rows.append({"name": goal.name, "value": round(value, 3), "must": goal.must, "goal": goal.goal, "holds": holds})
    return rows


def goal_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line per goal."""
    units = {goal.name: (goal.unit, "<=" if goal.at_most else ">=") for goal in GOALS.values()}
    lines = list[str]()
    for row in rows:
        unit, sign = units[row["name"]]
        wish = f", goal {row['goal']:g}{unit}" if row["goal"] is not None else ""
        verdict = "ok  " if row["holds"] else "MISS"
        lines.append(f"{verdict} {row['name']}: {row['value']:.3g}{unit} (must {sign} {row['must']:g}{unit}{wish})")
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
