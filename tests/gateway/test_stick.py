"""Sticky offers: which requests are one conversation, what is remembered, for how long, and what the key costs."""

import hashlib
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.house import offer, priced, provider
from tollway.gateway.stick import CONVERSATIONS_MAX, IDLE_S, TEXT_MAX, Sticky
from tollway.request import ChatRequest, Message
from tollway.routing.policy import Candidate

T = 1_800_000_000.0
OFFER = "acme/gpt"


def secret(size: int) -> bytes:
    return b"k" * size


def sticky(most: int = CONVERSATIONS_MAX) -> Sticky:
    return Sticky(secret, most)


def chat(*said: str, system: str = "Be brief.", model: str = "gpt", user_id: str | None = None, **fields: object):
    messages = [Message("system", system)] if system else []
    for turn, text in enumerate(said):
        messages.append(Message("assistant" if turn % 2 else "user", text))
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    return ChatRequest(model, tuple(messages), raw, user_id=user_id)


def key(asked: ChatRequest, workspace: str = "w1", **named: str) -> bytes:
    return sticky().conversation(workspace, asked, **named).key


def test_later_turns_are_the_same_conversation() -> None:
    first = sticky().conversation("w1", chat("Hello"))
    later = sticky().conversation("w1", chat("Hello", "Hi!", "And now?"))
    assert first == later
    assert not first.is_named
    assert len(first.key) == 16


@pytest.mark.parametrize(
    ("other", "workspace"),
    [
        (chat("Hello"), "w2"),
        (chat("Hello!"), "w1"),
        (chat("Hello", system="Be long."), "w1"),
        (chat("Hello", system=""), "w1"),
        (chat("Hello", model="mini"), "w1"),
        (chat("Hello", user_id="u1"), "w1"),
    ],
)
def test_what_makes_another_conversation(other, workspace) -> None:
    assert key(other, workspace) != key(chat("Hello"))


def test_a_name_decides_alone() -> None:
    for named in ({"conversation_id": "c1"}, {"session": "c1"}):
        one = sticky().conversation("w1", chat("Hello"), **named)
        two = sticky().conversation("w1", chat("Something else", system="x"), **named)
        assert one == two
        assert one.is_named
    for field in ("user", "prompt_cache_key"):
        one = sticky().conversation("w1", chat("Hello", **{field: "c1"}))
        two = sticky().conversation("w1", chat("Something else", **{field: "c1"}))
        assert one == two
        assert one.is_named
        assert one.key != key(chat("Hello", **{field: "c2"}))
    assert key(chat("a"), conversation_id="c1") != key(chat("a"), "w2", conversation_id="c1")


def test_the_nearest_name_wins() -> None:
    everything = chat("Hello", user_id="u", user="person", prompt_cache_key="cache")
    assert key(everything, conversation_id="c", session="s") == key(chat("x"), conversation_id="c")
    assert key(everything, session="s") == key(chat("x"), session="s")
    assert key(everything) == key(chat("x", user_id="u"))
    assert key(chat("Hello", user="person", prompt_cache_key="cache")) == key(chat("x", prompt_cache_key="cache"))


@pytest.mark.parametrize("value", ["", None, 7, {"a": 1}])
def test_a_name_that_is_none_is_passed_over(value) -> None:
    assert key(chat("Hello", user=value)) == key(chat("Hello"))


def test_only_the_beginning_is_read_and_how_long_it_is() -> None:
    assert key(chat("a" * TEXT_MAX + "b")) == key(chat("a" * TEXT_MAX + "c"))
    assert key(chat("a" * TEXT_MAX + "b")) != key(chat("a" * TEXT_MAX + "bb"))


def test_parts_and_strange_messages() -> None:
    parts = ChatRequest(
        "gpt", (Message("developer", "Be brief."), Message("user", [{"type": "image_url"}, {"text": "Hello"}])), {}
    )
    assert key(parts) == key(chat("Hello"))
    for messages in ((), (Message("assistant", "x"),), (Message("user"),), (Message("user", [{"text": 3}]),)):
        assert len(key(ChatRequest("gpt", messages, {}))) == 16
    assert len(key(chat("\ud800"), session="\ud800")) == 16


def test_nothing_of_the_text_is_kept_and_the_secret_matters() -> None:
    one, other = Sticky(secret), Sticky(lambda size: b"o" * size)
    asked = chat("Hello")
    assert one.conversation("w1", asked).key != other.conversation("w1", asked).key
    head = "w1\0gpt\x009\x005\0Be brief.\0Hello"
    assert one.conversation("w1", asked).key == hashlib.blake2b(head.encode(), key=b"k" * 32, digest_size=16).digest()
    one.learn(one.conversation("w1", asked).key, OFFER, 1, False, T)
    assert "Hello" not in repr(vars(one))


