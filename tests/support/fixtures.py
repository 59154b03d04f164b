"""The upstreams as fixtures, started once per test session and only when a test asks for one."""

from collections.abc import Iterator

import pytest

from support import upstreams
from support.gateway import Gateway
from support.upstreams import FaultUpstream, Upstream


@pytest.fixture(scope="session")
def aimock() -> Iterator[Upstream]:
    """OpenAI, Anthropic and Gemini from the fixture files in support/aimock."""
    with upstreams.aimock() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def llmock() -> Iterator[Upstream]:
    """The second simulator, without faults. With options, use `support.upstreams.llmock(...)` in the test."""
    with upstreams.llmock() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def real_model() -> Iterator[Upstream]:
    """SmolLM2-135M; model id `support.upstreams.MODEL_ID`."""
    with upstreams.real_model() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def fault_server() -> Iterator[FaultUpstream]:
    """The upstream that fails on demand; use `faulty`, which starts from a clean journal."""
    with upstreams.faulty() as upstream:
        yield upstream


@pytest.fixture
def faulty(fault_server: FaultUpstream) -> FaultUpstream:
    """The upstream that fails on demand, its journal and program empty."""
    fault_server.reset()
    return fault_server


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with no provider key: the `simulated/*` models only."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running
