"""`/v1/wallet`, `/v1/wallet/transactions`, `/v1/key`, `/v1/credits`: what a workspace has, and what its key may spend.

Cents are exact, possibly fractional JSON numbers, written from integers; beside each stands the exact decimal USD text.
"""

from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tollway.api.acting import acting
from tollway.api.edge import Number, Page, cents, documented, iso, needs, number, said, usd
from tollway.api.rooms import Rooms
from tollway.gateway.admit import Caller
from tollway.ledger.budget import Budget, Window
from tollway.money.amount import NANO_PER_CENT
from tollway.store.wallets import Transaction
from tollway.workspaces.actor import Actor
from tollway.workspaces.key import Key

TOP_UP_THRESHOLD_NANO = 500 * NANO_PER_CENT
TOP_UP_AMOUNT_NANO = 2_500 * NANO_PER_CENT
"""What automatic top-up would do by default (contract.md); it cannot be switched on in this version."""
_RESETS: dict[str, str | None] = {"day": "daily", "week": "weekly", "month": "monthly", "lifetime": None}
WalletActor = Annotated[Actor, acting("wallet")]
KeyCaller = Annotated[Caller, needs("usage")]
Kind = Literal[
    "topup",
    "auto_topup",
    "usage",
    "refund",
    "adjustment",
    "grant",
    "transfer",
    "subscription",
    "payout",
    "dispute",
    "reversal",
]


class Wallet(msgspec.Struct):
    """A wallet now: available = balance - reserved - what a dispute has frozen."""

    balance_cents: Number
    reserved_cents: Number
    available_cents: Number
    auto_topup_enabled: bool
    auto_topup_threshold_cents: Number
    auto_topup_amount_cents: Number
    balance_usd: str
    reserved_usd: str
    available_usd: str


class WalletReply(msgspec.Struct):
    """The wallet of the key's workspace."""

    data: Wallet


class TransactionEntry(msgspec.Struct):
    """One movement of a wallet; negative takes. `generation_id` names the request of a `usage`."""

    id: str
    type: str
    amount_cents: Number
    balance_after_cents: Number
    description: str
    created_at: str
    amount_usd: str
    balance_after_usd: str
    external_ref: str
    generation_id: str | None


class TransactionList(msgspec.Struct):
    """Movements of a wallet, newest first."""

    data: list[TransactionEntry]
    has_more: bool
    next_cursor: str | None


class RateLimit(msgspec.Struct):
    """Requests per minute that are in force, of key or plan, whichever is less; -1: no limit."""

    requests: int
    interval: str
    note: str = "`X-RateLimit-*` of every reply says what remains of it."


class KeyLimits(msgspec.Struct):
    """What the key was given for itself; -1: no limit of its own."""

    requests_per_minute: int
    tokens_per_day: int


class PlanLimits(msgspec.Struct):
    """What the plan of the key's organization gives; -1: no limit."""

    plan: str
    requests_per_minute: int
    tokens_per_day: int
    max_context_tokens: int


class KeyFacts(msgspec.Struct):
    """What a key may spend and has spent, in USD. Its spending includes what its running requests hold.

    byok_*: spending with keys of the caller's own, which this version does not take. is_provisioning_key: an older name
    of is_management_key.
    """

    id: str
    label: str
    prefix: str
    workspace_id: str
    scopes: list[str]
    allowed_models: list[str] | None
    limit: Number | None
    limit_remaining: Number | None
    limit_reset: str | None
    usage: Number
    usage_daily: Number
    usage_weekly: Number
    usage_monthly: Number
    byok_usage: int
    byok_usage_daily: int
    byok_usage_weekly: int
    byok_usage_monthly: int
    include_byok_in_limit: bool
    is_free_tier: bool
    is_management_key: bool
    is_provisioning_key: bool
    expires_at: str | None
    creator_user_id: str | None
    rate_limit: RateLimit
    key_limits: KeyLimits
    plan_limits: PlanLimits


class KeyFactsReply(msgspec.Struct):
    """The calling key."""

    data: KeyFacts


class Credits(msgspec.Struct):
    """USD put into the wallet since it was made, and USD charged for requests; their difference is the balance."""

    total_credits: Number
    total_usage: Number


class CreditsReply(msgspec.Struct):
    """Credits and usage of the key's workspace."""

    data: Credits


REPLIES: tuple[type[msgspec.Struct], ...] = (WalletReply, TransactionList, KeyFactsReply, CreditsReply)


class TransactionsQuery(Page):
    """A page of transactions, of one type or of all."""

    type: Annotated[Kind | None, Field(description="Only these.")] = None


