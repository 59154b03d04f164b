"""What the API is handed: everything it needs of the house, in one value built by `app.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tollway.catalogue.offers import Catalogue
from tollway.delivery.exchange import Exchange
from tollway.gateway.admit import Gate
from tollway.gateway.health import OfferHealthBook
from tollway.gateway.reserve import HoldPolicy
from tollway.mail import ConsoleMailer, Outbox
from tollway.ports import Clock, Ids, Limiter, Telemetry
from tollway.routing.decide import MARGINS_BPS
from tollway.routing.router import BASELINE, Router
from tollway.routing.rules import RulesClassifier
from tollway.routing.standings import NOTHING_KNOWN, StandingTable
from tollway.routing.verdict import Classifier
from tollway.store import EmbeddedStore

_HOLDS = HoldPolicy(default_max_output_tokens=4_096, rolling_step_tokens=2_048, lifetime_s=900)


@dataclass(frozen=True, slots=True)
class PeopleRules:
    """How people get in. signup: who may make an account. session_s: how long a login lasts without use, seconds.

    public_url: address of the pages that links in mails lead to, "" if there are none.
    """

    signup: Literal["open", "invite", "closed"] = "invite"
    session_s: int = 86_400
    public_url: str = ""


@dataclass(frozen=True, slots=True)
class Rooms:
    """See each endpoint for what it uses.

    catalogue: the catalogue as of now. metrics: the Prometheus text of `/metrics`.
    holds: how much output is reserved where a caller names no bound; what an estimate assumes.
    bytes_max: the largest request body accepted, bytes.
    api_requests: requests beside chat that a workspace may make per minute; -1: no limit.
    metrics_key: asked of whoever reads `/metrics`, as a bearer token; "" leaves it open.
    control_token: the local command line's own operator credential, made anew at each start; "" means none.
    is_draining: the server has been told to stop. outbox: mails on their way. exchange: sends webhooks.
    health: how offers do; the road writes it. standings: what is known of the models' worth.
    classifier: says how hard a task is. baseline_model: what savings are measured against. margins_bps: basis points by
    `auto`, `tier` and `direct`, where a plan has none.
    """

    catalogue: Callable[[], Catalogue]
    store: EmbeddedStore
    gate: Gate
    limiter: Limiter
    clock: Clock
    ids: Ids
    telemetry: Telemetry
    metrics: Callable[[], bytes]
    is_draining: Callable[[], bool]
    bytes_max: int
    holds: HoldPolicy = _HOLDS
    api_requests: int = 600
    metrics_key: str = field(default="", repr=False)
    control_token: str = field(default="", repr=False)
    people: PeopleRules = field(default_factory=PeopleRules)
    outbox: Outbox = field(default_factory=lambda: Outbox(ConsoleMailer()), repr=False)
    exchange: Exchange = field(default_factory=Exchange, repr=False)
    health: OfferHealthBook = field(default_factory=OfferHealthBook, repr=False)
    standings: StandingTable = NOTHING_KNOWN
    classifier: Classifier = field(default_factory=RulesClassifier, repr=False)
    baseline_model: str = BASELINE
    margins_bps: Mapping[str, int] = field(default_factory=lambda: MARGINS_BPS)

    def router(self) -> Router:
        """The installation's router."""
        return Router(
            self.catalogue, self.standings, self.health, self.classifier, self.baseline_model, self.margins_bps
        )
