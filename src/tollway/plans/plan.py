"""A plan and a catalogue of plans, as frozen values; `load.py` reads them from a file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import msgspec

from tollway.errors import InvalidField

VERSION_LENGTH = 12


class Plan(msgspec.Struct, frozen=True, kw_only=True, dict=True, omit_defaults=True):
    """What is sold.

    month_cents, year_cents: US cents per month, and per year paid at once; None: sold by talking.
    trial_days: full use before the first payment. limits: name -> number, -1 no limit, 0 not available.
    features: name -> has it. allowed_models: None means all.
    margins_bps: basis points by how the model is chosen (`direct`, `auto`, `tier`); an absent one is the operator's.
    """

    id: str
    name: str
    month_cents: int | None = None
    year_cents: int | None = None
    trial_days: int = 0
    limits: Mapping[str, int]
    features: Mapping[str, bool]
    allowed_models: tuple[str, ...] | None = None
    margins_bps: Mapping[str, int] = {}

    @cached_property
    def document(self) -> bytes:
        """Canonical JSON: names sorted, so that the same plan is the same bytes wherever it was written."""
        return msgspec.json.encode(self, order="deterministic")

    @cached_property
    def version(self) -> str:
        """The first 12 hexadecimal digits of the document's SHA-256."""
        return hashlib.sha256(self.document).hexdigest()[:VERSION_LENGTH]


def plan_of(document: bytes | str) -> Plan:
    """The plan of its document. Raises msgspec.DecodeError."""
    return msgspec.json.decode(document, type=Plan)


@dataclass(frozen=True)
class PlanCatalogue:
    """Plans from the smallest to the largest. file: where it was read, for messages. default_id: of `default_plan`."""

    name: str
    plans: tuple[Plan, ...]
    default_id: str
    file: str = ""

    @cached_property
    def _by_id(self) -> dict[str, Plan]:
        return {plan.id: plan for plan in self.plans}

    def find(self, plan_id: str) -> Plan | None:
        """The plan with this id, None if there is none."""
        return self._by_id.get(plan_id)

    def plan(self, plan_id: str) -> Plan:
        """The plan with this id. Raises InvalidField: there is none; `param` is `plan`."""
        found = self.find(plan_id)
        if found is None:
            near = get_close_matches(plan_id[:100], self._by_id, 1)
            fix = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(self._by_id)}"
            raise InvalidField(f"there is no plan `{plan_id[:100]}` in the catalogue {self.name}; {fix}", param="plan")
        return found

    @property
    def default_plan(self) -> Plan:
        """Where a sign-up starts."""
        return self._by_id[self.default_id]

    @property
    def highest(self) -> Plan:
        """The largest plan."""
        return self.plans[-1]
