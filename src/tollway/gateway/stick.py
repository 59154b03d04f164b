"""Sticky offers: a conversation stays with the offer that keeps its prompt in a cache, as long as that pays.

Providers bill a prompt that they still have cached at a fraction, and only the provider that has it does. So once an
answer came with cached tokens - or at once, where the caller names the conversation - later turns go to the same offer
first. It is a preference: an offer that is out, excluded or failing is not asked because of it.
A conversation is known by a keyed digest; none of its text is kept.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from tollway.request import ChatRequest, Message
from tollway.routing.policy import Candidate

IDLE_S = 600.0
"""Without an answer that paid for so long, the cache is taken to be cold: providers keep prompts for 5 to 10 minutes."""
CONVERSATIONS_MAX = 100_000
TEXT_MAX = 1_000
"""Characters of the system prompt, and as many of the first user message, that tell a conversation from others."""
_NAMED_BY = ("prompt_cache_key", "user")
_DRAWS = 1 << 53


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """Which conversation a request belongs to. key: its digest. is_named: the caller named it, we did not guess."""

    key: bytes
    is_named: bool

    @property
    def draw(self) -> float:
        """A number in [0, 1) that is the same for every turn: a choice by chance that a conversation makes only once."""
        return (int.from_bytes(self.key[:8], "big") >> 11) / _DRAWS


class Sticky:
    """Conversation -> offer, least recently used out first. `now` is unix seconds."""

    def __init__(self, random_bytes: Callable[[int], bytes], most: int = CONVERSATIONS_MAX) -> None:
        self._digest = hashlib.blake2b(key=random_bytes(32), digest_size=16)
        self._most = most
        self._offers = OrderedDict[bytes, tuple[str, float]]()

    def __len__(self) -> int:
        return len(self._offers)

    def conversation(
        self, workspace_id: str, chat: ChatRequest, *, conversation_id: str = "", session: str = ""
    ) -> Conversation:
        """The conversation of a request: by its name if it has one, else by its system prompt and first user message.

        Args:
            conversation_id: our own field. session: of a header; both "" if there is none.
        """
        digest = self._digest.copy()
        name = (conversation_id or session or chat.user_id or "").encode(errors="replace") or _named(chat)
        if name:
            digest.update(b"\0".join((b"named", workspace_id.encode(), chat.model.encode(errors="replace"), name)))
            return Conversation(digest.digest(), is_named=True)
        system, user = _opening(chat.messages)
        head = f"{workspace_id}\0{chat.model}\0{len(system)}\0{len(user)}\0{system[:TEXT_MAX]}\0{user[:TEXT_MAX]}"
        digest.update(head.encode(errors="replace"))
        return Conversation(digest.digest(), is_named=False)

    def offer(self, key: bytes, now: float) -> str | None:
        """The offer that a conversation stays with, None if it is free."""
        kept = self._offers.get(key)
        if kept is None:
            return None
        if now >= kept[1]:
            del self._offers[key]
            return None
        return kept[0]

    def learn(self, key: bytes, offer_id: str, cached_tokens: int, explicit: bool, now: float) -> None:  # noqa: FBT001 - by position
        """An offer has answered: remember it if its cache paid, or if the caller named the conversation.

        When another one than the remembered has answered and its cache did not pay, the conversation is free again.
        """
        offers = self._offers
        if cached_tokens <= 0 and not explicit:
            kept = offers.get(key)
            if kept is not None and kept[0] != offer_id:
                del offers[key]
            return
        offers[key] = (offer_id, now + IDLE_S)
        offers.move_to_end(key)
        if len(offers) > self._most:
            offers.popitem(last=False)

    def first(self, key: bytes, candidates: tuple[Candidate, ...], now: float) -> tuple[Candidate, ...]:
        """The candidates with the conversation's offer first, if it is one of the model that was chosen."""
        offer_id = self.offer(key, now)
        if offer_id is None or candidates[0].offer.id == offer_id:
            return candidates
        for place, candidate in enumerate(candidates):
            if candidate.offer.id == offer_id and candidate.offer.model == candidates[0].offer.model:
                return (candidate, *candidates[:place], *candidates[place + 1 :])
        return candidates

    def forget(self, key: bytes) -> None:
        """The offer has failed this conversation."""
        self._offers.pop(key, None)


def _named(chat: ChatRequest) -> bytes:
    """The name in a field of the OpenAI shape, as the caller wrote it; b"" if there is none."""
    fields = chat.fields
    for field in _NAMED_BY:
        raw = fields.get(field)
        if raw is not None:
            name = bytes(raw)
            if len(name) > 2 and name[:1] == b'"':
                return name
    return b""


def _opening(messages: tuple[Message, ...]) -> tuple[str, str]:
    """The first system prompt before, and the first message of, the user."""
    system = ""
    for message in messages:
        if message.role == "user":
            return system, _text(message)
        if not system and message.role in {"system", "developer"}:
            system = _text(message)
    return system, ""


def _text(message: Message) -> str:
    """The first text of a message."""
    content = message.content
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        text = part.get("text")
        if isinstance(text, str) and text:
            return text
    return ""
