"""Everything the inside asks of the outside, as Protocols: clock, ids, ledger, directory, limiter, dialect, upstream, telemetry.

Implementations live in `store/`, `providers/` and `telemetry/` and are chosen in `app.py` alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from tollway.catalogue.offers import Offer
from tollway.jsontypes import JSONObject
from tollway.ledger.hold import Hold
from tollway.metering.rating import Charge
from tollway.metering.sse import ServerEvent
from tollway.request import ChatRequest
from tollway.routing.failure import Failure
from tollway.workspaces.key import Key


class Clock(Protocol):
    """Time, as the installation sees it."""

    def now(self) -> float:
        """Unix seconds, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations."""
        ...


class Ids(Protocol):
    """Fresh identifiers."""

    def new(self) -> str:
        """A UUIDv7 as text: unique, sortable by time of making."""
        ...


class Generation(msgspec.Struct, gc=False):
    """One request as it is kept: the row behind a receipt, `/v1/usage` and the log line.

    status: `ok`, `error`, `cancelled`, `expired`. Times in ms; created_at in unix ms. Money in nano-USD. From `outcome`
    on, and `charge_nano`, the ledger fills in when it ends the hold. receipt: the story as JSON (see
    gateway/receipt.py), without prompts; always the last field.
    """

    id: str
    workspace_id: str
    key_id: str
    created_at: int
    model_asked: str
    model: str = ""
    provider: str = ""
    offer_id: str = ""
    status: str = "ok"
    http_status: int = 200
    error_code: str = ""
    is_streamed: bool = False
    finish_reason: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    usage_source: str = ""
    cost_nano: int = 0
    charge_nano: int = 0
    latency_ms: int = 0
    ttft_ms: int = 0
    user_id: str = ""
    outcome: str = ""
    hold_nano: int = 0
    price_list_id: str = ""
    margin_bps: int = 0
    opened_at: int = 0
    bad_debt_nano: int = 0
    assistant_id: str = ""
    tier: str = ""
    seq: int = 0
    receipt: bytes = b"{}"


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """How a hold ends with a charge: one transfer, keyed by the hold's id for ever."""

    hold_id: str
    charge: Charge
    provider: str
    generation: Generation
    failover_cost_nano: int = 0
    """What failed attempts of this request cost us at providers; never the customer's (R8a, R8f)."""
    price_list_id: str = ""
    """What the charge was rated by, where another offer than the one the hold was opened for has answered (R8f)."""


class Settled(msgspec.Struct, frozen=True, gc=False):
    """The result of a settle: nano-USD taken from the wallet, and what it could not cover (R7)."""

    taken_nano: int
    bad_debt_nano: int = 0
    is_replay: bool = False
    """The hold had already ended; nothing was moved again."""


@dataclass(frozen=True, slots=True)
class Balance:
    """A wallet now, nano-USD: available = posted - held - frozen."""

    posted_nano: int
    held_nano: int
    frozen_nano: int = 0

    @property
    def available_nano(self) -> int:
        """What a new hold may take."""
        return self.posted_nano - self.held_nano - self.frozen_nano


class Ledger(Protocol):
    """Holds and settlements. Decisions are atomic; an ended hold never ends twice."""

    async def hold(self, hold: Hold) -> None:
        """Reserve the worst case, all or nothing: key budget, then wallet.

        The embedded ledger decides at once and lets the row's commit overlap the upstream call; nothing is answered to the
        customer before `settle` or `void` has been committed behind it.

        Raises:
            InsufficientBalance, BudgetExceeded, AccountOnHold: refused; nothing was reserved.
            LedgerUnavailable: the ledger cannot be written.
        """
        ...

    async def raise_hold(self, hold_id: str, more_nano: int) -> None:
        """Enlarge an open hold (R6b). Raises as `hold`."""
        ...

    async def settle(self, settlement: Settlement) -> Settled:
        """Charge and release the rest; returns when it is durable. Idempotent by hold id.

        Raises:
            LedgerUnavailable: not written; the hold stays and recovery will end it.
        """
        ...

    async def void(self, hold_id: str, generation: Generation, failover_cost_nano: int = 0) -> None:
        """Release everything, charge nothing (R8a, R8b); returns when it is durable. Idempotent by hold id."""
        ...

    def balance(self, workspace_id: str) -> Balance:
        """The wallet as of now."""
        ...


class Directory(Protocol):
    """Who is calling: an in-memory snapshot of keys, so that a request reads no table."""

    def key(self, digest: bytes) -> Key | None:
        """The key with this HMAC digest, None if there is none."""
        ...


class Window(msgspec.Struct, frozen=True, gc=False):
    """The state of a request window: limit (-1: none), what remains, and when it resets (unix seconds)."""

    limit: int
    remaining: int
    reset: int


class Quota(msgspec.Struct, frozen=True, gc=False):
    """The limits that count one key's requests: its workspace's, by plan, and its own below. -1: no limit.

    requests: per fixed UTC minute. tokens: per UTC day (R14).
    """

    workspace_id: str
    key_id: str
    requests: int = -1
    tokens: int = -1
    key_requests: int = -1
    key_tokens: int = -1


class Counted(msgspec.Struct, frozen=True, gc=False):
    """What a workspace has used of its windows, what running requests have reserved among it."""

    requests_this_minute: int
    requests_today: int
    tokens_today: int
    web_search_this_minute: int = 0
    file_search_this_minute: int = 0


Kind = Literal["api", "web_search", "file_search"]
"""What is counted per minute and workspace beside chat requests."""


