"""A request as learning sees it: what it used and what was charged, without what was said."""

from collections.abc import Mapping

import msgspec

from tollway.catalogue.units import Unit
from tollway.routing.tiers import tier_of
from tollway.routing.wish import Mode

AUTO = "auto"


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request that was charged.

    at: unix seconds. tier: by which its model was chosen, "" if there was none. charge_nano: with what the wallet could
    not cover. counts: disjoint, per unit; from the receipt, or from the totals of the row once that was dropped.
    cost_pico: exact cost before margin, as the receipt's lines add up; None once it was dropped.
    """

    id: str
    workspace_id: str
    at: int
    model_asked: str
    model: str
    offer_id: str
    tier: str
    price_list_id: str
    margin_bps: int
    charge_nano: int
    counts: Mapping[Unit, int]
    cost_pico: int | None = None

    @property
    def mode(self) -> Mode:
        """How its model was chosen, by the name that was asked for; a tier under another name was chosen by `auto`."""
        name, _, rest = self.model_asked.partition(":")
        if name == AUTO and tier_of(rest) is not None:
            return "tier"
        return "auto" if name == AUTO or self.tier else "direct"
