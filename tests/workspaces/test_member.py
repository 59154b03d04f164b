"""Addresses and passwords as they may be."""

import pytest

from tollway.errors import ValidationFailed
from tollway.workspaces.member import checked_email, checked_password, email_key


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" Jane.Doe@ACME.Test ", "Jane.Doe@acme.test"),
        ("a@b", "a@b"),
        ("o'neil+x@mail.acme.test", "o'neil+x@mail.acme.test"),
    ],
)
def test_an_address_is_trimmed_and_its_domain_in_lower_case(text: str, kept: str) -> None:
    assert checked_email(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "a@", "@b", "a b@c", "a@b c", "a@@b", "a@b@c", "a", "a@b..c", "a@.b", "a@b.", "a,c@b", "<a@b>", "a@b\nBcc: c@d",
        "ä@b", "a@bü.de", "a" * 65 + "@b", "a@" + "b" * 253, "\ud800@b",
    ],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValidationFailed) as raised:
        checked_email(text)
    assert raised.value.param == "email"


def test_case_does_not_make_another_address() -> None:
    assert email_key("Jane@Acme.test") == email_key(" jane@acme.TEST")


@pytest.mark.parametrize(("length", "is_good"), [(9, False), (10, True), (1_000, True), (1_001, False)])
def test_a_password_is_long_and_nothing_else(length: int, is_good: bool) -> None:
    if is_good:
        assert checked_password("x" * length) == "x" * length
    else:
        with pytest.raises(ValidationFailed, match="10 to 1000"):
            checked_password("x" * length)
