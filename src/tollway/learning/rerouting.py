"""Kept requests routed again, as far as that is possible: by the tier that was stored with them, since no prompt is.

Filters, ranking and order are those of `routing/decide.py`. In place of the classifier stands the stored tier; what a
request needs, such as tools and images, is not kept and not asked of a model. The prompt is as long as it was, and the
answer as long as routing expects, at most as long as it was.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from tollway.catalogue.offers import Catalogue
from tollway.errors import TollwayError, UnpricedUnit
from tollway.learning.repricing import Outcome
from tollway.learning.traffic import AUTO, Request
from tollway.metering.rating import rate
from tollway.metering.usage import Usage
from tollway.request import ChatRequest, Message
from tollway.routing.decide import decide
from tollway.routing.policy import AllowList, Candidate
from tollway.routing.shelf import shelf_of
from tollway.routing.standing import AllWell, Standings
from tollway.routing.tiers import TIERS, Tier, tier_of
from tollway.routing.verdict import Task, Verdict
from tollway.routing.wish import Wish

NO_TIER = "its model was named, so that no tier is kept"
_DIGITS = 4
"""Binary digits of a length that count: what differs by less is decided once."""
_NOTHING_SAID = (Message("user", "-"),)
_REASON_MAX = 200
_Choice: TypeAlias = Candidate | str
"""What would answer, or why nothing would."""


class Terms(msgspec.Struct, frozen=True, gc=False):
    """On which terms a workspace is charged, as of now.

    margins_bps: by how a model is chosen. allowed_models: of its plan; None allows all.
    """

    margins_bps: Mapping[str, int]
    allowed_models: frozenset[str] | None = None


class _Stored:
    """A classifier that knows the answer."""

    def __init__(self, tier: Tier) -> None:
        self._verdict = Verdict("chat", tier, 1.0, "stored")

    def classify(self, task: Task) -> Verdict:
        """See `Classifier`."""
        return self._verdict


class _Everything:
    allowed_models: frozenset[str] | None = None


_ANY_KEY: AllowList = _Everything()
_STORED = {tier: _Stored(tier) for tier in TIERS}


class Reroute:
    """`auto`, under the rules of a wish, asked again for requests in the order in which they came."""

    def __init__(
        self,
        catalogue: Catalogue,
        standings: Standings,
        wish: Wish,
        terms: Callable[[Request], Terms],
        *,
        now: int | None = None,
    ) -> None:
        """`now`: unix seconds whose prices apply to every request, None: each request's own time."""
        self._catalogue, self._standings, self._terms, self._now = catalogue, standings, terms, now
        self._wish = msgspec.structs.replace(wish, mode=AUTO)
        self._choices = dict[tuple[object, ...], _Choice]()

    def __call__(self, request: Request) -> Outcome:
        """See `Outcome`."""
        tier = tier_of(request.tier)
        return Outcome(None, "", NO_TIER) if tier is None else self._at(request, tier)

    def bounds(self, request: Request) -> tuple[int, int] | None:
        """The least and the most it would be charged, whatever its tier; None where some tier has no answer."""
        charges = [self._at(request, tier).charge_nano for tier in TIERS]
        known = [one for one in charges if one is not None]
        return (min(known), max(known)) if len(known) == len(charges) else None

    def _at(self, request: Request, tier: Tier) -> Outcome:
        terms, usage = self._terms(request), Usage(request.counts)
        choice = self._choice(request, tier, terms, *usage.tokens())
        if isinstance(choice, str):
            return Outcome(None, "", choice)
        model = choice.offer.model
        try:
            return Outcome(rate(usage, choice.prices, terms.margins_bps[AUTO]).charge, model)
        except UnpricedUnit:
            return Outcome(None, model, f"{model}, which would answer, does not price all that was used")

    def _choice(self, request: Request, tier: Tier, terms: Terms, inputs: int, outputs: int) -> _Choice:
        when = request.at if self._now is None else self._now
        if self._wish.max_cost_nano is None:
            # Longer by at most an eighth: whoever can take that can take the request.
            inputs, outputs = _rounded_up(inputs), _rounded_up(outputs)
        until = shelf_of(self._catalogue, self._standings, when).until
        key = (tier, inputs, outputs, until, terms.allowed_models, tuple(sorted(terms.margins_bps.items())))
        found = self._choices.get(key)
        if found is None:
            found = self._choices[key] = self._decided(tier, terms, inputs, outputs, when)
        return found

    def _decided(self, tier: Tier, terms: Terms, inputs: int, outputs: int, when: int) -> _Choice:
        chat = ChatRequest(AUTO, _NOTHING_SAID, {}, max_tokens=outputs or None)
        try:
            decision = decide(
                chat,
                self._wish,
                key=_ANY_KEY,
                plan=terms,
                catalogue=self._catalogue,
                standings=self._standings,
                health=AllWell(),
                classifier=_STORED[tier],
                baseline="",
                margins_bps=terms.margins_bps,
                now=when,
                input_tokens=inputs,
            )
        except TollwayError as error:
            return f"nothing may answer: {error.message}"[:_REASON_MAX]
        return decision.candidates[0]


def _rounded_up(tokens: int) -> int:
    """With its first binary digits alone, rounded up."""
    shift = max(tokens.bit_length() - _DIGITS, 0)
    return -(-tokens >> shift) << shift
