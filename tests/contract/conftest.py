"""One gateway for the whole folder, with every upstream behind it: two simulators, the faulty one and the real model."""

from collections.abc import Iterator

import openai
import pytest

from contract.talk import client, heal
from support.gateway import Gateway
from support.upstreams import FaultUpstream, Upstream

FAULTS = (
    "ok",
    "fault-status-400",
    "fault-status-401",
    "fault-status-404",
    "fault-status-429",
    "fault-status-500",
    "fault-status-503",
    "fault-reset-0",
    "fault-hang",
    "fault-malformed",
    "fault-error-frame-mid",
    "fault-reset-mid",
    "fault-hang-mid",
    "claude-sonnet-4-5",
    "claude-opus-4-1",
    "gemini-2.5-flash",
)
PRICES = 'prices = { input = "3", cache_read = "0.3", output = "15" }'


def provider(name: str, dialect: str, url: str, models: tuple[str, ...], prices: str = PRICES) -> str:
    """A `[providers.x]` section of tollway.toml."""
    head = f'[providers.{name}]\nurl = "{url}"\nkey = "not-a-secret"\ndialect = "{dialect}"\n'
    rows = [f'[[providers.{name}.models]]\nid = "{model}"\n{prices}\n' for model in models]
    return head + "".join(rows)


@pytest.fixture(autouse=True)
def healed(request: pytest.FixtureRequest) -> None:
    """Offers that fail in one test are asked again in the next."""
    if "house" in request.fixturenames:
        heal(request.getfixturevalue("house"))


@pytest.fixture(scope="session")
def house(
    tmp_path_factory: pytest.TempPathFactory,
    aimock: Upstream,
    llmock: Upstream,
    fault_server: FaultUpstream,
    real_model: Upstream,
) -> Iterator[Gateway]:
    """The gateway: built-in providers lead to aimock, `local` to the real model, `llmock-*` and `fault-*` to the others.

    OpenRouter offers the same models as their makers do, at the same prices; aimock speaks its dialect of OpenAI's.
    """
    toml = '[money]\nopening_grant_usd = "10000"\n' + "".join(
        [
            provider("llmock-openai", "openai", llmock.openai, ("gpt-4o",)),
            provider("llmock-anthropic", "anthropic", llmock.anthropic, ("claude-sonnet-4-5",)),
            provider("llmock-gemini", "gemini", llmock.gemini, ("gemini-2.5-flash",)),
            provider("fault-openai", "openai", fault_server.openai, FAULTS),
            provider("fault-anthropic", "anthropic", fault_server.anthropic, FAULTS),
            provider("fault-gemini", "gemini", fault_server.gemini, FAULTS),
        ]
    )
    environment = {
        "OPENAI_API_KEY": "sk-simulated",
        "OPENAI_BASE_URL": aimock.openai,
        "ANTHROPIC_API_KEY": "sk-ant-simulated",
        "ANTHROPIC_BASE_URL": aimock.anthropic,
        "GEMINI_API_KEY": "simulated",
        "GEMINI_BASE_URL": aimock.gemini,
        "OPENROUTER_API_KEY": "sk-or-simulated",
        "OPENROUTER_BASE_URL": f"{aimock.url}/api/v1",
        "TOLLWAY_LOCAL_URL": real_model.openai,
    }
    with Gateway(tmp_path_factory.mktemp("house"), toml=toml, **environment) as running:
        yield running


@pytest.fixture(scope="session")
def sdk(house: Gateway) -> Iterator[openai.OpenAI]:
    """The official client on that gateway."""
    with client(house) as made:
        yield made