def test_it_is_learnt_from_a_cache_that_paid_or_from_a_name() -> None:
    book = sticky()
    book.learn(b"a", OFFER, 0, False, T)
    assert book.offer(b"a", T) is None
    book.learn(b"a", OFFER, 1, False, T)
    book.learn(b"b", OFFER, 0, True, T)
    assert (book.offer(b"a", T), book.offer(b"b", T), book.offer(b"c", T)) == (OFFER, OFFER, None)


def test_it_ends_after_ten_idle_minutes() -> None:
    book = sticky()
    book.learn(b"a", OFFER, 1, False, T)
    assert book.offer(b"a", T + IDLE_S - 0.001) == OFFER
    book.learn(b"a", OFFER, 0, False, T + 300)
    assert book.offer(b"a", T + IDLE_S) is None
    assert len(book) == 0
    book.learn(b"a", OFFER, 1, False, T)
    book.learn(b"a", OFFER, 9, False, T + 300)
    assert book.offer(b"a", T + 300 + IDLE_S - 0.001) == OFFER


def test_an_answer_from_elsewhere_without_a_cache_frees_it() -> None:
    book = sticky()
    book.learn(b"a", OFFER, 1, False, T)
    book.learn(b"a", OFFER, 0, False, T)
    assert book.offer(b"a", T) == OFFER
    book.learn(b"a", "beta/gpt", 0, False, T)
    assert book.offer(b"a", T) is None


def candidates(*ids: str) -> tuple[Candidate, ...]:
    """`<provider>/<model>` each."""
    return tuple(Candidate(offer(provider(one.split("/")[0]), one.split("/")[1]), priced(one, 1, 1)) for one in ids)


@pytest.mark.parametrize(
    ("kept", "order"),
    [
        ("a/gpt", ["a/gpt", "b/gpt", "c/gpt", "a/mini"]),
        ("c/gpt", ["c/gpt", "a/gpt", "b/gpt", "a/mini"]),
        ("a/mini", ["a/gpt", "b/gpt", "c/gpt", "a/mini"]),
        ("gone/gpt", ["a/gpt", "b/gpt", "c/gpt", "a/mini"]),
        ("", ["a/gpt", "b/gpt", "c/gpt", "a/mini"]),
    ],
)
def test_its_offer_comes_first_among_those_of_the_model_that_was_chosen(kept, order) -> None:
    book = sticky()
    if kept:
        book.learn(b"k", kept, 1, False, T)
    found = book.first(b"k", candidates("a/gpt", "b/gpt", "c/gpt", "a/mini"), T)
    assert [one.offer.id for one in found] == order


def test_a_newer_answer_moves_it_and_a_failure_ends_it() -> None:
    book = sticky()
    book.learn(b"a", OFFER, 1, False, T)
    book.learn(b"a", "beta/gpt", 1, False, T)
    assert book.offer(b"a", T) == "beta/gpt"
    book.forget(b"a")
    book.forget(b"a")
    assert book.offer(b"a", T) is None


def test_the_least_recent_goes_first() -> None:
    book = sticky(2)
    for name in (b"a", b"b", b"a", b"c"):
        book.learn(name, OFFER, 1, False, T)
    assert len(book) == 2
    assert (book.offer(b"a", T), book.offer(b"b", T), book.offer(b"c", T)) == (OFFER, None, OFFER)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(0, 3)), max_size=100))
def test_it_never_grows_beyond_its_bound(steps) -> None:
    book, now = sticky(8), T
    for name, named, cached in steps:
        now += 60
        book.learn(bytes([name]), OFFER, cached, named, now)
        assert len(book) <= 8
        assert (book.offer(bytes([name]), now) == OFFER) or not (named or cached)


@given(st.text(max_size=50), st.text(max_size=50))
def test_draws_are_shares_and_repeat(system, said) -> None:
    one = sticky().conversation("w1", chat(said, system=system))
    assert 0 <= one.draw < 1
    assert one.draw == sticky().conversation("w1", chat(said, system=system)).draw


def test_draws_are_spread() -> None:
    draws = [sticky().conversation("w1", chat(f"Question {n}")).draw for n in range(1_000)]
    assert 420 < sum(draw < 0.5 for draw in draws) < 580
    assert len(set(draws)) == 1_000


def test_a_key_costs_little() -> None:
    """5 us is the goal, measured at 4.6 on two busy cores; the bound here is for a machine that has a bad day."""
    book, best = sticky(), 1.0
    asked = chat("a" * 400, "b" * 400, "c" * 400, system="You are a helpful assistant. " * 20)
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(500):
            book.conversation("w1", asked)
        best = min(best, (time.perf_counter() - began) / 500)
    assert best < 50e-6
