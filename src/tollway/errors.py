"""The error tree: one class = one code + one HTTP status; the docstring is the default message and tells what to do.

TollwayError
|- Refused          the caller's matter, 4xx
|  |- BadRequest 400 - InvalidJSON, InvalidField, ModelNotFound, ModelNotPriced, ContextLengthExceeded, UnsupportedField,
|  |                   UpstreamRefused, ConflictingCredentials, InvalidToken
|  |- Unauthenticated 401 - MissingKey, InvalidKey, KeyExpired, KeyDisabled, InvalidSession, InvalidCredentials
|  |- PaymentRequired 402 - InsufficientBalance, BudgetExceeded, AccountOnHold
|  |- Forbidden 403 - ScopeMissing, SignupClosed, ModelNotAllowed, AddressNotAllowed, TierLimitExceeded
|  |- NotFound 404, MethodNotAllowed 405, AlreadyExists 409, RequestInProgress 409, LastOwner 409, WorkspaceInUse 409,
|  |  PayloadTooLarge 413
|  |- ValidationFailed 422, IdempotencyMismatch 422
|  `- RateLimited 429 - TokensPerDayExceeded
|- UpstreamFailed   the provider's matter, 502/503/504; nothing was charged
|  `- UpstreamTimeout 504, NoHealthyOffer 503
`- Broken           ours, 500/503; somebody is paged
   `- LedgerUnavailable 503, LimiterUnavailable 503, ShuttingDown 503, UnpricedUnit 500
ConfigurationError  stops the start: file, line, key and fix
"""

from collections.abc import Mapping
from typing import ClassVar

from tollway.jsontypes import JSON


class TollwayError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "api_error"
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str = "", *, param: str | None = None, **details: JSON) -> None:
        """`details` are extra members of the documented error object, e.g. `needed_usd`."""
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.param = param
        self.details: Mapping[str, JSON] = details
        super().__init__(self.message)

    def body(self) -> dict[str, JSON]:
        """`{"error": {type, message, code, param, ...}}`, the documented shape (contract.md, Errors)."""
        error: dict[str, JSON] = {"type": self.type, "message": self.message, "code": self.code, "param": self.param}
        error.update(self.details)
        return {"error": error}

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Extra reply headers; `Retry-After` where `retry_after_seconds` is known."""
        seconds = self.details.get("retry_after_seconds")
        return [] if seconds is None else [(b"retry-after", str(seconds).encode())]


class Refused(TollwayError):
    """The request cannot be served as it is."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class BadRequest(Refused):
    """The request is not well formed."""


class InvalidJSON(BadRequest):
    """The body is not a JSON object. Send `Content-Type: application/json` and an object."""

    code = "invalid_json"


class InvalidField(BadRequest):
    """A field has a value that is not allowed."""

    code = "invalid_field"


class UnsupportedField(BadRequest):
    """The provider of this model does not take this field. Leave it out, or choose another model."""

    code = "unsupported_field"


class ModelNotFound(BadRequest):
    """There is no such model. `GET /v1/models` lists them."""

    code = "model_not_found"


class ModelNotPriced(BadRequest):
    """This model has no price, so it cannot be paid from a wallet. Choose another, or ask the operator to price it."""

    code = "model_not_priced"


class ContextLengthExceeded(BadRequest):
    """The prompt and the asked output do not fit into the model's context."""

    code = "context_length_exceeded"


class UpstreamRefused(BadRequest):
    """The provider refused the request as malformed. Nothing was charged."""

    code = "upstream_refused"


class ConflictingCredentials(BadRequest):
    """The request carries two different keys. Send one, in `Authorization` or in `x-api-key`."""

    code = "conflicting_credentials"


class InvalidToken(BadRequest):
    """This token is not good: it was used, it has ended, or it was not copied whole. Ask for another."""

    code = "invalid_token"


