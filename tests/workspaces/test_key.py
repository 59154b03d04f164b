"""Keys: their form, their public part, their digest."""

import os

from hypothesis import given
from hypothesis import strategies as st

from tollway.workspaces.key import ADMIN_PREFIX, digest, looks_like_key, new_secret, public_part


def test_a_key_has_32_random_bytes_and_a_public_part() -> None:
    secret = new_secret(os.urandom)
    assert secret.startswith("tw_")
    assert len(secret) == 3 + 4 + 43
    assert looks_like_key(secret)
    assert public_part(secret) == secret[:7]
    assert 62**43 > 2**256


def test_an_operator_token_is_no_key() -> None:
    token = new_secret(os.urandom, ADMIN_PREFIX)
    assert looks_like_key(token, ADMIN_PREFIX)
    assert not looks_like_key(token)


def test_only_a_digest_under_the_pepper_is_kept() -> None:
    secret = new_secret(os.urandom)
    assert len(digest(secret, b"a" * 32)) == 32
    assert digest(secret, b"a" * 32) != digest(secret, b"b" * 32)


@given(st.text(max_size=60))
def test_other_text_does_not_look_like_a_key(text) -> None:
    assert not looks_like_key(text) or (text.isascii() and text.startswith("tw_") and len(text) == 50)


@given(st.binary(min_size=32, max_size=32))
def test_every_32_bytes_give_a_well_formed_key(number) -> None:
    assert looks_like_key(new_secret(lambda count: number[:count]))
