"""How the model of a kept request was chosen."""

import pytest

from learning.shop import request


@pytest.mark.parametrize(
    ("asked", "tier", "mode"),
    [
        ("large", "", "direct"), ("auto", "nano", "auto"), ("auto", "", "auto"), ("auto:simple", "simple", "tier"),
        ("auto:floor", "nano", "auto"), ("our-own-name", "light", "auto"), ("automatic", "", "direct"), ("large:floor", "", "direct"),
    ],
)  # fmt: skip
def test_by_the_name_that_was_asked_for(asked, tier, mode) -> None:
    assert request(model_asked=asked, tier=tier).mode == mode