class Unauthenticated(Refused):
    """The caller is not known."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"www-authenticate", b"Bearer"), *super().headers()]


class MissingKey(Unauthenticated):
    """No API key was sent. Send `Authorization: Bearer tw_...`."""

    code = "missing_api_key"


class InvalidKey(Unauthenticated):
    """This API key is not known. Check that it was copied whole; it starts with `tw_`."""


class KeyExpired(Unauthenticated):
    """This API key has expired. Create another."""

    code = "api_key_expired"


class KeyDisabled(Unauthenticated):
    """This API key was revoked or disabled, or its workspace was deleted. Enable it again, or use another."""

    code = "api_key_disabled"


class InvalidSession(Unauthenticated):
    """This session is not known or has ended. Log in again with `POST /v1/auth/login`."""

    code = "invalid_session"


class InvalidCredentials(Unauthenticated):
    """No account has this e-mail address with this password."""

    code = "invalid_credentials"


class PaymentRequired(Refused):
    """The request cannot be paid."""

    status = 402
    type = "insufficient_balance"
    code = "insufficient_balance"


class InsufficientBalance(PaymentRequired):
    """The wallet cannot cover the worst case of this request. Top up, or ask for fewer tokens with `max_tokens`."""


class BudgetExceeded(PaymentRequired):
    """The budget cannot cover the worst case of this request. Raise it, wait for its next window, or ask for fewer tokens."""

    code = "budget_exceeded"


class AccountOnHold(PaymentRequired):
    """The wallet is frozen by a payment dispute. Contact the operator."""

    code = "account_on_hold"


class Forbidden(Refused):
    """The caller may not do this."""

    status = 403
    type = "authorization_error"
    code = "forbidden"


class ScopeMissing(Forbidden):
    """This API key lacks the scope for this action."""

    code = "scope_missing"


class SignupClosed(Forbidden):
    """This gateway takes no new accounts this way. Ask whoever runs it, or an admin of your organization, to invite you."""

    code = "signup_closed"


class ModelNotAllowed(Forbidden):
    """This API key may not use this model."""

    code = "model_not_allowed"


class AddressNotAllowed(Forbidden):
    """This API key may not be used from your address."""

    code = "ip_not_allowed"


class TierLimitExceeded(Forbidden):
    """Your plan does not have room for this. Upgrade it, or remove something."""

    type = "tier_limit_exceeded"
    code = "tier_limit_exceeded"


class NotFound(Refused):
    """There is no such thing here."""

    status = 404
    type = "not_found"
    code = "not_found"


class MethodNotAllowed(Refused):
    """This path does not take this method."""

    status = 405
    code = "method_not_allowed"


class AlreadyExists(Refused):
    """This exists already."""

    status = 409
    type = "already_exists"
    code = "already_exists"


class RequestInProgress(Refused):
    """A request with this Idempotency-Key is still running. Ask again when it has ended."""

    status = 409
    type = "already_exists"
    code = "request_in_progress"


class LastOwner(Refused):
    """An organization keeps at least one owner. Make another member owner first."""

    status = 409
    code = "last_owner"


class WorkspaceInUse(Refused):
    """This workspace cannot be deleted now."""

    status = 409
    code = "workspace_in_use"


class PayloadTooLarge(Refused):
    """The body is larger than this installation accepts."""

    status = 413
    type = "payload_too_large"
    code = "payload_too_large"


class ValidationFailed(Refused):
    """A field is wrong."""

    status = 422
    type = "validation_error"
    code = "validation_error"


class IdempotencyMismatch(Refused):
    """This Idempotency-Key was used with another body. Use a new key for a new request."""

    status = 422
    type = "validation_error"
    code = "idempotency_key_reused"


class RateLimited(Refused):
    """Too many requests. Please try again later."""

    status = 429
    type = "rate_limit_exceeded"
    code = "rate_limit_exceeded"


class TokensPerDayExceeded(RateLimited):
    """The tokens of this UTC day are used up by this request's worst case. Wait until 00:00 UTC, or ask for fewer tokens."""

    code = "tokens_per_day_exceeded"


class UpstreamFailed(TollwayError):
    """No provider could answer. Nothing was charged."""

    status = 502
    type = "upstream_error"
    code = "upstream_error"


class UpstreamTimeout(UpstreamFailed):
    """No provider answered in time. Nothing was charged."""

    status = 504
    type = "upstream_timeout"
    code = "upstream_timeout"


class NoHealthyOffer(UpstreamFailed):
    """No provider of this model can take requests now. Nothing was charged; try again shortly."""

    status = 503
    type = "service_unavailable"
    code = "no_offer_available"


class Broken(TollwayError):
    """Something is wrong on our side. Nothing was charged. Tell the operator the X-Request-ID."""


class LedgerUnavailable(Broken):
    """The ledger cannot be written, so no request is served. Try again shortly."""

    status = 503
    type = "service_unavailable"
    code = "ledger_unavailable"


class LimiterUnavailable(Broken):
    """The store that counts requests does not answer, so no request is served. Nothing was charged. Try again shortly."""

    status = 503
    type = "service_unavailable"
    code = "limiter_unavailable"


class ShuttingDown(Broken):
    """This server is draining for a restart. Try again."""

    status = 503
    type = "service_unavailable"
    code = "shutting_down"


class UnpricedUnit(Broken):
    """A unit was used that the price list does not price. It is never treated as free."""

    code = "unpriced_unit"


class ConfigurationError(Exception):
    """The configuration stops the start; says the file, line, key and fix."""

    def __init__(self, *, file: str, line: int | None, key: str, problem: str, fix: str) -> None:
        """`file` may name the environment; `line` is 1-based, None where there is none."""
        self.file, self.line, self.key, self.problem, self.fix = file, line, key, problem, fix
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {key}: {problem}\n  fix: {fix}")
