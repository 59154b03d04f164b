"""What the API is handed: everything it needs of the house, in one value built by `app.py`."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tollway.catalogue.offers import Catalogue
from tollway.gateway.admit import Gate
from tollway.gateway.reserve import HoldPolicy
from tollway.ports import Clock, Ids, Limiter, Telemetry
from tollway.store import EmbeddedStore

_HOLDS = HoldPolicy(default_max_output_tokens=4_096, rolling_step_tokens=2_048, lifetime_s=900)


@dataclass(frozen=True, slots=True)
class Rooms:
    """See each endpoint for what it uses.

    catalogue: the catalogue as of now. metrics: the Prometheus text of `/metrics`.
    holds: how much output is reserved where a caller names no bound; what an estimate assumes.
    bytes_max: the largest request body accepted, bytes.
    metrics_key: asked of whoever reads `/metrics`, as a bearer token; "" leaves it open.
    control_token: the local command line's own operator credential, made anew at each start; "" means none.
    is_draining: the server has been told to stop.
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
    metrics_key: str = field(default="", repr=False)
    control_token: str = field(default="", repr=False)
