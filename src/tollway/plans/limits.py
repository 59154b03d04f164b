"""THE list of what a plan may limit or allow, with words for people; everything else about limits is data.

A catalogue file may name further limits: they show in `/v1/limits` like these, and nothing enforces them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["window", "count", "size", "bound"]
"""window: so much per minute or day. count: so many things at once. size: so much kept. bound: so much per request."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A known limit. unit: what is counted, in the plural. one: the same, a single one."""

    name: str
    kind: Kind
    unit: str
    one: str
    meaning: str


_ALL = (
    Limit("api_keys", "count", "API keys", "API key", "API keys of a workspace that are not revoked"),
    Limit("assistants", "count", "assistants", "assistant", "assistants of a workspace"),
    Limit(
        "documents_per_assistant",
        "count",
        "documents per assistant",
        "document per assistant",
        "documents it may search",
    ),
    Limit("storage_mb", "size", "MB of storage", "MB of storage", "MiB of documents that are kept"),
    Limit("nerfing_rules", "count", "nerfing rules", "nerfing rule", "rules that degrade by condition"),
    Limit("requests_per_minute", "window", "requests per minute", "request per minute", "chat calls per UTC minute"),
    Limit("tokens_per_day", "window", "tokens per day", "token per day", "input and output tokens per UTC day"),
    Limit("web_search_per_minute", "window", "web searches per minute", "web search per minute", "per UTC minute"),
    Limit("file_search_per_minute", "window", "file searches per minute", "file search per minute", "per UTC minute"),
    Limit(
        "max_context_tokens", "bound", "tokens of context", "token of context", "prompt and asked output of a request"
    ),
    Limit("widgets", "count", "widgets", "widget", "chats embedded in pages"),
    Limit("workspaces", "count", "workspaces", "workspace", "workspaces of the organization"),
    Limit("members", "count", "members", "member", "people in the organization"),
    Limit("routing_profiles", "count", "routing profiles", "routing profile", "routing profiles of the organization"),
)

LIMITS: Mapping[str, Limit] = {one.name: one for one in _ALL}
"""Name -> limit, in the order in which they are shown: the ten of the API reference first."""

FEATURES: Mapping[str, str] = {
    "web_search": "searching the web",
    "file_search": "searching own documents",
    "custom_models": "models of one's own",
    "priority_support": "support that answers first",
    "eu_mode": "requests that stay in the EU",
    "sso": "single sign-on",
    "custom_api_keys": "provider keys of one's own",
    "remove_branding": "widgets without our name",
}
"""Name -> meaning, the six of the API reference first."""


def counted(name: str, number: int) -> str:
    """`1 API key`, `5 API keys`, `unlimited API keys`; a limit that is not ours by its name."""
    known = LIMITS.get(name)
    if known is None:
        return f"{name} {'unlimited' if number < 0 else f'{number:,}'}"
    if number < 0:
        return f"unlimited {known.unit}"
    return f"{number:,} {known.one if number == 1 else known.unit}"
