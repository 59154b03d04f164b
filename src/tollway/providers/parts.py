"""The messages of a chat request taken apart: parts, tool calls and results in one form for every translating dialect.

The OpenAI shape says the same thing in several ways (text or a list of parts, a data URL or a link); a dialect
translates from the one form here. Paths in errors are the caller's: `messages[3].content[0].image_url`.
Source: https://platform.openai.com/docs/api-reference/chat/create (read 2026-11-24).
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

import msgspec

from tollway.errors import InvalidField, UnsupportedField
from tollway.jsontypes import JSON, JSONObject

PartKind = Literal["text", "image", "audio", "file", "video"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message.

    where: its path in the request. text: of a text part. data: base64 of `mime`, or else `url`, of any other; a `url`
    is for the provider to fetch, never for us. name: a file's name. detail: an image's, `auto` if not said.
    cache_control: the caller's mark that a prompt cache may end here, passed on as it is.
    """

    kind: PartKind
    where: str
    text: str = ""
    data: str = ""
    mime: str = ""
    url: str = ""
    name: str = ""
    detail: str = "auto"
    cache_control: JSONObject | None = None

    def plain(self) -> str:
        """The data of a text file as text. Raises InvalidField when it is not UTF-8."""
        try:
            return b64decode(self.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidField(f"`{self.where}` is not base64 of UTF-8 text", param=self.where) from None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call of an assistant message. extra: its `extra_content`, where signatures of thinking travel."""

    id: str
    name: str
    arguments: JSONObject
    extra: JSONObject
    where: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. fields: the whole of it. role: `system` (developer too), `user`, `assistant` or `tool`."""

    role: str
    where: str
    fields: JSONObject
    parts: tuple[Part, ...]
    calls: tuple[ToolCall, ...] = ()


def text_of(value: JSON) -> str:
    """The string that a value is, "" if it is none."""
    return value if isinstance(value, str) else ""


def object_of(value: JSON) -> JSONObject:
    """The object that a value is, an empty one if it is none."""
    return value if isinstance(value, dict) else {}


def list_of(value: JSON) -> list[JSON]:
    """The list that a value is, an empty one if it is none."""
    return value if isinstance(value, list) else []


_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


def turns(messages: JSON) -> list[Turn]:
    """The messages of a request.

    Raises:
        InvalidField: a message is not of the OpenAI shape. UnsupportedField: one has what no translation carries.
    """
    found = list[Turn]()
    for number, message in enumerate(list_of(messages)):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            raise InvalidField(f"`{where}` is not an object", param=where)
        role = _ROLES.get(text_of(message.get("role")))
        if role is None:
            raise InvalidField(
                f"`{where}.role` is {message.get('role')!r}; it is one of {', '.join(_ROLES)}", param=f"{where}.role"
            )
        for name in ("audio", "function_call"):
            if message.get(name) is not None:
                where += f".{name}"
                raise UnsupportedField(f"`{where}` cannot be carried to this model; send `tool_calls`", param=where)
        parts = parts_of(message.get("content"), f"{where}.content")
        if refusal := text_of(message.get("refusal")):
            parts.append(Part("text", f"{where}.refusal", refusal))
        found.append(Turn(role, where, message, tuple(parts), tuple(_calls(message, where))))
    _refuse_names(found)
    return found


def _refuse_names(found: list[Turn]) -> None:
    # A name tells participants of one role apart. Where there is one per role nothing is lost without it.
    names = dict[str, JSON]()
    for turn in found:
        name = turn.fields.get("name")
        if turn.role in {"user", "assistant"} and name is not None and names.setdefault(turn.role, name) != name:
            where = f"{turn.where}.name"
            raise UnsupportedField(
                f"`{where}` cannot be carried to this model, which has one {turn.role} only; put names into the text",
                param=where,
            )


def parts_of(content: JSON, where: str) -> list[Part]:
    """The parts of a message's content: text, a list of parts, or nothing. Raises InvalidField."""
    if content is None:
        return []
    if isinstance(content, str):
        return [Part("text", where, content)]
    if not isinstance(content, list):
        raise InvalidField(f"`{where}` is neither text nor a list of parts", param=where)
    return [_part(part, f"{where}[{number}]") for number, part in enumerate(content)]


def _part(part: JSON, where: str) -> Part:
    kind = text_of(part.get("type")) if isinstance(part, dict) else ""
    read = _READERS.get(kind)
    if not isinstance(part, dict) or read is None:
        raise InvalidField(f"`{where}` is not a part of a known type; one of {', '.join(_READERS)}", param=where)
    return read(part, where, part["cache_control"] if isinstance(part.get("cache_control"), dict) else None)


def _text(part: JSONObject, where: str, cache: JSON) -> Part:
    text = part.get("refusal" if part.get("type") == "refusal" else "text")
    if not isinstance(text, str):
        raise InvalidField(f"`{where}.text` is not text", param=f"{where}.text")
    return Part("text", where, text, cache_control=object_of(cache) or None)


def _image(part: JSONObject, where: str, cache: JSON) -> Part:
    image = part.get("image_url")
    where = f"{where}.image_url"
    url = image if isinstance(image, str) else text_of(object_of(image).get("url"))
    mime, data = _linked(url, where)
    detail = text_of(object_of(image).get("detail")) or "auto"
    return Part("image", where, "", data, mime, "" if data else url, "", detail, object_of(cache) or None)


def _video(part: JSONObject, where: str, cache: JSON) -> Part:
    where = f"{where}.video_url"
    url = text_of(object_of(part.get("video_url")).get("url"))
    mime, data = _linked(url, where)
    return Part("video", where, "", data, mime, "" if data else url, cache_control=object_of(cache) or None)


def _audio(part: JSONObject, where: str, cache: JSON) -> Part:
    where = f"{where}.input_audio"
    audio = object_of(part.get("input_audio"))
    data, form = text_of(audio.get("data")), text_of(audio.get("format"))
    if not data or not form:
        raise InvalidField(f"`{where}` needs `data` (base64) and `format`", param=where)
    return Part("audio", where, "", data, f"audio/{form}", cache_control=object_of(cache) or None)


def _file(part: JSONObject, where: str, cache: JSON) -> Part:
    where = f"{where}.file"
    file = object_of(part.get("file"))
    # `file_data` is a data URL; some clients put a link there, and some providers' file ids are links.
    url = text_of(file.get("file_data")) or text_of(file.get("file_id"))
    if not url.startswith(("data:", "http://", "https://", "gs://")):
        raise UnsupportedField(
            f"`{where}` must have its content in `file_data`; ids of uploaded files belong to another provider",
            param=where,
        )
    mime, data = _linked(url, where)
    name = text_of(file.get("filename"))
    return Part("file", where, "", data, mime, "" if data else url, name, cache_control=object_of(cache) or None)


_READERS: dict[str, Callable[[JSONObject, str, JSON], Part]] = {
    "text": _text,
    "refusal": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "video_url": _video,
}

_MIME_BY_SUFFIX = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp",
    "heic": "image/heic", "heif": "image/heif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
    "html": "text/html", "csv": "text/csv", "mp3": "audio/mp3", "wav": "audio/wav", "ogg": "audio/ogg",
    "flac": "audio/flac", "mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "mpeg": "video/mpeg",
}  # fmt: skip


