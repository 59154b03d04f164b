"""Upper bounds for what a prompt carries besides text: images, audio, video, files.

No provider's page gives one formula, so each bound is the dearest of those that were read, and none depends on fetching
or decoding anything. They size a hold and nothing else: what is charged is what the provider reports.
Sources, read 2026-11-24:
- https://developers.openai.com/docs/guides/vision (tiles of 512 px, patches of 32 px, `detail`)
- https://platform.claude.com/docs/en/build-with-claude/vision (width x height / 750, scaled down to about 4,784)
- https://ai.google.dev/gemini-api/docs/tokens (258 per tile of 768 px, or 1,120; per second: audio 32, video 263)
"""

from tollway.catalogue.units import INPUT_AUDIO, INPUT_IMAGE, Unit
from tollway.jsontypes import JSON

IMAGE_LOW = 700
"""`detail: low` where it exists: 512 px square, 256 patches of 2.46 tokens."""
IMAGE_HIGH = 4_096
"""`detail: high`: 8 tiles (1,445), 2,500 patches x 1.2 (3,000) or 1,536 patches x 2.46 (3,779)."""
IMAGE_AUTO = 16_384
"""`detail: auto`, `original` or none: the newest models read the picture as it is; 12 megapixels were 14,364 tokens."""
IMAGE_ANY_DETAIL = 4_800
"""At providers that know no `detail`: 4,784, or 16 tiles of 258."""
TILE_FACTOR_MODEL = "4o-mini"
"""The one family that counts 33.3 tokens for each token of its tile formula, to cost as much as its larger sister."""
IMAGE_TILE_FACTOR_LOW = 2_833
IMAGE_TILE_FACTOR = 48_169
"""2,833 + 8 tiles x 5,667."""

AUDIO_PER_S = 32
VIDEO_PER_S = 300
WAV_BYTES_PER_S = 8_000
"""The least that uncompressed speech takes: 8 kHz, 8 bits, one channel."""
COMPRESSED_BYTES_PER_S = 1_000
"""Eight kbit/s, the lowest rate of MP3; nobody can be understood below."""
VIDEO_BYTES_PER_S = 5_000
FILE_EXTRA = 8_192
"""On top of one token per byte: a page is read as text and as a picture too."""
BY_REFERENCE = 100_000
"""A file, a video or a sound that the provider holds or fetches: its size is not in the request."""

_WAVES = frozenset({"wav", "pcm", "pcm16"})


def bound_media(part: dict[str, JSON], *, has_detail: bool, has_tile_factor: bool) -> tuple[int, Unit | None] | None:
    """(tokens at most, extra unit) of a content part that is not text; None when it is none that we know.

    Args:
        part: `image_url`, `input_image`, `input_audio`, `file`, `input_file` or `video_url` of the OpenAI shape.
        has_detail: the provider honours `detail`.
        has_tile_factor: the model is of the TILE_FACTOR_MODEL family.
    """
    match part.get("type"):
        case "image_url" | "input_image":
            return _image(part, has_detail=has_detail, has_tile_factor=has_tile_factor), INPUT_IMAGE
        case "input_audio":
            return _audio(_inner(part, "input_audio")), INPUT_AUDIO
        case "audio_url":
            return _carried(_inner(part, "audio_url").get("url"), AUDIO_PER_S, COMPRESSED_BYTES_PER_S), INPUT_AUDIO
        case "video_url" | "input_video":
            inner = _inner(part, "video_url")
            return _carried(inner.get("url"), VIDEO_PER_S, VIDEO_BYTES_PER_S), INPUT_IMAGE
        case "file" | "input_file":
            return _file(_inner(part, "file")), None
        case _:
            return None


def _inner(part: dict[str, JSON], name: str) -> dict[str, JSON]:
    inner = part.get(name)
    return inner if isinstance(inner, dict) else {"url": inner, **part}


def _image(part: dict[str, JSON], *, has_detail: bool, has_tile_factor: bool) -> int:
    is_low = _inner(part, "image_url").get("detail") == "low"
    if has_tile_factor:
        return IMAGE_TILE_FACTOR_LOW if is_low else IMAGE_TILE_FACTOR
    if not has_detail:
        return IMAGE_ANY_DETAIL
    if is_low:
        return IMAGE_LOW
    return IMAGE_HIGH if _inner(part, "image_url").get("detail") == "high" else IMAGE_AUTO


def _audio(audio: dict[str, JSON]) -> int:
    data = audio.get("data")
    if not isinstance(data, str):
        return BY_REFERENCE
    slowest = WAV_BYTES_PER_S if audio.get("format") in _WAVES else COMPRESSED_BYTES_PER_S
    return _decoded_bytes(data) * AUDIO_PER_S // slowest + AUDIO_PER_S


def _carried(url: JSON, tokens_per_s: int, bytes_per_s: int) -> int:
    if not isinstance(url, str) or not url.startswith("data:"):
        return BY_REFERENCE
    return _decoded_bytes(url) * tokens_per_s // bytes_per_s + tokens_per_s


def _file(file: dict[str, JSON]) -> int:
    data = file.get("file_data")
    return FILE_EXTRA + _decoded_bytes(data) if isinstance(data, str) else BY_REFERENCE


def _decoded_bytes(base64_text: str) -> int:
    return len(base64_text) * 3 // 4
