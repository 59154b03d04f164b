"""A failed attempt at a provider: what kind it was, and how much of it a caller may read.

Dialects make these from replies, the gateway from dead connections; `fallback.py` decides by the kind alone. A
provider's own words may name our account, our key or an internal address, so callers see `public_message`, never
`message` (contract.md, Errors).
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """What went wrong at a provider, as far as retry and fallback need to know (routing/fallback.py)."""

    BAD_REQUEST = "bad_request"
    """The caller's fault: the provider's message goes to the caller as a 400."""
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    NO_AUTH = "no_auth"
    """Our credential is wrong or out of money: the operator's matter, hidden from the caller."""
    NOT_FOUND = "not_found"
    """The provider does not know the model or path."""
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER = "server"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    MALFORMED = "malformed"
    """An answer that is not what the dialect promises."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt.

    status: HTTP status, 0 without one. message: the provider's own text, cut to 500 characters; for the operator.
    param: the field it names. retry_after_s: seconds, when the provider said so.
    """

    kind: FailureKind
    status: int = 0
    message: str = ""
    param: str | None = None
    retry_after_s: float | None = None

    @property
    def public_message(self) -> str:
        """The provider's text without anything that looks like a URL, a key, an address or an account."""
        return public_text(self.message)


class UpstreamError(Exception):
    """An attempt failed; carries its Failure. Raised by a dialect when an answer turns out to be an error."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message or failure.kind)


_PRIVATE = re.compile(
    r"""(?ix)
    \b [a-z][a-z0-9+.-]{1,15} :// [^\s"'<>]+                          # a URL
    | \b (?:bearer|basic) \s+ [a-z0-9._~+/=-]{8,}                     # a credential header
    # A key or account id by its prefix, masked ones too; a digit or a star tells it from a word.
    | \b (?:sk|rk|pk|tw|twa|gsk|xai|key|org|proj|acct|user|project) [-_] (?=[a-z0-9_*-]*[0-9*]) [a-z0-9_*-]{6,}
    | \b AIza [a-z0-9_-]{8,}
    | \b [\w.+-]+ @ [\w-]+ (?:\.[\w-]+)+                              # an e-mail address or service account
    | \b \d{1,3} (?:\.\d{1,3}){3} (?: : \d+ )? \b                     # an IPv4 address
    | \b projects / [\w.:-]+                                          # a cloud project
    """
)


def public_text(text: str) -> str:
    """A provider's text with URLs, keys, addresses and account names replaced by `[hidden]`."""
    return _PRIVATE.sub("[hidden]", text)
