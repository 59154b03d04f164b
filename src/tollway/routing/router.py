"""The router of an installation: everything that its decisions share, so that a caller brings only the request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tollway.catalogue.offers import Catalogue
from tollway.request import ChatRequest
from tollway.routing.decide import MARGINS_BPS, USUAL, Circumstances, decide
from tollway.routing.decision import Decision
from tollway.routing.policy import AllowList
from tollway.routing.rules import RulesClassifier
from tollway.routing.standing import Health, Standings
from tollway.routing.verdict import Classifier
from tollway.routing.wish import Wish

BASELINE = "anthropic/claude-opus-4-8"
"""What savings are measured against where nothing else is set."""


@dataclass(frozen=True, slots=True)
class Router:
    """See `decide`. catalogue: as of now. margins_bps: the operator's, where a plan has none."""

    catalogue: Callable[[], Catalogue]
    standings: Standings
    health: Health
    classifier: Classifier = field(default_factory=RulesClassifier)
    baseline: str = BASELINE
    margins_bps: Mapping[str, int] = field(default_factory=lambda: MARGINS_BPS)

    def decide(
        self,
        chat: ChatRequest,
        wish: Wish,
        *,
        key: AllowList,
        plan: AllowList,
        now: float,
        input_tokens: int,
        margins_bps: Mapping[str, int] | None = None,
        circumstances: Circumstances = USUAL,
    ) -> Decision:
        """The decision on a request; `margins_bps` are the plan's, which go before the operator's. Raises as `decide`."""
        return decide(
            chat,
            wish,
            key=key,
            plan=plan,
            catalogue=self.catalogue(),
            standings=self.standings,
            health=self.health,
            classifier=self.classifier,
            baseline=self.baseline,
            margins_bps=self.margins_bps if not margins_bps else {**self.margins_bps, **margins_bps},
            now=now,
            input_tokens=input_tokens,
            circumstances=circumstances,
        )
