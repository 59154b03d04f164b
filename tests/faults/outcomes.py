"""The outcome table (money.md R8): what a caller gets and pays for each way in which a provider can fail, by hand."""

from dataclasses import dataclass
from decimal import Decimal

from faults.rig import DIALECTS, SPOKEN, STATUSES, tokens, usd
from support.fault_answers import text_of

NOTHING = Decimal(0)
EXACT = usd(input=1234, output=567)
COUNTED = usd(input=tokens(SPOKEN), output=tokens(text_of()))


@dataclass(frozen=True)
class Cell:
    """One failure, in one dialect, asked for whole or as a stream."""

    behaviour: str
    dialect: str
    stream: bool

    @property
    def model(self) -> str:
        return f"{DIALECTS[self.dialect]}/fault-{self.behaviour}"

    def __str__(self) -> str:
        return f"{self.behaviour}-{self.dialect}-{'sse' if self.stream else 'json'}"


@dataclass(frozen=True)
class Outcome:
    """What must come of it.

    status, code: of the HTTP answer. reason: of the attempt in the receipt. broken: the stream began and then says `error`.
    warns: the usage that the provider reported did not add up, and the answer says so.
    """

    status: int = 200
    code: str = ""
    reason: str = "ok"
    charge: Decimal = NOTHING
    source: str = "provider"
    broken: bool = False
    warns: bool = False


FAILED = {
    "connection": Outcome(502, "upstream_error", "connection"),
    "malformed": Outcome(502, "upstream_error", "malformed"),
    "server": Outcome(502, "upstream_error", "server"),
    "no_auth": Outcome(502, "upstream_error", "no_auth"),
    "not_found": Outcome(502, "upstream_error", "not_found"),
    "timeout": Outcome(504, "upstream_timeout", "timeout"),
    "overloaded": Outcome(503, "no_offer_available", "overloaded"),
    "rate_limited": Outcome(503, "no_offer_available", "rate_limited"),
    "bad_request": Outcome(400, "upstream_refused", "bad_request"),
}
OK = Outcome(charge=EXACT)
BY_COUNT = Outcome(charge=COUNTED, source="tokenizer")
UNUSABLE = Outcome(charge=COUNTED, source="tokenizer", warns=True)

BY_STATUS = {
    302: "server", 400: "bad_request", 401: "no_auth", 403: "no_auth", 404: "not_found", 408: "timeout",
    413: "bad_request", 422: "bad_request", 429: "rate_limited", 500: "server", 502: "server", 503: "overloaded",
    504: "timeout", 529: "overloaded",
}  # fmt: skip
# Where a provider's error names its kind, that counts more than the status; the fault upstream says "internal" for these.
BY_BODY = {
    **{("anthropic", status): "server" for status in (408, 422, 504)},
    **{("gemini", status): "server" for status in (408, 413, 422, 529)},
}
WHOLE = {
    "reset-0": "connection", "reset-headers": "connection", "reset-mid": "connection", "reset-before-usage": "connection",
    "reset-last": "connection", "close-mid": "connection", "truncate-mid": "malformed", "malformed": "malformed",
    "html": "malformed", "hang": "timeout", "hang-mid": "timeout", "slow-1bps": "timeout",
}  # fmt: skip
BEFORE_THE_FIRST_BYTE = {
    "reset-0": "connection", "reset-headers": "connection", "html": "malformed", "error-200": "malformed",
    "empty": "malformed", "hang": "timeout", "slow-1bps": "timeout",
}  # fmt: skip
MID_STREAM = {
    "reset-mid": "connection", "close-mid": "connection", "truncate-mid": "malformed", "malformed": "malformed",
    "hang-mid": "timeout",
}  # fmt: skip
HEALTHY = ("ok", "slow-2000bps", "split-7", "coalesced", "crlf", "comments", "usage-snapshots")


def in_disguise(dialect: str) -> str:
    """The kind of an error body under status 200 that says 503; OpenAI's shape has no number in it."""
    return "server" if dialect == "openai" else "overloaded"


def expected(cell: Cell) -> Outcome:
    """By hand."""
    behaviour, dialect = cell.behaviour, cell.dialect
    if behaviour.startswith("status-"):
        status = int(behaviour.removeprefix("status-"))
        return FAILED[BY_BODY.get((dialect, status), BY_STATUS[status])]
    if behaviour in HEALTHY:
        return OK
    if behaviour in _USAGE:
        return _USAGE[behaviour][dialect]
    return _streamed(behaviour, dialect) if cell.stream else _whole(behaviour, dialect)


def _whole(behaviour: str, dialect: str) -> Outcome:
    if behaviour in {"error-200", "error-frame-mid"}:
        return FAILED[in_disguise(dialect)]
    if behaviour == "empty":
        # Anthropic's is a complete message without content that reports zero tokens: believed, and free.
        return Outcome(charge=NOTHING) if dialect == "anthropic" else FAILED["malformed"]
    return FAILED[WHOLE[behaviour]]


def _streamed(behaviour: str, dialect: str) -> Outcome:
    if behaviour in BEFORE_THE_FIRST_BYTE:
        return FAILED[BEFORE_THE_FIRST_BYTE[behaviour]]
    if behaviour == "reset-last":
        # Everything was said but the mark that it was; that is a delivered answer.
        return OK
    if behaviour == "reset-before-usage" and dialect == "openai":
        # The answer and its finish reason are here, only the usage is not (R8d).
        return BY_COUNT
    kind = in_disguise(dialect) if behaviour == "error-frame-mid" else MID_STREAM.get(behaviour, "connection")
    failed = FAILED[kind]
    return Outcome(200, failed.code, failed.reason, broken=True)


def _each(outcome: Outcome, **others: Outcome) -> dict[str, Outcome]:
    return {dialect: others.get(dialect, outcome) for dialect in DIALECTS}


_CACHED = usd(input=86, cached=1920, output=300)
_USAGE = {
    "no-usage": _each(BY_COUNT),
    "negative-usage": _each(UNUSABLE),
    "text-usage": _each(UNUSABLE),
    "huge-usage": _each(UNUSABLE),
    "usage-zero": _each(Outcome(charge=NOTHING)),
    "usage-cached": _each(Outcome(charge=_CACHED)),
    # 100 prompt tokens of which 250 were cached: 100 cached ones and none below zero. Anthropic's cached ones stand beside.
    "cached-gt-prompt": _each(
        Outcome(charge=usd(cached=100, output=20), warns=True),
        anthropic=Outcome(charge=usd(input=350, output=20), warns=True),
    ),
    # Thinking is priced as output, and is inside it but for Gemini's, which stands beside.
    "reasoning-gt-output": _each(
        OK,
        openai=Outcome(charge=usd(input=75, output=20), warns=True),
        gemini=Outcome(charge=usd(input=75, output=1024)),
    ),
}
BEHAVIOURS = (
    *WHOLE, "error-200", "error-frame-mid", "empty", *HEALTHY, *_USAGE, *(f"status-{status}" for status in STATUSES),
)  # fmt: skip
CELLS = tuple(
    Cell(behaviour, dialect, stream) for behaviour in BEHAVIOURS for dialect in DIALECTS for stream in (False, True)
)
