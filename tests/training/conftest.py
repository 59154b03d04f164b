"""Training is tested where numpy is installed; on the real data where that lies beside the project."""

import os
import pathlib

import pytest

pytest.importorskip("numpy", reason="training needs numpy: pip install 'tollway[routing]'")
DATA = pathlib.Path(
    os.environ.get("TOLLWAY_ROUTING_DATA") or pathlib.Path(__file__).parents[2] / ".." / "shared" / "data" / "routing"
)


@pytest.fixture
def data():
    if not DATA.is_dir():
        pytest.skip(f"the routing data is not in {DATA}; name its folder with TOLLWAY_ROUTING_DATA")
    return DATA
