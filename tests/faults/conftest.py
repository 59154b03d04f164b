"""The rig as a fixture: one gateway for the whole folder, with short timeouts and no retries."""

from collections.abc import Iterator

import pytest

from faults.rig import FAST_TIMEOUTS, STRICT, Rig, toml
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
        # Whatever happened to it, nothing was unexpected.
        assert "Traceback" not in gateway.log, gateway.process.tail(80)


@pytest.fixture
def rig(running: Rig, faulty: FaultUpstream) -> Rig:
    """The gateway, with the upstream's journal and program empty, and its offers well."""
    running.heal()
    return running


@pytest.fixture(scope="session")
def strict_running(fault_server: FaultUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A gateway with small bodies, small steps of a rolling hold, and comments every second."""
    with Gateway(tmp_path_factory.mktemp("strict"), toml(fault_server, settings=STRICT)) as gateway:
        rig = Rig(gateway, fault_server)
        yield rig
        rig.assert_settled()
        gateway.audit()


@pytest.fixture
def strict(strict_running: Rig, faulty: FaultUpstream) -> Rig:
    strict_running.heal()
    return strict_running
