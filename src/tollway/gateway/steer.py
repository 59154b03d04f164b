"""Stop 3, route: the models and offers that may answer a request, and with which margin.

A request that names one model with one offer, and wishes nothing, is decided at once. Every other one goes through the
pipeline of `routing/decide.py`: aliases, the rules of its key's profile, `auto` and tiers, preferences, several offers.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from tollway.errors import InvalidField
from tollway.gateway.admit import Caller
from tollway.gateway.stick import Conversation, Sticky
from tollway.metering.estimate import bound_input
from tollway.request import ChatRequest
from tollway.routing.asking import AUTO, wish_of
from tollway.routing.decide import Circumstances
from tollway.routing.decision import Decision
from tollway.routing.policy import Route, route
from tollway.routing.router import Router
from tollway.routing.wish import Wish, merged
from tollway.workspaces.key import Key
from tollway.workspaces.profile import Profile

TOKENIZER = "o200k"
"""Whose tokens are compared before a model is chosen."""


class Rules(Protocol):
    """What a workspace has set up about routing."""

    def wish_of(self, key: Key) -> Wish | None:
        """The rules of the profile whose key this is. Raises KeyDisabled: the profile is gone."""
        ...

    def wish_named(self, workspace_id: str, name: str) -> Wish | None:
        """The rules of a profile by its id or name."""
        ...

    def of_key(self, key: Key) -> Profile | None:
        """The profile whose key this is. Raises as `wish_of`."""
        ...


class Steered(NamedTuple):
    """Where a request goes. caller: with the margin of how the model was chosen. decision: None of a plain request."""

    route: Route
    caller: Caller
    chat: ChatRequest
    decision: Decision | None = None
    conversation: Conversation | None = None


class Steering:
    """Decides where requests go. One for all requests."""

    def __init__(
        self, router: Router, rules: Rules, sticky: Sticky, default_output: int, draw: Callable[[], float]
    ) -> None:
        """`draw`: a fresh random number in [0, 1), for a choice among offers that nothing else decides."""
        self._router = router
        self._rules = rules
        self._sticky = sticky
        self._default_output = default_output
        self._draw = draw

    def steer(self, chat: ChatRequest, caller: Caller, now: float) -> Steered:
        """The candidates of a request. `now`: unix seconds.

        Raises:
            ModelNotFound, ModelNotPriced, ModelNotAllowed, ContextLengthExceeded, NoHealthyOffer: nothing may answer.
            InvalidField: a wish that is wrong, or that leaves nothing. KeyDisabled: the key's profile was deleted.
        """
        key = caller.key
        if not chat.routing and not key.profile_id and chat.model != AUTO and ":" not in chat.model:
            found = route(chat, key, self._router.catalogue(), int(now), caller.grants)
            if len(found.candidates) == 1:
                return Steered(found, caller, chat)
        return self._decided(chat, caller, now)

    def _decided(self, chat: ChatRequest, caller: Caller, now: float) -> Steered:
        chat, wish = within_profile(self._rules, chat, caller.key)
        conversation: Conversation | None = None
        draw, stays_with = self._draw(), ""
        if not wish.order:
            conversation = self._sticky.conversation(caller.key.workspace_id, chat)
            stays_with = self._sticky.offer(conversation.key, now) or ""
            if conversation.is_named:
                # A conversation makes its choice by chance only once.
                draw = conversation.draw
        circumstances = Circumstances(default_output=self._default_output, draw=draw, sticky=stays_with)
        # Of a named model the tokens decide nothing: a guess does.
        tokens = chat.size // 4 if wish.mode == "direct" else bound_input(chat, TOKENIZER).tokens
        decision = decided(self._router, chat, wish, caller, now, tokens, circumstances)
        if wish.max_cost_nano is not None and (chat.max_price_nano or wish.max_cost_nano) >= wish.max_cost_nano:
            # A stream without a bound must not roll past the cap either.
            chat = msgspec.structs.replace(chat, max_price_nano=wish.max_cost_nano)
        if decision.margin_bps != caller.margin_bps:
            caller = msgspec.structs.replace(caller, margin_bps=decision.margin_bps)
        return Steered(Route(decision.candidates), caller, chat, decision, conversation)


def decided(
    router: Router,
    chat: ChatRequest,
    wish: Wish,
    caller: Caller,
    now: float,
    input_tokens: int,
    circumstances: Circumstances,
) -> Decision:
    """The router's decision for a caller, with the margins of their plan. Raises as `Steering.steer`."""
    return router.decide(
        chat,
        wish,
        key=caller.key,
        plan=caller.grants,
        now=now,
        input_tokens=input_tokens,
        margins_bps={**caller.grants.margins_bps, "direct": caller.margin_bps},
        circumstances=circumstances,
    )


def within_profile(rules: Rules, chat: ChatRequest, key: Key) -> tuple[ChatRequest, Wish]:
    """A request and its wish, within the profile of its key or the one it names; with the key's fallbacks if it has none.

    Raises:
        InvalidField: a wish that is wrong, no such profile, or together they leave nothing. KeyDisabled: it is gone.
    """
    wish = _wish_within(rules, wish_of(chat.model, chat.routing), key)
    profile = rules.of_key(key)
    if profile is not None and profile.fallbacks and not chat.models:
        chat = msgspec.structs.replace(chat, models=profile.fallbacks)
    return chat, wish


def _wish_within(rules: Rules, wish: Wish, key: Key) -> Wish:
    """What a request wishes, within the rules of its key's profile or of the one it names.

    Raises:
        InvalidField: there is no such profile, or together they leave nothing. KeyDisabled: the key's profile is gone.
    """
    own = rules.wish_of(key)
    if own is not None:
        if wish.profile not in {"", own.profile, own.profile_id}:
            raise InvalidField(f"this key has the profile `{own.profile}`; leave `profile` out", param="profile")
        return merged(own, wish)
    if not wish.profile:
        return wish
    named = rules.wish_named(key.workspace_id, wish.profile)
    if named is None:
        raise InvalidField(f"there is no profile `{wish.profile}` here; `GET /v1/profiles` lists them", param="profile")
    return merged(named, wish)
