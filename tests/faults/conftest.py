"""The rig as a fixture: one gateway for the whole folder, with short timeouts and no retries."""

from collections.abc import Iterator

import pytest

from faults.rig import FAST_TIMEOUTS, Rig, toml
from support.gateway import Gateway
from support.upstreams import FaultUpstream


@pytest.fixture(scope="session")
def running(fault_server: FaultUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The gateway; its ledger is proven when the last test has ended."""
    with Gateway(tmp_path_factory.mktemp("faults"), toml(fault_server, settings=FAST_TIMEOUTS)) as gateway:
        rig = Rig(gateway, fault_server)
        yield rig
        rig.assert_settled()
        gateway.audit()


@pytest.fixture
def rig(running: Rig, faulty: FaultUpstream) -> Rig:
    """The gateway, with the upstream's journal and program empty."""
    return running