def _linked(url: str, where: str) -> tuple[str, str]:
    """(mime, base64) of a data URL; (mime as its name tells, "") of any other."""
    if url.startswith("data:"):
        return data_url(url, where)
    if "://" not in url:
        raise InvalidField(f"`{where}` has no URL; send `https://...` or `data:...;base64,...`", param=where)
    path = url.partition("?")[0].partition("#")[0]
    return _MIME_BY_SUFFIX.get(path.rpartition(".")[2].lower(), ""), ""


def data_url(url: str, where: str) -> tuple[str, str]:
    """(mime, base64) of a `data:` URL (RFC 2397); percent-encoded data becomes base64. Raises InvalidField."""
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma or not data:
        raise InvalidField(f"`{where}` is not a data URL; write `data:<type>;base64,<data>`", param=where)
    kind, *parameters = head.split(";")
    mime = kind.strip().lower() or "text/plain"
    if "base64" in parameters:
        return mime, data
    return mime, b64encode(unquote_to_bytes(data)).decode()


def _calls(message: JSONObject, where: str) -> list[ToolCall]:
    found = list[ToolCall]()
    for number, call in enumerate(list_of(message.get("tool_calls"))):
        here = f"{where}.tool_calls[{number}]"
        function = object_of(call).get("function")
        if not isinstance(call, dict) or not isinstance(function, dict):
            raise UnsupportedField(f"`{here}` is not a call of a function", param=here)
        name, text = text_of(function.get("name")), text_of(function.get("arguments"))
        try:
            arguments: JSON = msgspec.json.decode(text) if text.strip() else {}
        except msgspec.DecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            here += ".function.arguments"
            raise InvalidField(f"`{here}` is not the text of a JSON object", param=here)
        found.append(ToolCall(text_of(call.get("id")), name, arguments, object_of(call.get("extra_content")), here))
    return found
