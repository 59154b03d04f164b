"""The closed list of events: an envelope of each, its mail, and its place in the documentation."""

import json
import pathlib
import re

import msgspec
import pytest

from tollway.alerts.events import EVENTS, Event, EventType, body, plain
from tollway.alerts.letters import letter

HOW_TO = (pathlib.Path(__file__).parent.parent.parent / "docs" / "how-to" / "webhooks.md").read_text()
VALUES = {str: "text", int: 80, str | None: None, list[str]: ["chat"]}


def sample(kind: EventType) -> msgspec.Struct:
    return kind.shape(*(VALUES[one.type] for one in msgspec.structs.fields(kind.shape)))


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS.keys())
def test_an_envelope(kind: EventType) -> None:
    told = json.loads(body(Event("id-1", kind.name, "org", "ws", 1_800_000_000_007, sample(kind))))
    assert told == {
        "id": "id-1",
        "type": kind.name,
        "version": 1,
        "timestamp": "2027-01-15T08:00:00.007Z",
        "organization_id": "org",
        "workspace_id": "ws",
        "data": plain(sample(kind)),
    }


@pytest.mark.parametrize("kind", [one for one in EVENTS.values() if one.is_alert], ids=lambda one: one.name)
def test_an_alert_has_a_mail_that_fits_in_a_header(kind: EventType) -> None:
    data = plain(sample(kind)) | {"key_name": "evil\r\nBcc: x", "threshold_usd": "5"}
    found = letter(kind.name, data, "Acme", "main\nroom")
    assert found.subject.isprintable()
    assert found.subject.startswith("[main room] ")
    assert "main" in found.text
    assert "PUT /v1/alerts/settings" in found.text


def test_an_empty_wallet_is_told_in_other_words() -> None:
    found = letter("balance.low", {"threshold_usd": "0", "balance_usd": "0.004"}, "Acme", "main")
    assert found.subject == "[main] The wallet is empty"


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS.keys())
def test_the_documentation_shows_every_member(kind: EventType) -> None:
    row = re.search(rf"^\| `{re.escape(kind.name)}` \| .*$", HOW_TO, re.MULTILINE)
    assert row, f"docs/how-to/webhooks.md has no row of {kind.name}"
    missing = [one for one in kind.shape.__struct_fields__ if f"`{one}`" not in row[0]]
    assert missing == []
