"""Reading a request: markers, scripts, needs, history; and the rules that classify it."""

import msgspec
import pytest

from routing.world import ask
from tollway.request import Message
from tollway.routing.rules import RulesClassifier
from tollway.routing.task import HEAD, TAIL, cut, read_markers, read_scripts, read_task


def raw(value):
    return msgspec.Raw(msgspec.json.encode(value))


@pytest.mark.parametrize(
    ("text", "markers"),
    [
        ("```python\ndef f(): pass\n```", {"code", "fence"}),
        ("SELECT name FROM users", {"sql"}),
        ("Prove that sqrt(2) is irrational", {"proof", "math"}),
        ("Beweise, dass Wurzel 2 irrational ist", {"proof"}),
        ("请证明根号2是无理数", {"proof"}),
        ("докажите теорему", {"proof"}),
        ("Draft a contract clause on liability", {"legal", "write"}),
        ("Which dosage for this patient?", {"medical", "factual", "questions"}),
        ("1. read\n2. sort\n3. write", {"steps"}),
        ("It must be exactly three lines, without rhyme", {"constraints"}),
        ("Solve $x^2 = 2$", {"math"}),
    ],
)
def test_markers(text, markers):
    assert markers <= read_markers(text).keys()


def test_nothing_stands_out_of_plain_talk():
    assert read_markers("the cat sat on a mat") == {}


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("hello", ("latin",)),
        ("привет", ("cyrillic",)),
        ("hello мир", ("latin", "cyrillic")),
        ("こんにちは世界", ("kana", "han")),
        ("안녕", ("hangul",)),
        ("مرحبا", ("arabic",)),
        ("¿Qué?", ("latin",)),
        ("…", ("latin",)),
    ],
)
def test_scripts(text, scripts):
    assert read_scripts(text) == scripts


def test_needs_of_parts_tools_and_schema():
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "x"}}]
    fields = {
        "tools": raw([{"type": "function", "function": {"name": "a"}}] * 2),
        "response_format": raw({"type": "json_schema", "json_schema": {"name": "x"}}),
    }
    task = read_task(ask(messages=(Message("user", parts),), fields=fields), 9)
    assert task.needs == {"vision", "tools", "json_schema"}
    assert (task.tools, task.text) == (2, "what is this?")
    assert read_task(ask(messages=(Message("user", [{"type": "input_audio"}, {"type": "file"}]),)), 9).needs == {
        "audio",
        "file",
    }


def test_an_answer_is_expected_within_the_named_bound():
    assert read_task(ask("Write a report", max_tokens=20), 9).output_tokens == 20
    assert read_task(ask("Write a report", max_tokens=20, choices=3), 9).output_tokens == 60
    assert read_task(ask("Write a report"), 9).output_tokens > read_task(ask("hi"), 9).output_tokens


def test_only_the_two_ends_are_read():
    text = "a" * 5_000 + "b" * 5_000
    assert cut(text) == "a" * HEAD + "\n" + "b" * TAIL
    assert cut("short") == "short"
    assert read_task(ask(text), 9).characters == 10_000


TURN = (Message("user", "Write a python function: ```def f()```"), Message("assistant", "```python\ndef f(): ...\n```"))


@pytest.mark.parametrize(
    ("messages", "remembered", "floor"),
    [
        ((Message("user", "hi"),), "", ""),
        ((*TURN, Message("user", "thanks")), "", "standard"),
        ((Message("user", "look"), Message("assistant", None, tool_calls=[{"id": "1"}]), Message("tool", "42"), Message("user", "ok")), "", "standard"),
        (tuple(Message("user" if at % 2 == 0 else "assistant", "hm") for at in range(15)), "", "light"),
        ((Message("user", "hi"), Message("assistant", "hello"), Message("user", "x" * 20_000)), "", "light"),
        ((Message("user", "hi"),), "complex", "complex"),
        ((*TURN, Message("user", "thanks")), "light", "standard"),
    ],
)  # fmt: skip
def test_a_conversation_keeps_its_tier(messages, remembered, floor):
    assert read_task(ask(messages=messages), 9, remembered).history_floor == floor


def classified(prompt, **more):
    return RulesClassifier().classify(read_task(ask(prompt, **more), 20))


@pytest.mark.parametrize(
    ("prompt", "tiers", "category"),
    [
        ("What time is it in Tokyo?", {"nano"}, "factual"),
        ("Summarize this email", {"simple", "light"}, "summarizing"),
        ("Debug this Python function", {"standard"}, "debugging"),
        ("Prove sqrt(2) is irrational", {"standard", "complex"}, "proof"),
        ("Write a legal brief", {"complex"}, "longform"),
    ],
)
def test_the_five_prompts_of_seed_003_by_rules(prompt, tiers, category):
    verdict = classified(prompt)
    assert verdict.tier in tiers
    assert verdict.category == category
    assert verdict.confidence >= 0.55, "sure enough to stay in its tier"
    assert verdict.method == "rules"
    assert verdict == classified(prompt)


def test_images_agents_and_scripts_have_their_category():
    parts = [{"type": "text", "text": "what?"}, {"type": "image_url"}]
    assert classified(None, messages=(Message("user", parts),)).category == "vision"
    tools = (Message("user", "look it up"), Message("tool", "42"))
    assert classified(None, messages=tools).category == "tool_use"
    assert classified("ดี").category == "multilingual"