class Limiter(Protocol):
    """Fixed windows of UTC minutes and days, of a workspace and of its keys, all decided in one step (R14)."""

    async def admit(self, quota: Quota, tokens: int, now: float) -> Window:
        """Count one request and reserve the worst case of its tokens in every window, or nothing at all.

        Returns:
            The request window that is nearest to its end, for the `X-RateLimit-*` headers.

        Raises:
            RateLimited, TokensPerDayExceeded: a window is full; nothing was counted.
        """
        ...

    async def reserve(self, quota: Quota, tokens: int, now: float) -> None:
        """Reserve more tokens for a request that was admitted at `now`. Raises TokensPerDayExceeded."""
        ...

    async def dismiss(self, quota: Quota, tokens: int, now: float) -> None:
        """A request that was admitted at `now` was refused after all: it does not count, nor do its tokens."""
        ...

    async def correct(self, quota: Quota, reserved: int, used: int, now: float) -> None:
        """Replace what a request that was admitted at `now` had reserved by what it used."""
        ...

    async def window(self, quota: Quota, now: float) -> Window:
        """The request window as it stands; counts nothing."""
        ...

    async def count(self, kind: Kind, workspace_id: str, limit: int, now: float) -> Window:
        """Count one action of another kind. Raises RateLimited: the minute is full; nothing was counted."""
        ...

    async def counted(self, workspace_id: str, now: float) -> Counted:
        """What a workspace has used, for `/v1/limits`."""
        ...

    async def tokens_of(self, key_id: str, now: float) -> int:
        """Tokens of a key today, reserved ones among them."""
        ...


@dataclass(slots=True)
class Outgoing:
    """A request to a provider, ready to send. Secrets ride in `headers` or `url`; never log one."""

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class UpstreamStream(Protocol):
    """An open upstream answer; closing it, or cancelling the task that reads it, resets the connection."""

    status: int

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        ...

    async def next(self) -> bytes | None:
        """Body bytes as they arrive, nothing buffered; None at the end. Raises ConnectionError or TimeoutError."""
        ...

    async def pump(self, take: Callable[[bytes], bool]) -> bool:
        """Hand what comes to `take` within the read itself, until it gives False (then True) or the body has ended (False).

        Raises as `next`, and what `take` raises.
        """
        ...

    def allow(self, timeout_s: float) -> None:
        """The exchange may take so many seconds from now, instead of what `open` was given."""
        ...

    @property
    def is_over(self) -> bool:
        """The answer has been read to its end, so that `next` would not wait. False where it is not known."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body, at most `limit` bytes."""
        ...

    async def close(self) -> None:
        """Give the connection back, or reset it when the body was not read to its end."""
        ...


class Upstream(Protocol):
    """The network. Raises ConnectionError (no connection, reset) and TimeoutError; never anything of a library's own."""

    async def fetch(self, outgoing: Outgoing, timeout_s: float) -> tuple[int, Mapping[str, str], bytes]:
        """Send and read the whole answer: status, the few headers we read (lower case), body."""
        ...

    async def open(self, outgoing: Outgoing, timeout_s: float) -> UpstreamStream:
        """Send; return when the status line and headers are here."""
        ...


class Translator(Protocol):
    """One stream being translated; made by `Dialect.stream`, fed in order, thrown away.

    usage: the merged usage document so far, last value wins and snapshots are never summed (pains 15, 16); for `extract`.
    """

    usage: JSONObject | None

    def event(self, event: ServerEvent) -> list[JSONObject]:
        """The `chat.completion.chunk` objects that one upstream event says, without usage; possibly none.

        Raises:
            UpstreamError: the event is an error frame, or not what the dialect promises.
        """
        ...

    @property
    def is_done(self) -> bool:
        """The provider has said that the answer is complete; a stream that ends before is a failure."""
        ...


class Dialect(Protocol):
    """A wire language."""

    @property
    def is_identity(self) -> bool:
        """The provider speaks the OpenAI shape: bytes pass through untouched and only usage is read."""
        ...

    def request(self, chat: ChatRequest, offer: Offer, max_tokens: int | None) -> Outgoing:
        """The request for this offer, with credentials.

        Args:
            max_tokens: bound to send in place of the caller's; None sends none (rolling hold, R6b) unless the dialect
                cannot do without one.

        Raises:
            UnsupportedField: the request carries a field that would be lost in translation; never silently dropped.
        """
        ...

    def reply(self, body: JSONObject, model: str, answer_id: str, created: int) -> JSONObject:
        """A whole `chat.completion` object, without usage, from the provider's whole answer.

        Args:
            model: the id to show. answer_id: the id to show. created: unix seconds to show.

        Raises:
            UpstreamError: the body is an error although the status was 2xx, or not what the dialect promises.
        """
        ...

    def usage(self, body: JSONObject) -> JSONObject | None:
        """The part of a whole answer that `extract` reads, None when it has no usage."""
        ...

    def stream(self, model: str, answer_id: str, created: int) -> Translator:
        """A fresh translator for one stream; arguments as `reply`."""
        ...

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """What a non-2xx answer means. `headers` are lower case."""
        ...


class Telemetry(Protocol):
    """Metrics, the log line and the trace of one request."""

    def finished(self, generation: Generation, stages: Mapping[str, int]) -> None:
        """A request ended; `stages` are microseconds per stage of the road. Both are handed over."""
        ...

    def refused(self, code: str, status: int, request_id: str) -> None:
        """A request was refused before it had a hold."""
        ...

    def upstream_failed(self, provider: str, reason: str) -> None:
        """An attempt at a provider failed."""
        ...
