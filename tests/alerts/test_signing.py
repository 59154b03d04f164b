"""Signatures, checked by the library of the specification, and by its published example."""

import base64
import os
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tollway.alerts import signing

EXAMPLE = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def test_the_example_of_the_specification() -> None:
    found = signing.signature(EXAMPLE, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_library_accepts_it_and_nothing_else() -> None:
    secret = signing.new_secret(os.urandom)
    text, body, now = signing.secret_text(secret), '{"a": "\u2603"}'.encode(), int(time.time())
    assert text.startswith("whsec_")
    assert len(secret) == 32
    headers = signing.headers([secret], "id-1", now, body)
    assert Webhook(text).verify(body, headers) == {"a": "\u2603"}
    for wrong in ({"webhook-id": "id-2"}, {"webhook-timestamp": str(now - 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(text).verify(body, headers | wrong)
    with pytest.raises(WebhookVerificationError):
        Webhook(text).verify(body + b" ", headers)


def test_both_secrets_sign_while_one_is_replaced() -> None:
    old, new = signing.new_secret(os.urandom), signing.new_secret(os.urandom)
    headers = signing.headers([new, old], "id", int(time.time()), b"{}")
    for one in (old, new):
        Webhook(signing.secret_text(one)).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.secret_text(signing.new_secret(os.urandom))).verify(b"{}", headers)
