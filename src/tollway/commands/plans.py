"""`tollway plans`: what is sold, on which terms an organization is, and changes of both."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tollway.commands import Outside
from tollway.commands.instants import unix_seconds, when
from tollway.commands.options import with_settings
from tollway.commands.plans_shown import (
    agreed_values,
    between_text,
    catalogue_text,
    migrations_text,
    organization_text,
    plan_text,
)
from tollway.commands.target import act
from tollway.commands.wallet import json_option
from tollway.jsontypes import JSON, JSONObject
from tollway.plans.difference import between, facts
from tollway.plans.load import SHIPPED, load_plans, mistakes
from tollway.plans.plan import PlanCatalogue
from tollway.settings import Settings
from tollway.settings.plans import plans_of

if TYPE_CHECKING:
    from tollway.store import EmbeddedStore

_ACTOR = "local"
"""As the admin API calls the command line of this machine."""
catalogue_option = click.option(
    "--catalogue", metavar="NAME|FILE", help=f"Of {', '.join(SHIPPED)}, or a file.  [default: the one of the settings]"
)
reason_option = click.option("--reason", required=True, help="For the history.")


@click.group()
def command() -> None:
    """Plans: list, show, check, diff; of, set, override, migrate."""


def _catalogue(settings: Settings, named: str | None) -> PlanCatalogue:
    return plans_of(settings).catalogue if named is None else load_plans(named)


@command.command("list")
@catalogue_option
@json_option
@with_settings
def listed(settings: Settings, outside: Outside, *, catalogue: str | None, is_json: bool) -> None:
    """List the plans that are sold, beside each other."""
    del outside
    found = _catalogue(settings, catalogue)
    if is_json:
        told: list[JSON] = [{"id": plan.id, "version": plan.version, **facts(plan)} for plan in found.plans]
        click.echo(json.dumps({"catalogue": found.name, "default_plan": found.default_id, "data": told}, indent=2))
        return
    click.echo(catalogue_text(found))


@command.command()
@click.argument("plan")
@catalogue_option
@json_option
@with_settings
def show(settings: Settings, outside: Outside, *, plan: str, catalogue: str | None, is_json: bool) -> None:
    """Show everything that a plan says."""
    del outside
    found = _catalogue(settings, catalogue)
    chosen = found.plan(plan)
    if is_json:
        click.echo(json.dumps({"id": chosen.id, "version": chosen.version, **facts(chosen)}, indent=2))
        return
    click.echo(plan_text(found, chosen))


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> int:
    """Check a file of plans: every mistake with its line, and what to write instead."""
    found = mistakes(file)
    for one in found:
        click.echo(str(one))
    if found:
        click.echo(f"{len(found)} {'mistake' if len(found) == 1 else 'mistakes'}", err=True)
        return 1
    good = load_plans(str(file))
    names = ", ".join(plan.id for plan in good.plans)
    click.echo(f"{file}: the catalogue {good.name} is good: {names}; sign-ups start on {good.default_id}")
    return 0


@command.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@json_option
def diff(before: str, after: str, *, is_json: bool) -> None:
    """Show what differs between two catalogues: shipped ones by name, or files."""
    found = between(load_plans(before), load_plans(after))
    if is_json:
        told: dict[str, JSON] = {name: [dict(one._asdict()) for one in rows] for name, rows in found.items()}
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(between_text(found) if found else "they are the same")


@command.command("of")
@click.argument("organization", metavar="ORG")
@json_option
@with_settings
def of_organization(settings: Settings, outside: Outside, *, organization: str, is_json: bool) -> None:
    """Show what an organization may do, what of it is too much, and who changed it when."""

    async def here(store: "EmbeddedStore") -> JSONObject:
        return await _plan_of(store, organization)

    reply = act(settings, outside, here, method="GET", path=_path(organization, "plan"))
    _tell(reply, is_json=is_json)


@command.command("set")
@click.argument("organization", metavar="ORG")
@click.argument("plan")
@reason_option
@json_option
@with_settings
def set_plan(settings: Settings, outside: Outside, *, organization: str, plan: str, reason: str, is_json: bool) -> None:
    """Put an organization on a plan, in the version that is sold now. Nothing is ever deleted."""

    async def here(store: "EmbeddedStore") -> JSONObject:
        await store.plans.set_plan(organization, plan, actor=_ACTOR, reason=reason)
        return await _plan_of(store, organization)

    body: JSONObject = {"plan": plan, "reason": reason}
    reply = act(settings, outside, here, method="PUT", path=_path(organization, "plan"), body=body)
    _tell(reply, is_json=is_json)


@command.command()
@click.argument("organization", metavar="ORG")
@click.option("--limit", "limits", metavar="NAME=N", multiple=True, help="-1: no limit, 0: not available. Repeatable.")
@click.option("--feature", "features", metavar="NAME=true|false", multiple=True, help="Repeatable.")
@click.option("--margin", "margins", metavar="NAME=BPS", multiple=True, help="direct, auto or tier. Repeatable.")
@click.option(
    "--until", metavar="WHEN", callback=when, help="A date, an instant, or days from now.  [default: for good]"
)
@click.option("--clear", is_flag=True, help="Take all overrides away.")
@click.option("--reason", help="For the history; needed unless --clear.")
@json_option
@with_settings
def override(
    settings: Settings,
    outside: Outside,
    *,
    organization: str,
    limits: tuple[str, ...],
    features: tuple[str, ...],
    margins: tuple[str, ...],
    until: str | None,
    clear: bool,
    reason: str | None,
    is_json: bool,
) -> None:
    """Agree limits, features or margins with one organization beyond its plan; they replace what was agreed before."""
    values = agreed_values(limits, features, margins)
    if clear == bool(values) or bool(until and clear):
        raise click.UsageError("name at least one --limit, --feature or --margin; or --clear alone")
    if not clear and not reason:
        raise click.UsageError("a --reason is needed")
    at = None if until is None else unix_seconds(until, outside.now(), "--until")

    async def here(store: "EmbeddedStore") -> JSONObject:
        import msgspec

        from tollway.plans.overrides import Overrides

        agreed = None if clear else msgspec.convert(values, Overrides)
        await store.plans.set_overrides(organization, agreed, actor=_ACTOR, reason=reason or "Taken away", until=at)
        return await _plan_of(store, organization)

    ends = None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    body: JSONObject | None = None if clear else {**values, "reason": reason, "until": ends}
    path = _path(organization, "overrides")
    reply = act(settings, outside, here, method="DELETE" if clear else "PUT", path=path, body=body)
    _tell(reply, is_json=is_json)


@command.command()
@click.option("--preview", is_flag=True, help="Tell what would change, and change nothing.")
@click.option("--plan", metavar="PLAN", help="Only subscriptions of this plan.")
@click.option("--organization", metavar="ORG", help="Only this one.")
@click.option("--reason", default="A new version of the plan", show_default=True, help="For the history.")
@json_option
@with_settings
def migrate(
    settings: Settings,
    outside: Outside,
    *,
    preview: bool,
    plan: str | None,
    organization: str | None,
    reason: str,
    is_json: bool,
) -> None:
    """Bring existing subscriptions to the version of their plan that is sold now."""

    async def here(store: "EmbeddedStore") -> JSONObject:
        from tollway.api.admin_plans import migrations

        if plan is not None:
            store.plans.catalogue.plan(plan)
        if preview:
            found = store.plans.outdated(plan, organization)
        else:
            found = await store.plans.migrate(plan, organization, actor=_ACTOR, reason=reason)
        return _plain(migrations(found, is_preview=preview))

    body: JSONObject = {"preview": preview, "plan": plan, "organization": organization, "reason": reason}
    reply = act(settings, outside, here, method="POST", path="/admin/plans/migrate", body=body)
    click.echo(json.dumps(reply["data"], indent=2) if is_json else migrations_text(reply))


async def _plan_of(store: "EmbeddedStore", organization: str) -> JSONObject:
    """As the admin API answers."""
    from tollway.api.admin_plans import OrganizationPlanReply, organization_plan

    return _plain(OrganizationPlanReply(await organization_plan(store, organization)))


def _plain(reply: object) -> JSONObject:
    import msgspec

    found: JSONObject = json.loads(msgspec.json.encode(reply))
    return found


def _path(organization: str, what: str) -> str:
    from urllib.parse import quote

    return f"/admin/organizations/{quote(organization, safe='')}/{what}"


def _tell(reply: JSONObject, *, is_json: bool) -> None:
    click.echo(json.dumps(reply["data"], indent=2) if is_json else organization_text(reply))
