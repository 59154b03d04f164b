"""`tollway train` and `tollway bench routing`: what they say when something is missing."""

import pytest

pytest.importorskip("numpy", reason="training needs numpy: pip install 'tollway[routing]'")


@pytest.mark.parametrize("command", [("train",), ("bench", "routing")])
def test_missing_data_is_named_with_the_way_out(tollway, tmp_path, command):
    ran = tollway(*command, "--data", str(tmp_path / "nowhere"))
    assert ran.code == 2
    assert "uncommonroute_tier_train.jsonl" in ran.err
    assert "TOLLWAY_ROUTING_DATA" in ran.err
