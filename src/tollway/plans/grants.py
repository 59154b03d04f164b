"""Grants: what an organization may do now - its pinned plan version with the operator's overrides laid over it."""

from collections.abc import Mapping

import msgspec

UNLIMITED = -1


class Grants(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is in force for one organization. A new value replaces it when plan or overrides change.

    limits: name -> number, -1 no limit, 0 not available. features: name -> has it. allowed_models: None means all.
    margins_bps: basis points by how the model was chosen (`direct`, `auto`, `tier`); an absent one is the operator's
    default (money.md R3). The three numbers that every request reads stand beside `limits`, to which they are equal.
    """

    plan_id: str
    plan_name: str
    catalogue: str
    version: str
    limits: Mapping[str, int]
    features: Mapping[str, bool]
    allowed_models: frozenset[str] | None = None
    margins_bps: Mapping[str, int] = {}
    requests_per_minute: int = UNLIMITED
    tokens_per_day: int = UNLIMITED
    max_context_tokens: int = UNLIMITED

    def limit(self, name: str) -> int:
        """A limit by name; -1 for one that the plan does not mention."""
        return self.limits.get(name, UNLIMITED)
