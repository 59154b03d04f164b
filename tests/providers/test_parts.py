"""Messages taken apart: every way the OpenAI shape says a part, in one form."""

import pytest

from tollway.errors import InvalidField
from tollway.jsontypes import JSON
from tollway.providers.parts import Part, data_url, list_of, object_of, parts_of, text_of, turns


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, []),
        ("hello", [Part("text", "c", "hello")]),
        ([], []),
        ([{"type": "text", "text": "a"}], [Part("text", "c[0]", "a")]),
        ([{"type": "refusal", "refusal": "no"}], [Part("text", "c[0]", "no")]),
        ([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}], [Part("text", "c[0]", "a", cache_control={"type": "ephemeral"})]),
        ([{"type": "image_url", "image_url": "https://a.example/b.PNG#top"}], [Part("image", "c[0].image_url", mime="image/png", url="https://a.example/b.PNG#top")]),
        ([{"type": "image_url", "image_url": {"url": "https://a.example/b", "detail": "high"}}], [Part("image", "c[0].image_url", url="https://a.example/b", detail="high")]),
        ([{"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAA"}}], [Part("image", "c[0].image_url", data="AAAA", mime="image/webp")]),
        ([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}], [Part("audio", "c[0].input_audio", data="AAAA", mime="audio/mp3")]),
        ([{"type": "file", "file": {"file_data": "https://a.example/b.pdf", "filename": "b"}}], [Part("file", "c[0].file", mime="application/pdf", url="https://a.example/b.pdf", name="b")]),
        ([{"type": "file", "file": {"file_id": "https://files.example/v1/files/7"}}], [Part("file", "c[0].file", url="https://files.example/v1/files/7")]),
        ([{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}], [Part("video", "c[0].video_url", data="AAAA", mime="video/mp4")]),
    ],
)  # fmt: skip
def test_parts(content: JSON, expected: list[Part]) -> None:
    assert parts_of(content, "c") == expected


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (3, "c"),
        ({"type": "text"}, "c"),
        ([3], "c[0]"),
        ([{"type": "text"}], "c[0].text"),
        ([{"type": "text", "text": 3}], "c[0].text"),
        ([{}], "c[0]"),
        ([{"type": "image_url"}], "c[0].image_url"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64"}}], "c[0].image_url"),
        ([{"type": "input_audio", "input_audio": {"data": "AAAA"}}], "c[0].input_audio"),
    ],
)
def test_what_is_no_part_is_named(content: JSON, param: str) -> None:
    with pytest.raises(InvalidField) as raised:
        parts_of(content, "c")
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,AAAA", ("image/png", "AAAA")),
        ("data:IMAGE/PNG;name=a;base64,AAAA", ("image/png", "AAAA")),
        ("data:text/plain;charset=utf-8,a%20b%C3%A9", ("text/plain", "YSBiw6k=")),
        ("data:,a", ("text/plain", "YQ==")),
    ],
)
def test_data_urls(url: str, expected: tuple[str, str]) -> None:
    assert data_url(url, "c") == expected


def test_turns() -> None:
    found = turns(
        [
            {"role": "developer", "content": "rule"},
            {"role": "assistant", "content": None, "refusal": "no", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
        ]
    )  # fmt: skip
    assert [turn.role for turn in found] == ["system", "assistant", "tool"]
    assert [part.text for turn in found for part in turn.parts] == ["rule", "no", "1"]
    assert [(call.id, call.name, call.arguments) for call in found[1].calls] == [("a", "f", {"x": 1})]


def test_accessors_narrow() -> None:
    assert (text_of("a"), text_of(3), text_of(None)) == ("a", "", "")
    assert (object_of({"a": 1}), object_of([]), list_of([1]), list_of("a")) == ({"a": 1}, {}, [1], [])


def test_a_text_file_is_read_as_text() -> None:
    assert Part("file", "c", data="w6k=").plain() == "é"
    for data in ("/w==", "not base64!"):
        with pytest.raises(InvalidField, match="`c` is not base64"):
            Part("file", "c", data=data).plain()
