"""`tollway audit`: prove that the ledger adds up, on one snapshot of it, while a server runs or not."""

import json

import click

from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.table import table
from tollway.commands.target import looking
from tollway.jsontypes import JSONObject
from tollway.ledger.audit import Verdict, audit
from tollway.settings import Settings
from tollway.store.audit_view import AuditView


@click.command()
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@with_settings
def command(settings: Settings, outside: Outside, *, is_json: bool) -> int:
    """Prove that the ledger adds up.

    Each invariant is checked over every row. Exits with 1 if one is broken, and names its first broken rows.
    """
    with looking(settings) as connection:
        view = AuditView(connection)
        verdicts = audit(view, int(outside.now()))
        view.close()
    broken = [verdict for verdict in verdicts if verdict.findings]
    if is_json:
        click.echo(json.dumps({"ok": not broken, "invariants": [_document(one) for one in verdicts]}, indent=2))
        return 1 if broken else 0
    rows = [[one.invariant.name, "BROKEN" if one.findings else "ok", one.invariant.meaning] for one in verdicts]
    click.echo(table(("invariant", "", "meaning"), rows))
    for verdict in broken:
        for finding in verdict.findings:
            click.echo(f"{verdict.invariant.name}: {finding.row}: {finding.problem}", err=True)
    click.echo("The ledger adds up." if not broken else "The ledger does NOT add up.")
    return 1 if broken else 0


def _document(verdict: Verdict) -> JSONObject:
    return {
        "name": verdict.invariant.name,
        "meaning": verdict.invariant.meaning,
        "ok": not verdict.findings,
        "broken": [{"row": finding.row, "problem": finding.problem} for finding in verdict.findings],
    }
