"""How a model was chosen, from its receipt, for a terminal: the steps, who was weighed, and what else there would have been."""

from collections.abc import Iterator, Sequence
from typing import Any

from tollway.commands.table import table
from tollway.jsontypes import JSONObject

_EXPECTED = "expected USD, before margin"


def routing_told(routing: JSONObject) -> Iterator[str]:
    """The parts of a receipt about its choice; none of them where the model was simply named and nothing was weighed."""
    steps: Sequence[Any] = _list(routing, "steps")
    if not steps:
        return
    lines = ["Choice", *map(str, steps)]
    features = _list(routing, "features")
    if features:
        named = ", ".join(f"{name} ({weight:+.2f})" for name, weight in features)
        lines.append(f"What mattered: {named}.")
    if routing.get("savings_pct") is not None:
        lines.append(f"Against {routing['baseline_model']} named directly: {routing['savings_pct']} % saved.")
    lines += [
        f"One tier away, {one['tier']}: {one['model']}, expected {one['cost_usd']} USD."
        for one in _list(routing, "alternatives")
    ]
    yield "\n".join(lines)
    considered = _list(routing, "considered")
    if considered:
        rows = [[str(one["place"]), one["model"], f"{one['quality']:.2f}", one["cost_usd"]] for one in considered]
        more = int(str(routing.get("considered_count", 0))) - len(considered)
        shown = "Weighed\n" + table(["#", "model", "quality", _EXPECTED], rows, right=["quality", _EXPECTED])
        yield shown + (f"\nand {more} more" if more > 0 else "")
    excluded = _list(routing, "excluded")
    if excluded:
        found = [f"{one['model']}: {one['reason']}" for one in excluded]
        more = int(str(routing.get("excluded_count", 0))) - len(excluded)
        yield "\n".join(["Ruled out", *found, *([f"and {more} more"] if more > 0 else [])])


def _list(routing: JSONObject, name: str) -> Sequence[Any]:
    found = routing.get(name)
    return found if isinstance(found, list) else []
