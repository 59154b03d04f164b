"""Pipeline steps 4 and 5 between models: the chain of those to try, the reference model at its end, and what else there was.

Health is asked only of what may come into the chain: a market has hundreds of offers, a chain a handful.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from tollway.catalogue.offers import Catalogue
from tollway.money.rounding import half_even
from tollway.routing.decision import Considered, Counterfactual
from tollway.routing.filters import RuledOut, Survivor, failing
from tollway.routing.rank import Ranked, pool_of, ranked
from tollway.routing.shelf import Place, Row, Shelf
from tollway.routing.standing import Health
from tollway.routing.tiers import TIERS, Category
from tollway.routing.verdict import Task
from tollway.routing.wish import Wish

MODELS_MAX = 6
"""Models in a chain, the safety net not counted."""
SHOWN_MAX = 20
"""Models of the pool that a decision tells about."""
_BPS = 10_000
_NANO = _BPS * 1_000


class Choosing:
    """Ranking and chaining of one request's survivors. ruled_out: what is failing. reference: see `Shelf.reference`."""

    def __init__(
        self,
        task: Task,
        wish: Wish,
        category: Category,
        shelf: Shelf,
        survivors: Sequence[Survivor],
        health: Health,
        now: float,
    ) -> None:
        self._task, self._wish = task, wish
        self._category: Category = category
        self._shelf, self._survivors = shelf, survivors
        self._health, self._now = health, now
        self._ranked: Sequence[Ranked] = ()
        self._chain = list[Survivor]()
        self.ruled_out = list[RuledOut]()
        self.reference: Row | None = None

    def chain(self, rank: int, steps: list[str]) -> list[Survivor]:
        """The models to try, best value first, the reference model last; nothing where nothing is well."""
        self.reference = self._shelf.reference(rank, self._category)
        pool = pool_of(self._survivors, rank, self._category, self.reference)
        line = "Rank:"
        if not self._tried(pool):
            # Better somebody weaker than nobody; what is out for good has been filtered out before.
            rest = [one for one in self._survivors if one not in pool]
            for lower in range(rank - 1, -1, -1):
                if self._tried([one for one in rest if one.row.rank == lower]):
                    line += f" nobody who is up to {TIERS[rank]} can answer, so a {TIERS[lower]} model stands in;"
                    break
            else:
                return []
        steps.append(self._line(line, rank))
        return self._chain

    def _tried(self, pool: Sequence[Survivor]) -> bool:
        """Rank a pool and make its chain; False if nobody in it is well."""
        found = ranked(pool, self._task, self._category, self.reference, self._wish.knob)
        chain = list[Survivor]()
        for one in found:
            up = self._up(one.survivor)
            if up is not None:
                if not chain:
                    self._ranked = [each for each in found if each.value <= one.value or each.is_weak]
                chain.append(up)
                if len(chain) == MODELS_MAX:
                    break
        net = self._net(found) if chain else None
        if net is not None and net.row is not chain[0].row:
            # The safety net is last, whatever its value, unless it is the choice itself.
            chain = [*(one for one in chain if one.row is not net.row), net]
        self._chain = chain
        return bool(chain)

    def _net(self, found: Sequence[Ranked]) -> Survivor | None:
        """The reference model if it may answer, else the best of the pool at this kind of task."""
        wanted = None if self.reference is None else self.reference.model.id
        best = next((one for one in found if one.survivor.row.model.id == wanted), None)
        if best is None:
            best = max(found, key=lambda one: (one.quality, -one.survivor.cost_pico))
        return self._up(best.survivor)

    def _up(self, survivor: Survivor) -> Survivor | None:
        """The same with the offers whose circuit is not open, None if none is left."""
        of, now = self._health.of, self._now
        down = [place for place in survivor.places if of(place.offer.id, now).state == "open"]
        if not down:
            return survivor
        for place in down:
            told = failing(survivor.row, place)
            if all(one[1] != place.offer.id for one in self.ruled_out):
                self.ruled_out.append(told)
        places = tuple(place for place in survivor.places if place not in down)
        return Survivor(survivor.row, places, self._cost(places)) if places else None

    def named(self, names: Iterable[str], catalogue: Catalogue) -> list[Survivor]:
        """What the caller's `models` adds to the end of the chain: only what has passed the filters too."""
        found = list[Survivor]()
        there = {one.row.model.id for one in self._chain}
        for name in names:
            model = catalogue.find(name)
            if model is None or model.id in there:
                continue
            there.add(model.id)
            survivor = next((one for one in self._survivors if one.row.model.id == model.id), None)
            up = None if survivor is None else self._up(survivor)
            if up is not None:
                found.append(up)
        return found

    def considered(self) -> tuple[Considered, ...]:
        """The first 20 of the pool with their worth, and whoever else is in the chain; best first."""
        chained = {one.row.model.id for one in self._chain}
        found = list[Considered]()
        for place, one in enumerate(self._ranked, 1):
            survivor = one.survivor
            name = survivor.row.model.id
            if place <= SHOWN_MAX or name in chained:
                cost = survivor.cost_pico // 1_000
                found.append(Considered(name, self._cheapest(survivor), one.quality, cost, one.value, place))
        return tuple(found)

    def counterfactuals(self, rank: int, margin_bps: int) -> tuple[Counterfactual, ...]:
        """What the best value one tier down and one tier up would cost, of models of just that tier."""
        found = list[Counterfactual]()
        neighbours: tuple[tuple[Literal["up", "down"], int], ...] = ("down", rank - 1), ("up", rank + 1)
        for direction, other in neighbours:
            if not 0 <= other < len(TIERS):
                continue
            reference = self._shelf.reference(other, self._category)
            rows = ranked(self._of_rank(other), self._task, self._category, reference, self._wish.knob)
            if rows:
                best = rows[0].survivor
                cost = half_even(best.cost_pico * (_BPS + margin_bps), _NANO)
                found.append(Counterfactual(direction, TIERS[other], best.row.model.id, cost, rows[0].quality))
        return tuple(found)

    def _of_rank(self, rank: int) -> Sequence[Survivor]:
        """The survivors of a tier; where the range keeps it out, what the shelf has of it that meets the needs."""
        found = [one for one in self._survivors if one.row.rank == rank]
        if found:
            return found
        needs, task = self._task.needs | self._wish.needs, self._task
        return [
            Survivor(row, row.places, row.cost_pico(task.input_tokens, task.output_tokens))
            for row in self._shelf.rows
            if row.rank == rank and needs <= row.can
        ]

    def _cost(self, places: Sequence[Place]) -> int:
        return min(place.cost_pico(self._task.input_tokens, self._task.output_tokens) for place in places)

    def _cheapest(self, survivor: Survivor) -> str:
        task = self._task
        return min(survivor.places, key=lambda one: one.cost_pico(task.input_tokens, task.output_tokens)).offer.id

    def _line(self, start: str, rank: int) -> str:
        best, knob = self._ranked[0], self._wish.knob
        count = len(self._ranked)
        measure = self.reference
        against = "" if measure is None else f", against {measure.id}, the reference of {TIERS[measure.rank]}"
        among = f"is the best value of {count} models" if count > 1 else "is the only one"
        below = ""
        if best.survivor.row.rank < rank and "stands in" not in start:
            below = f" It stands below {TIERS[rank]}, but is as good at {self._category.replace('_', ' ')}."
        return (
            f"{start} {best.survivor.row.id} {among}, quality {best.quality:.2f} "
            f"({knob:.0%} quality, {1 - knob:.0%} saving{against}).{below}"
        )
