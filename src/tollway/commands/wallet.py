"""`tollway wallet`: what wallets have, putting money into them, moving it between them, and their history."""

import json
from datetime import UTC, datetime

import click

from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.table import cents, decimals, table
from tollway.commands.target import act, looking
from tollway.jsontypes import JSONObject
from tollway.money.amount import NotAnAmount, format_usd, parse_usd
from tollway.ports import Balance
from tollway.settings import Settings
from tollway.store import EmbeddedStore
from tollway.store.overview import WalletShown, wallets
from tollway.store.wallets import Moved, Transaction, history

KINDS = ("topup", "grant", "refund", "adjustment")


def nano(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """An option's exact USD as nano-USD. Raises BadParameter."""
    try:
        return None if text is None else parse_usd(text)
    except NotAnAmount as error:
        raise click.BadParameter(str(error), context, parameter) from None


workspace_option = click.option(
    "--workspace", metavar="ID", help="Of this workspace.  [default: the only one there is]"
)
json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Wallets: show, credit, transfer, transactions."""


@command.command()
@click.option("--workspace", metavar="ID", help="Only of this workspace.")
@json_option
@with_settings
def show(settings: Settings, outside: Outside, *, workspace: str | None, is_json: bool) -> None:
    """Show what wallets have, hold for running requests, and can spend."""
    del outside
    with looking(settings) as connection:
        found = [one for one in wallets(connection) if workspace in {None, one.workspace_id}]
    if workspace is not None and not found:
        raise click.ClickException(f"there is no workspace {workspace}")
    if is_json:
        click.echo(json.dumps([_document(one) for one in found], indent=2))
        return
    columns = ("balance USD", "reserved USD", "available USD")
    numbers = [
        decimals([cents(format_usd(amount)) for amount in column])
        for column in zip(*(_numbers(one.balance) for one in found), strict=True)
    ]
    rows = [
        [one.organization_name, one.workspace_name, one.workspace_id, *row]
        for one, row in zip(found, zip(*numbers, strict=True), strict=True)
    ]
    click.echo(table(("organization", "workspace", "id", *columns), rows, right=columns))


@command.command()
@click.option("--usd", metavar="USD", callback=nano, required=True, help="How much; an adjustment may be negative.")
@click.option("--kind", type=click.Choice(KINDS), default="topup", show_default=True, help="Where it comes from.")
@click.option("--reason", help="Told to the wallet's owner; an adjustment needs one.")
@click.option("--external-ref", metavar="REF", help="What this answers to; the same one again moves nothing.")
@workspace_option
@json_option
@with_settings
def credit(
    settings: Settings,
    outside: Outside,
    *,
    usd: int,
    kind: str,
    reason: str | None,
    external_ref: str | None,
    workspace: str | None,
    is_json: bool,
) -> None:
    """Put money into a wallet."""
    if kind == "adjustment" and not reason:
        raise click.UsageError("an adjustment needs a --reason")
    to = chosen(settings, workspace)
    told = reason or f"{kind.capitalize()} by the operator"

    async def here(store: EmbeddedStore) -> JSONObject:
        moved = await store.wallets.credit(to, usd, kind=kind, reason=told, external_ref=external_ref or "")
        return _posted(moved, kind, usd, (to, moved.balance))

    body: JSONObject = {"usd": format_usd(usd), "kind": kind, "reason": told, "external_ref": external_ref}
    reply = act(settings, outside, here, method="POST", path=f"/admin/wallets/{to}/credit", body=body)
    _tell(reply, is_json=is_json)


@command.command()
@click.option("--usd", metavar="USD", callback=nano, required=True, help="How much.")
@click.option("--from", "source", metavar="ID", required=True, help="Workspace that gives.")
@click.option("--to", "target", metavar="ID", required=True, help="Workspace that takes.")
@click.option("--reason", help="Told to both owners.")
@click.option("--external-ref", metavar="REF", help="What this answers to; the same one again moves nothing.")
@json_option
@with_settings
def transfer(
    settings: Settings,
    outside: Outside,
    *,
    usd: int,
    source: str,
    target: str,
    reason: str | None,
    external_ref: str | None,
    is_json: bool,
) -> None:
    """Move money between the wallets of two workspaces of one organization."""
    told = reason or "Transfer by the operator"

    async def here(store: EmbeddedStore) -> JSONObject:
        moved = await store.wallets.transfer(source, target, usd, reason=told, external_ref=external_ref or "")
        return _posted(moved, "transfer", usd, (source, moved.balance), (target, store.wallets.balance(target)))

    body: JSONObject = {
        "from": source,
        "to": target,
        "usd": format_usd(usd),
        "reason": told,
        "external_ref": external_ref,
    }
    reply = act(settings, outside, here, method="POST", path="/admin/wallets/transfer", body=body)
    _tell(reply, is_json=is_json)


@command.command()
@workspace_option
@click.option("--type", "kind", default="", metavar="TYPE", help="Only these, e.g. topup or usage.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--after", default="", metavar="CURSOR", help="Go on after this transaction.")
@json_option
@with_settings
def transactions(
    settings: Settings,
    outside: Outside,
    *,
    workspace: str | None,
    kind: str,
    limit: int,
    after: str,
    is_json: bool,
) -> None:
    """Show what came into a wallet and what was taken, newest first."""
    del outside
    of = chosen(settings, workspace)
    with looking(settings) as connection:
        found = history(connection, of, limit=limit, after=after, kind=kind)
    if is_json:
        listed: list[JSONObject] = [_transaction(one) for one in found.transactions]
        click.echo(json.dumps({"data": listed, "next_cursor": found.next_cursor or None}, indent=2))
        return
    amounts = decimals([cents(format_usd(one.amount_nano)) for one in found.transactions])
    balances = decimals([cents(format_usd(one.balance_after_nano)) for one in found.transactions])
    rows = [
        [_instant(one.created_at_ms), one.type, one.description, amount, balance, one.id]
        for one, amount, balance in zip(found.transactions, amounts, balances, strict=True)
    ]
    titles = ("when (UTC)", "type", "description", "USD", "balance after USD", "id")
    click.echo(table(titles, rows, right=("USD", "balance after USD")))
    if found.next_cursor:
        click.echo(f"more: --after {found.next_cursor}")


def chosen(settings: Settings, workspace: str | None) -> str:
    """The workspace that was named, or the only one there is. Raises UsageError."""
    if workspace is not None:
        return workspace
    with looking(settings) as connection:
        found = wallets(connection)
    if len(found) != 1:
        listed = "".join(f"\n  {one.workspace_id}  {one.workspace_name}" for one in found)
        raise click.UsageError(f"there are {len(found)} workspaces; name one with --workspace{listed}")
    return found[0].workspace_id


def _numbers(balance: Balance) -> tuple[int, int, int]:
    return balance.posted_nano, balance.held_nano, balance.available_nano


def _document(one: WalletShown) -> JSONObject:
    return {
        "organization_id": one.organization_id,
        "organization_name": one.organization_name,
        "workspace_id": one.workspace_id,
        "workspace_name": one.workspace_name,
        **_usd(one.balance),
    }


def _usd(balance: Balance) -> JSONObject:
    return {
        "balance_usd": format_usd(balance.posted_nano),
        "reserved_usd": format_usd(balance.held_nano),
        "frozen_usd": format_usd(balance.frozen_nano),
        "available_usd": format_usd(balance.available_nano),
    }


def _posted(moved: Moved, kind: str, amount_nano: int, *after: tuple[str, Balance]) -> JSONObject:
    """As the admin API answers (api/admin.py)."""
    return {
        "data": {
            "transaction_id": moved.id,
            "kind": kind,
            "amount_usd": format_usd(amount_nano),
            "is_replay": moved.is_replay,
            "wallets": [{"workspace_id": workspace_id, **_usd(balance)} for workspace_id, balance in after],
        }
    }


def _tell(reply: JSONObject, *, is_json: bool) -> None:
    if is_json:
        click.echo(json.dumps(reply["data"], indent=2))
        return
    data = reply["data"]
    assert isinstance(data, dict)
    again = ": was posted before, nothing moved" if data["is_replay"] else ""
    click.echo(f"{data['transaction_id']}  {data['kind']} of {cents(str(data['amount_usd']))} USD{again}")
    after = data["wallets"]
    assert isinstance(after, list)
    for wallet in after:
        assert isinstance(wallet, dict)
        click.echo(f"wallet of {wallet['workspace_id']}: {cents(str(wallet['available_usd']))} USD available")


def _transaction(one: Transaction) -> JSONObject:
    return {
        "id": one.id,
        "type": one.type,
        "amount_usd": format_usd(one.amount_nano),
        "balance_after_usd": format_usd(one.balance_after_nano),
        "description": one.description,
        "created_at": _instant(one.created_at_ms),
        "external_ref": one.external_ref,
        "generation_id": one.generation_id or None,
    }


def _instant(unix_ms: int) -> str:
    return f"{datetime.fromtimestamp(unix_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}"