class Account:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["account"])
        add("/v1/wallet", self.wallet, methods=["GET"], **documented(WalletReply))
        add("/v1/wallet/transactions", self.transactions, methods=["GET"], **documented(TransactionList))
        add("/v1/key", self.key, methods=["GET"], **documented(KeyFactsReply))
        add("/v1/credits", self.credits, methods=["GET"], **documented(CreditsReply))

    async def wallet(self, actor: WalletActor) -> Response:
        """The wallet as of now: what it has, what running requests hold, what a new one may take."""
        balance = self._rooms.store.wallets.balance(actor.workspace_id)
        posted, held, available = balance.posted_nano, balance.held_nano, balance.available_nano
        wallet = Wallet(
            cents(posted),
            cents(held),
            cents(available),
            auto_topup_enabled=False,
            auto_topup_threshold_cents=cents(TOP_UP_THRESHOLD_NANO),
            auto_topup_amount_cents=cents(TOP_UP_AMOUNT_NANO),
            balance_usd=usd(posted),
            reserved_usd=usd(held),
            available_usd=usd(available),
        )
        return said(WalletReply(wallet))

    async def transactions(self, actor: WalletActor, asked: Annotated[TransactionsQuery, Query()]) -> Response:
        """What came into the wallet and what was taken, newest first."""
        found = await self._rooms.store.wallets.history(
            actor.workspace_id, limit=asked.limit, after=asked.after or "", type=asked.type or ""
        )
        rows = [_transaction(one) for one in found.transactions]
        return said(TransactionList(rows, bool(found.next_cursor), found.next_cursor or None))

    async def key(self, caller: KeyCaller) -> Response:
        """The calling key: its budget and what it has spent of it."""
        key = caller.key
        spent = self._spent(key, key.budget_window)
        limit = key.budget_nano
        grants = caller.grants
        window = await self._rooms.limiter.window(caller.quota, self._rooms.clock.now())
        facts = KeyFacts(
            id=key.id,
            label=key.name,
            prefix=key.prefix,
            workspace_id=key.workspace_id,
            scopes=sorted(key.scopes),
            allowed_models=None if key.allowed_models is None else sorted(key.allowed_models),
            limit=None if limit is None else number(usd(limit)),
            limit_remaining=None if limit is None else number(usd(max(limit - spent, 0))),
            limit_reset=_RESETS[key.budget_window],
            usage=number(usd(self._spent(key, "lifetime"))),
            usage_daily=number(usd(self._spent(key, "day"))),
            usage_weekly=number(usd(self._spent(key, "week"))),
            usage_monthly=number(usd(self._spent(key, "month"))),
            byok_usage=0,
            byok_usage_daily=0,
            byok_usage_weekly=0,
            byok_usage_monthly=0,
            include_byok_in_limit=False,
            is_free_tier=False,
            is_management_key="keys" in key.scopes,
            is_provisioning_key="keys" in key.scopes,
            expires_at=None if key.expires_at is None else iso(key.expires_at * 1000),
            creator_user_id=self._creator(key),
            rate_limit=RateLimit(window.limit, "1m"),
            key_limits=KeyLimits(key.requests_per_minute, key.tokens_per_day),
            plan_limits=PlanLimits(
                grants.plan_id, grants.requests_per_minute, grants.tokens_per_day, grants.max_context_tokens
            ),
        )
        return said(KeyFactsReply(facts))

    def _creator(self, key: Key) -> str | None:
        """The member who made the key, None where it was an operator, another key, or somebody who has left."""
        members = self._rooms.store.people.members_of(key.organization_id)
        return next((one.user_id for one in members if one.user_id == key.created_by), None)

    async def credits(self, actor: WalletActor) -> Response:
        """What was ever put into the wallet, and what was ever charged."""
        workspace_id = actor.workspace_id
        balance = self._rooms.store.wallets.balance(workspace_id)
        # What the keys have spent and hold, without what is held: I3 and I10 of money.md say that these add up.
        keys = self._rooms.store.workspaces.keys_of(workspace_id)
        charged = sum(self._spent(key, "lifetime") for key in keys) - balance.held_nano
        return said(CreditsReply(Credits(number(usd(balance.posted_nano + charged)), number(usd(charged)))))

    def _spent(self, key: Key, window: Window) -> int:
        """Nano-USD spent and held by a key in its current window."""
        return self._rooms.store.ledger.used(key.id, Budget(0, window), int(self._rooms.clock.now()) // 86_400)


def _transaction(one: Transaction) -> TransactionEntry:
    return TransactionEntry(
        id=one.id,
        type=one.type,
        amount_cents=cents(one.amount_nano),
        balance_after_cents=cents(one.balance_after_nano),
        description=one.description,
        created_at=iso(one.created_at_ms),
        amount_usd=usd(one.amount_nano),
        balance_after_usd=usd(one.balance_after_nano),
        external_ref=one.external_ref,
        generation_id=one.generation_id or None,
    )
