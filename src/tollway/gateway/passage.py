"""A passage: one request on the road, with everything that is known about it so far. Becomes the receipt."""

from enum import StrEnum

import msgspec

from tollway.gateway.admit import Caller
from tollway.gateway.stick import Conversation
from tollway.jsontypes import JSONObject
from tollway.metering.estimate import InputBound, OutputBound
from tollway.metering.rating import Charge
from tollway.metering.usage import Usage
from tollway.ports import Settled, Window
from tollway.request import ChatRequest
from tollway.routing.decision import Decision
from tollway.routing.policy import Candidate, Route

MICRO = 1_000_000


class Interruption(StrEnum):
    """Why the road ended before the provider's answer did."""

    CLIENT_GONE = "client_gone"
    NO_FUNDS = "no_funds"
    """A rolling hold could not be raised (R6b): the answer ends with finish_reason `length`."""
    DRAINED = "drained"
    """The caller hung up, and the answer was read to its end, since the provider bills all of it (R8c)."""

    @property
    def is_hang_up(self) -> bool:
        """The caller did not wait for the end."""
        return self is not Interruption.NO_FUNDS


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One try at one offer. reason: `ok`, `cancelled`, or the kind of its failure. status 0: no HTTP answer.

    Times in ms since the request began.
    """

    offer_id: str
    provider: str
    model: str
    status: int
    reason: str
    message: str
    started_ms: int
    ended_ms: int


class Passage(msgspec.Struct, gc=False):
    """The state of one request. `created` is unix seconds; the other times are monotonic seconds, 0.0 until then.

    started: of the request. admitted: routed. held: the hold is there. called: an offer has answered, or begun to.
    streamed: the stream has ended. window: the request window that it was counted in, for the headers.
    held_nano: what the hold covers now. held_output_tokens: the output tokens it covers now (rolling holds grow it).
    usage_document: the provider's usage as merged so far, for `extract`.
    """

    id: str
    chat: ChatRequest
    caller: Caller
    created: float
    started: float
    route: Route
    candidate: Candidate
    admitted: float
    held: float = 0.0
    called: float = 0.0
    streamed: float = 0.0
    window: Window | None = None
    input: InputBound | None = None
    output: OutputBound | None = None
    held_nano: int = 0
    held_output_tokens: int = 0
    tokens_reserved: int = 0
    has_called: bool = False
    """The request is with a provider, which may bill it whatever happens next; False again once that has failed."""
    is_caller_gone: bool = False
    interruption: Interruption | None = None
    attempts: list[Attempt] = []
    usage_document: JSONObject | None = None
    usage: Usage | None = None
    charge: Charge | None = None
    settled: Settled | None = None
    finish_reason: str = ""
    warnings: list[str] = []
    ttft_s: float = 0.0
    decision: Decision | None = None
    """How the model was chosen, where it was not simply named."""
    conversation: Conversation | None = None
    """None: nothing to choose between, or the caller chose."""

    @property
    def is_fallback(self) -> bool:
        """Another offer than the first one answered."""
        return self.candidate is not self.route.candidates[0]

    def stages(self, now: float) -> dict[str, int]:
        """Microseconds of each stage that has ended, and of all until `now` (monotonic seconds)."""
        at, held, called = self.admitted, self.held, self.called
        stages = {"admit": int((at - self.started) * MICRO)}
        if held:
            stages["hold"], at = int((held - at) * MICRO), held
        if called:
            stages["call"], at = int((called - at) * MICRO), called
        if self.streamed:
            stages["stream"] = int((self.streamed - at) * MICRO)
        stages["total"] = int((now - self.started) * MICRO)
        return stages
