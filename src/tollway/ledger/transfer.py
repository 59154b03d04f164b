"""Postings and transfers: signed lines that sum to zero, built only as the chart allows.

A transfer is keyed by (kind, external_ref) for ever (money.md R4): posting the same pair again moves nothing. It is
never changed; a correction is a reversal, which is a new transfer.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from tollway.errors import Broken
from tollway.ledger import chart
from tollway.ledger.chart import BAD_DEBT, FAILOVER, KINDS, MARGIN, REVERSAL, family


class Posting(NamedTuple):
    """One signed line of nano-USD on one account; never zero."""

    account: str
    amount_nano: int


class Charged(Protocol):
    """What a request costs, nano-USD (metering/rating.py)."""

    @property
    def cost(self) -> int: ...
    @property
    def margin(self) -> int: ...


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """A movement of money. Build it with `build` or one of the functions below, which check it.

    kind, external_ref: together unique for ever. description: shown to the wallet's owner; empty: by kind and model.
    """

    kind: str
    external_ref: str
    postings: tuple[Posting, ...]
    description: str = ""

    def on(self, account: str) -> int:
        """The net amount on one account, nano-USD."""
        return sum(posting.amount_nano for posting in self.postings if posting.account == account)


def build(kind: str, external_ref: str, lines: Iterable[tuple[str, int]], description: str = "") -> Transfer:
    """A checked transfer; lines of zero are left out.

    Args:
        kind: a name in `chart.TRANSFERS`.
        external_ref: what this movement answers to: a request, payment or event id. Never empty.
        lines: (account code, nano-USD), signed.
        description: text for the wallet's owner.

    Raises:
        Broken: an unlisted kind or account, an account on the wrong side, a sum that is not zero, or nothing to move.
    """
    rule = KINDS.get(kind)
    if rule is None:
        raise Broken(f"there is no transfer kind {kind!r} in the chart")
    postings = tuple(Posting(account, amount) for account, amount in lines if amount)
    _check(external_ref, postings, rule.takes_from, rule.gives_to, kind)
    return Transfer(kind, external_ref, postings, description)


def _check(
    external_ref: str, postings: tuple[Posting, ...], takes_from: frozenset[str], gives_to: frozenset[str], kind: str
) -> None:
    if not external_ref:
        raise Broken(f"a transfer of kind {kind} needs an external reference")
    if not postings:
        raise Broken(f"transfer {kind}:{external_ref} moves nothing")
    total = 0
    for account, amount in postings:
        total += amount
        if family(account) not in (takes_from if amount < 0 else gives_to):
            side = "take from" if amount < 0 else "give to"
            raise Broken(f"a transfer of kind {kind} may not {side} {account}")
    if total:
        raise Broken(f"transfer {kind}:{external_ref} is out of balance by {total} nano-USD")


def is_ordinary(charge: Charged, taken_nano: int, bad_debt_nano: int) -> bool:
    """A charge that its wallet pays in full, for what cost us something: as nearly all are."""
    return not bad_debt_nano and charge.cost > 0 and charge.margin >= 0 and taken_nano == charge.cost + charge.margin


def usage(
    ref: str,
    *,
    workspace_id: str,
    provider: str,
    taken_nano: int,
    cost_nano: int,
    margin_nano: int,
    bad_debt_nano: int = 0,
    failover_nano: int = 0,
) -> Transfer | None:
    """The one transfer of a settled request, None when it moves nothing (a free reply).

    `taken + bad_debt = cost + margin`: what the wallet could not cover is ours (R7). Failed attempts cost us, not the
    customer, and ride along (R8).

    Raises:
        Broken: the parts do not add up.
    """
    payable = chart.payable(provider)
    lines = (
        (chart.wallet(workspace_id), -taken_nano),
        (BAD_DEBT, -bad_debt_nano),
        (payable, cost_nano),
        (MARGIN, margin_nano),
        (FAILOVER, -failover_nano),
        (payable, failover_nano),
    )
    return build("usage", ref, lines) if any(amount for _, amount in lines) else None


def failover(ref: str, *, provider: str, failover_nano: int) -> Transfer | None:
    """What the attempts of a request that ended without a charge cost us; None if nothing."""
    if not failover_nano:
        return None
    return build("failover", ref, ((FAILOVER, -failover_nano), (chart.payable(provider), failover_nano)))


def shadow(ref: str, costs: Iterable[tuple[str, int]]) -> Transfer | None:
    """What comparing an answer with a second model's cost us; None if nothing. costs: (provider, nano-USD)."""
    lines = [(chart.payable(provider), nano) for provider, nano in costs]
    total = sum(nano for _, nano in lines)
    return build("shadow", ref, ((chart.SHADOW, -total), *lines)) if total else None


def reversal(original: Transfer, description: str) -> Transfer:
    """The mirror of a posted transfer, itself keyed for ever, so that a transfer is reversed at most once.

    Raises:
        Broken: the original is itself a reversal, or breaks the chart.
    """
    rule = KINDS.get(original.kind)
    if rule is None:
        raise Broken(f"a transfer of kind {original.kind!r} cannot be reversed")
    postings = tuple(Posting(posting.account, -posting.amount_nano) for posting in original.postings)
    ref = f"{original.kind}:{original.external_ref}"
    _check(ref, postings, rule.gives_to, rule.takes_from, REVERSAL)
    return Transfer(REVERSAL, ref, postings, description)


_CREDIT_SOURCES = {"topup": "cash:", "grant": chart.GRANTS, "adjustment": chart.ADJUSTMENTS, "refund": chart.REFUNDS}
CREDIT_KINDS: tuple[str, ...] = tuple(_CREDIT_SOURCES)
"""The kinds of transfer an operator may credit a wallet with."""


def credit(
    kind: str, workspace_id: str, amount_nano: int, *, external_ref: str, description: str = "", method: str = "manual"
) -> Transfer:
    """Money into a wallet: `topup` (from cash:{method}), `grant`, `refund`, or `adjustment`, which may be negative.

    Raises:
        Broken: another kind, or a negative amount of a kind that only gives.
    """
    source = _CREDIT_SOURCES.get(kind)
    if source is None:
        raise Broken(
            f"a wallet cannot be credited by a transfer of kind {kind!r}; use one of {', '.join(CREDIT_KINDS)}"
        )
    source = source + method if source.endswith(":") else source
    return build(kind, external_ref, ((source, -amount_nano), (chart.wallet(workspace_id), amount_nano)), description)


def between(source: str, target: str, amount_nano: int, *, external_ref: str, description: str = "") -> Transfer:
    """Money from the wallet of workspace `source` to that of `target`; `amount_nano` > 0."""
    if amount_nano <= 0 or source == target:
        raise Broken("a transfer between wallets needs two wallets and a positive amount")
    lines = ((chart.wallet(source), -amount_nano), (chart.wallet(target), amount_nano))
    return build("transfer", external_ref, lines, description)
