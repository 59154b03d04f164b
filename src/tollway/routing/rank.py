"""Pipeline step 4, rank: what each model that may answer is worth for this task, best first.

value = knob x quality + (1 - knob) x saving. Quality is the model's for the category of the task. Saving is what it costs less
than the tier's reference model, as a part of that: 0.75 is four times cheaper, -3 four times dearer.
A model below the tier takes part only where its quality for the category comes within 0.02 of the reference's. One of the
tier, or above it, that falls behind the reference by more than the knob tolerates - 0.08 at balance, nothing at `best`, no
matter at `cheapest` - comes after all that do not.
"""

from collections.abc import Iterable, Sequence

import msgspec

from tollway.routing.filters import Survivor
from tollway.routing.shelf import Row
from tollway.routing.tiers import Category
from tollway.routing.verdict import Task

AS_GOOD_WITHIN = 0.02
"""So much less quality than the tier's reference is as good as the tier."""
TOLERATED = 0.08
"""At balance: a model that much weaker at the task than the reference is still good enough for it."""


class Ranked(msgspec.Struct, frozen=True, gc=False):
    """A survivor with its worth. quality in [0, 1]; value at most 1; is_weak: behind by more than is tolerated."""

    survivor: Survivor
    quality: float
    value: float
    is_weak: bool


def pool_of(survivors: Sequence[Survivor], rank: int, category: Category, reference: Row | None) -> list[Survivor]:
    """Those that are up to a tier: of it or above, or as good for this category as its reference."""
    if not rank:
        return list(survivors)
    # An empty tier has no reference of its own to be as good as.
    least = 2.0 if reference is None or reference.rank < rank else reference.quality[category] - AS_GOOD_WITHIN
    return [one for one in survivors if one.row.rank >= rank or one.row.quality[category] >= least]


def ranked(
    pool: Iterable[Survivor], task: Task, category: Category, reference: Row | None, knob: float
) -> list[Ranked]:
    """The pool, best value first; of equals the cheaper, then by id."""
    full = 0 if reference is None else reference.cost_pico(task.input_tokens, task.output_tokens)
    least = tolerable(reference, category, knob)
    thrift = 1.0 - knob
    rows = list[tuple[bool, float, int, str, Survivor, float]]()
    for one in pool:
        cost = one.cost_pico
        # Beside a reference that is free, whatever is not costs all.
        saving = 1.0 - cost / full if full else -1.0 if cost else 0.0
        quality = one.row.quality[category]
        rows.append((quality < least, -(knob * quality + thrift * saving), cost, one.row.model.id, one, quality))
    # Ids differ, so the comparison never comes to a survivor.
    rows.sort()
    return [Ranked(one, quality, -minus, is_weak) for is_weak, minus, _, _, one, quality in rows]


def tolerable(reference: Row | None, category: Category, knob: float) -> float:
    """The least quality that is good enough beside a reference model."""
    if reference is None or not knob:
        return 0.0
    return reference.quality[category] - TOLERATED * (1.0 - knob) / knob
