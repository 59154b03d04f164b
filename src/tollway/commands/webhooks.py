"""`tollway webhooks`: where events go, what became of them, and sending one again; for the operator."""

import json
from datetime import UTC, datetime

import click

from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.table import table
from tollway.commands.target import act, looking
from tollway.commands.wallet import json_option
from tollway.jsontypes import JSONObject
from tollway.settings import Settings
from tollway.store import EmbeddedStore

STATES = ("pending", "delivered", "dead", "cancelled")


@click.group()
def command() -> None:
    """Webhooks: list, deliveries, replay."""


@command.command("list")
@click.option("--workspace", metavar="ID", help="Only of this workspace.")
@json_option
@with_settings
def listed(settings: Settings, outside: Outside, *, workspace: str | None, is_json: bool) -> None:
    """List webhooks. Of a URL only the host is shown: the rest may be a credential."""
    from tollway.store.webhooks import every

    del outside
    with looking(settings) as connection:
        found = [one for one in every(connection) if workspace in {None, one.workspace_id}]
    documents: list[JSONObject] = [
        {
            "id": one.id,
            "workspace_id": one.workspace_id,
            "host": one.host,
            "events": None if one.events is None else [*sorted(one.events)],
            "enabled": one.is_enabled,
            "disabled_reason": one.disabled_reason or None,
            "failing_since": None if one.failing_since is None else _instant(one.failing_since),
            "created_at": _instant(one.created_at),
        }
        for one in found
    ]
    if is_json:
        click.echo(json.dumps(documents, indent=2))
        return
    rows = [
        [
            one.id,
            one.workspace_id,
            one.host,
            "all" if one.events is None else ",".join(sorted(one.events)),
            ("on" if one.is_enabled else one.disabled_reason or "off")
            + ("" if one.failing_since is None else f", failing since {_instant(one.failing_since)}"),
        ]
        for one in found
    ]
    click.echo(table(("id", "workspace", "host", "events", "state"), rows))


@command.command()
@click.option("--status", type=click.Choice(STATES), help="Only these; `dead` are the ones that were given up.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="At most so many.")
@json_option
@with_settings
def deliveries(settings: Settings, outside: Outside, *, status: str | None, limit: int, is_json: bool) -> None:
    """List what was sent, newest first, and what became of it."""
    from tollway.store.deliveries import every

    del outside
    with looking(settings) as connection:
        found = every(connection, status=status or "", limit=limit)
    if is_json:
        documents: list[JSONObject] = [
            {
                "id": one.id,
                "webhook_id": one.endpoint_id,
                "workspace_id": one.workspace_id,
                "event_id": one.event_id,
                "event": one.event_type,
                "status": one.status,
                "attempts": one.attempts,
                "next_attempt_at": None if one.next_at is None else _instant(one.next_at),
                "created_at": _instant(one.created_at_ms // 1000),
                "error": one.log[-1].error or None if one.log else None,
            }
            for one in found
        ]
        click.echo(json.dumps(documents, indent=2))
        return
    rows = [
        [
            one.id,
            one.endpoint_id,
            one.event_type,
            one.status,
            str(one.attempts),
            "" if one.next_at is None else _instant(one.next_at),
            one.log[-1].error if one.log else "",
        ]
        for one in found
    ]
    titles = ("id", "webhook", "event", "status", "attempts", "next", "last error")
    click.echo(table(titles, rows, right=("attempts",)))


@command.command()
@click.argument("delivery_id", metavar="ID")
@json_option
@with_settings
def replay(settings: Settings, outside: Outside, *, delivery_id: str, is_json: bool) -> None:
    """Send a delivery again, with all its tries, under the same id."""

    async def here(store: EmbeddedStore) -> JSONObject:
        one = await store.deliveries.replay(delivery_id)
        return {"data": {"id": one.id, "status": one.status}}

    path = f"/admin/webhooks/deliveries/{delivery_id}/replay"
    reply = act(settings, outside, here, method="POST", path=path, body={})
    waits = "it is sent now, or when the server runs"
    click.echo(json.dumps(reply["data"], indent=2) if is_json else f"delivery {delivery_id} is pending; {waits}")


def _instant(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
