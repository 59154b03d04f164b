"""Domain values as rows and back: generations, keys."""

from typing import NamedTuple

import msgspec

from tollway.ports import Generation
from tollway.store.sqlite import Params, Row
from tollway.workspaces.key import Key, KeyState


class End(NamedTuple):
    """How a hold ended: what `generations` keeps of it beside the request's own facts. Money in nano-USD."""

    outcome: str
    hold_nano: int
    price_list_id: str
    margin_bps: int
    opened_at: int
    charge_nano: int = 0
    bad_debt_nano: int = 0
    cost_nano: int = 0


KEY_COLUMNS = (
    "k.id, k.workspace_id, k.name, k.prefix, k.digest, k.scopes, k.allowed_models, k.budget_nano, k.budget_window, "
    "k.requests_per_minute, k.tokens_per_day, k.expires_at, k.ip_allow, k.created_by, k.profile_id, k.created_at, "
    "k.revoked_at, k.disabled_at, w.deleted_at, w.organization_id"
)
"""What `key` reads; `key_row` writes those up to `created_at`."""


def key_row(key: Key, digest: bytes) -> Params:
    """A row of a new key, in the order of `KEY_COLUMNS` up to `created_at`."""
    first = (key.id, key.workspace_id, key.name, key.prefix, digest)
    return (*first, *key_terms(key), key.created_by, key.profile_id or None, key.created_at)


def key_terms(key: Key) -> Params:
    """What of a key can be changed, from `scopes` to `ip_allow`."""
    allowed = None if key.allowed_models is None else msgspec.json.encode(sorted(key.allowed_models)).decode()
    return (
        msgspec.json.encode(sorted(key.scopes)).decode(),
        allowed,
        key.budget_nano,
        key.budget_window,
        key.requests_per_minute,
        key.tokens_per_day,
        key.expires_at,
        msgspec.json.encode(key.ip_allow).decode(),
    )


def key(row: Row) -> tuple[bytes, Key]:
    """(digest, key) of `KEY_COLUMNS`."""
    id_, workspace, name, prefix, digest, scopes, allowed, budget, window, rpm, tokens, expires = row[:12]
    ip_allow, created_by, profile, created, revoked, disabled, deleted, organization = row[12:20]
    state: KeyState = "active"
    if revoked is not None:
        state = "revoked"
    elif disabled is not None:
        state = "disabled"
    elif deleted is not None:
        state = "workspace_deleted"
    return digest, Key(
        id=id_,
        workspace_id=workspace,
        organization_id=organization,
        name=name,
        prefix=prefix,
        scopes=frozenset(msgspec.json.decode(scopes, type=list[str])),
        allowed_models=None if allowed is None else frozenset(msgspec.json.decode(allowed, type=list[str])),
        budget_nano=budget,
        budget_window=window,
        requests_per_minute=rpm,
        tokens_per_day=tokens,
        expires_at=expires,
        state=state,
        created_at=created,
        ip_allow=msgspec.json.decode(ip_allow, type=tuple[str, ...]),
        created_by=created_by,
        profile_id=profile or "",
    )


GENERATION_COLUMNS = (
    "g.id, g.workspace_id, g.key_id, g.created_at_ms, g.model_asked, g.model, g.provider, g.offer_id, g.status, "
    "g.http_status, g.error_code, g.is_streamed, g.finish_reason, g.input_tokens, g.output_tokens, g.cached_tokens, "
    "g.reasoning_tokens, g.usage_source, g.cost_nano, g.charge_nano, g.latency_ms, g.ttft_ms, g.user_id, g.outcome, "
    "g.hold_nano, g.price_list_id, g.margin_bps, g.opened_at, g.bad_debt_nano"
)
"""What `generation` and `generation_end` read; the story follows."""


def generation(row: Row) -> Generation:
    """The request of a row of `GENERATION_COLUMNS` and its story (None: dropped)."""
    values = list(row[:23])
    values[11] = bool(values[11])
    return Generation(*values, receipt=b"{}" if row[29] is None else row[29])


def generation_end(row: Row) -> End:
    """How the hold of that row ended."""
    outcome, hold, price_list, margin, opened, bad_debt = row[23:29]
    return End(outcome, hold, price_list, margin, opened, row[19], bad_debt, row[18])
