"""Expected quality is a figure drawn towards the model's mean."""

import pytest

from tollway.routing.quality_table import predicted
from tollway.routing.standing import Standing


def test_a_figure_is_drawn_towards_the_mean():
    standing = Standing("standard", {"coding": 0.9, "math": 0.5})
    assert predicted(standing, "coding") == pytest.approx(0.85)
    assert predicted(standing, "math") == pytest.approx(0.55)
    assert predicted(standing, "writing") == pytest.approx(0.7)
    assert predicted(Standing("nano", {}), "writing") == 0.5
