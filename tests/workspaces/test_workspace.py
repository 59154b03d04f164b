"""Names of organizations, workspaces and keys."""

import pytest

from tollway.errors import ValidationFailed
from tollway.workspaces.workspace import checked_name


def test_a_name_is_trimmed() -> None:
    assert checked_name("  Zürich, 北京 ", "workspace") == "Zürich, 北京"


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * 101, "a\x00b"])
def test_what_is_no_name(text) -> None:
    with pytest.raises(ValidationFailed) as refused:
        checked_name(text, "workspace")
    assert refused.value.param == "name"
