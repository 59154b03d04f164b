"""The mail of an alert: subject and text, in plain words, with what to do."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tollway.jsontypes import JSONObject


class Letter(NamedTuple):
    """A mail without its addresses."""

    subject: str
    text: str


class Audience(NamedTuple):
    """Who is told of a workspace's alerts: names for the text, and mail addresses; nobody if there are none."""

    organization: str
    workspace: str
    addresses: Sequence[str]


def letter(kind: str, data: JSONObject, organization: str, workspace: str) -> Letter:
    """The mail of one alert.

    Args:
        kind: a type of event that is an alert.
        data: its data, as it was kept.
        organization: name, for the text.
        workspace: name, for subject and text.
    """
    subject, text = _WORDS[kind](data)
    where = f"Workspace: {workspace}\nOrganization: {organization}\n"
    how = "You get this mail as an owner, admin or billing member. `PUT /v1/alerts/settings` changes or stops it.\n"
    return Letter(f"[{_one_line(workspace)}] {_one_line(subject)}", f"{text}\n\n{where}\n{how}")


def _budget(data: JSONObject) -> tuple[str, str]:
    until = f"It starts again at {data['resets_at']}." if data["resets_at"] else "It never starts again by itself."
    text = (
        f"The key {data['key_name']} ({data['key_prefix']}...) has spent {data['spent_usd']} USD of its budget of "
        f"{data['budget_usd']} USD per {data['window']}. {until} At the limit its requests are refused with 402."
    )
    return f"{data['threshold_percent']} % of the budget of key {data['key_name']} is spent", text


def _tokens(data: JSONObject) -> tuple[str, str]:
    key = data["key_name"]
    whose = f"key {key}" if key else "your plan"
    text = (
        f"Today, {data['tokens_used']} of the {data['tokens_per_day']} tokens per day of {whose} are used or reserved. "
        f"The day ends at {data['resets_at']}. At the limit requests are refused with 429."
    )
    return f"{data['threshold_percent']} % of the day's tokens of {whose} are used", text


def _storage(data: JSONObject) -> tuple[str, str]:
    text = (
        f"{data['used_bytes']} of {data['limit_bytes']} bytes are stored. At the limit new documents are refused; "
        "remove some, or change the plan."
    )
    return f"{data['threshold_percent']} % of the storage is used", text


def _balance(data: JSONObject) -> tuple[str, str]:
    if data["threshold_usd"] == "0":
        return (
            "The wallet is empty",
            f"The wallet has {data['balance_usd']} USD. Requests are refused with 402; top up.",
        )
    text = (
        f"The wallet has {data['balance_usd']} USD, and you asked to be told at {data['threshold_usd']} USD. When it is "
        "empty, requests are refused with 402."
    )
    return f"The wallet is down to {data['balance_usd']} USD", text


def _disabled(data: JSONObject) -> tuple[str, str]:
    text = (
        f"The webhook {data['webhook_id']} to {data['host']} was switched off: {data['reason']}. Correct it, switch it on "
        "again (`PATCH /v1/webhooks/{webhook_id}`), and replay what it has missed."
    )
    return "A webhook was switched off", text


_WORDS: Mapping[str, Callable[[JSONObject], tuple[str, str]]] = {
    "budget.threshold": _budget,
    "tokens.threshold": _tokens,
    "storage.threshold": _storage,
    "balance.low": _balance,
    "webhook.disabled": _disabled,
}


def _one_line(text: str) -> str:
    """Fit for a header: what people named must not begin another one."""
    return "".join(char if char.isprintable() else " " for char in text)[:150]
