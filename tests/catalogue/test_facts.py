"""catalogue/facts.py: what is known about models beyond their price."""

from tollway.catalogue.facts import Fact, gathered
from tollway.catalogue.load import FACTS, PROVIDERS, read_facts
from tollway.catalogue.wiring import read_wiring


def test_the_packaged_facts():
    facts = read_facts(FACTS)
    assert facts["openai/gpt-4o"] == Fact(
        "openai/gpt-4o", 128_000, 16_384, ("text", "image", "file"), ("text",), ("tools", "json_schema", "vision")
    )
    assert facts["google/gemini-2.5-flash"].output == 65_536
    assert len(facts) > 400


def test_a_published_file_is_read_by_each_providers_prefix():
    wirings = [read_wiring(PROVIDERS / f"{name}.yml", {}) for name in ("openai", "groq", "google")]
    document = {
        "m": {
            "litellm_provider": "openai",
            "mode": "chat",
            "max_input_tokens": 9,
            "max_output_tokens": 5,
            "supports_vision": True,
        },
        "groq/m": {
            "litellm_provider": "groq",
            "mode": "chat",
            "supports_function_calling": True,
            "max_output_tokens": "many",
        },
        "gemini/m": {"litellm_provider": "gemini", "mode": "embedding", "max_output_tokens": 5},
        "n": {"litellm_provider": "someone", "mode": "chat", "max_input_tokens": 9},
        "o": {
            "litellm_provider": "openai",
            "supported_output_modalities": ["text", "image"],
            "supports_audio_output": True,
        },
    }
    names = {"openai": ["m", "n", "o"], "groq": ["m"], "google": ["m"]}
    assert gathered(document, wirings, names) == [
        Fact("google/m", reads=("text",), writes=("embedding",)),
        Fact("groq/m", reads=("text",), writes=("text",), can=("tools",)),
        Fact("openai/m", 9, 5, ("text", "image"), ("text",), ("vision",)),
        Fact("openai/o", reads=("text",), writes=("text", "image", "audio")),
    ]
