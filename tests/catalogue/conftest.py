"""Fixtures of the catalogue's tests."""

import pytest

from tollway.catalogue.load import load_catalogue, read_wirings

NOW = 1_795_564_800
"""2026-11-25 00:00 UTC, the day after the packaged prices were read."""


@pytest.fixture(scope="session")
def every_key():
    """An environment in which every packaged provider has what it needs."""
    environment = {wiring.provider.wire.secret: "k-1" for wiring in read_wirings({}) if wiring.provider.wire.secret}
    environment |= {
        name: f"http://127.0.0.1:9/{name.lower()}"
        for name in ("AZURE_OPENAI_ENDPOINT", "OLLAMA_BASE_URL", "VLLM_BASE_URL", "TOLLWAY_LOCAL_URL")
    }
    return environment


@pytest.fixture(scope="session")
def catalogue(every_key):
    """The packaged catalogue with every provider usable."""
    return load_catalogue(environment=every_key)


@pytest.fixture
def now():
    return NOW
