"""`tollway members`: people of an organization, for the operator: list, invite, change a role, remove."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import get_args

import click

from tollway.commands import Outside
from tollway.commands.options import with_settings
from tollway.commands.table import table
from tollway.commands.target import act, looking
from tollway.commands.wallet import json_option
from tollway.jsontypes import JSONObject
from tollway.settings import Settings
from tollway.store import EmbeddedStore
from tollway.store.people_view import PersonShown, invited, members, organizations
from tollway.workspaces.actor import By, Role
from tollway.workspaces.member import Member, email_key

ROLE_NAMES: tuple[str, ...] = get_args(Role)
_BY = By("operator", "local")
organization_option = click.option(
    "--organization", metavar="ID", help="Of this organization.  [default: the only one there is]"
)
_person = click.argument("person", metavar="EMAIL_OR_ID")
_role = click.Choice(ROLE_NAMES)


@click.group()
def command() -> None:
    """People of an organization: list, invite, role, remove."""


@command.command("list")
@click.option("--organization", metavar="ID", help="Only of this organization.")
@json_option
@with_settings
def listed(settings: Settings, outside: Outside, *, organization: str | None, is_json: bool) -> None:
    """List members, and who is invited and has not come yet."""
    with looking(settings) as connection:
        found = [(one, "member") for one in members(connection, organization or "")]
        found += [(one, "invited") for one in invited(connection, organization or "", int(outside.now()))]
    if is_json:
        click.echo(json.dumps([_document(one, state) for one, state in found], indent=2))
        return
    if not found:
        click.echo("nobody yet; invite somebody with `tollway members invite EMAIL --role owner`")
        return
    rows = [
        [one.organization_name, one.email, one.name, one.role, state, _instant(one.created_at)[:10], one.id]
        for one, state in found
    ]
    click.echo(table(("organization", "email", "name", "role", "state", "since", "id"), rows))


@command.command()
@click.argument("email")
@click.option("--role", type=_role, default="member", show_default=True, help="What they will be.")
@organization_option
@json_option
@with_settings
def invite(
    settings: Settings, outside: Outside, *, email: str, role: Role, organization: str | None, is_json: bool
) -> None:
    """Invite somebody: a mail with a token goes out, or is printed where no mail server is set."""
    of = chosen_organization(settings, organization)

    async def here(store: EmbeddedStore) -> JSONObject:
        made, token = await store.people.invite(of, email, role, _BY)
        await _send(settings, store, token, made.email, role, of)
        return {"data": {"id": made.id, "email": made.email, "role": made.role}}

    body: JSONObject = {"email": email, "role": role}
    reply = act(settings, outside, here, method="POST", path=f"/admin/organizations/{of}/members", body=body)
    if is_json:
        click.echo(json.dumps(reply, indent=2))
        return
    where = (
        "" if settings.people.smtp_url else "; no mail server is set, so the mail is on standard error, here or there"
    )
    click.echo(f"invited {email} as {role}{where}")


@command.command("role")
@_person
@click.argument("role", type=_role)
@organization_option
@json_option
@with_settings
def change(
    settings: Settings, outside: Outside, *, person: str, role: Role, organization: str | None, is_json: bool
) -> None:
    """Give a member another role; their sessions end."""
    of = chosen_organization(settings, organization)
    user = _user(settings, of, person)

    async def here(store: EmbeddedStore) -> Member:
        return await store.people.change_role(of, user.id, role, _BY)

    path = f"/admin/organizations/{of}/members/{user.id}"
    reply = act(settings, outside, _told(here), method="PATCH", path=path, body={"role": role})
    click.echo(json.dumps(reply, indent=2) if is_json else f"{user.email} is {role} now")


@command.command()
@_person
@organization_option
@json_option
@with_settings
def remove(settings: Settings, outside: Outside, *, person: str, organization: str | None, is_json: bool) -> None:
    """Take a member out; their sessions end, and the keys they made stay."""
    of = chosen_organization(settings, organization)
    user = _user(settings, of, person)

    async def here(store: EmbeddedStore) -> Member:
        return await store.people.remove(of, user.id, _BY)

    path = f"/admin/organizations/{of}/members/{user.id}"
    reply = act(settings, outside, _told(here), method="DELETE", path=path)
    click.echo(json.dumps(reply, indent=2) if is_json else f"{user.email} is no member any more")


def chosen_organization(settings: Settings, given: str | None) -> str:
    """The organization that was named, or the only one. Raises ClickException, which lists them."""
    with looking(settings) as connection:
        found = organizations(connection)
    known = [id_ for id_, _ in found]
    if given is None and len(known) == 1:
        return known[0]
    if given in known:
        return given
    problem = "there are several organizations" if given is None else f"there is no organization {given}"
    listing = "".join(f"\n  {id_}  {name}" for id_, name in found)
    raise click.ClickException(f"{problem}; name one with --organization:{listing}")


def _user(settings: Settings, organization_id: str, person: str) -> PersonShown:
    with looking(settings) as connection:
        for one in members(connection, organization_id):
            if person == one.id or email_key(person) == email_key(one.email):
                return one
    raise click.ClickException(f"there is no member {person}; `tollway members list` shows who there is")


async def _send(settings: Settings, store: EmbeddedStore, token: str, email: str, role: Role, of: str) -> None:
    from tollway.api import letters
    from tollway.api.rooms import PeopleRules
    from tollway.mail import MailFailed, mailer_of

    people = settings.people
    organization = store.workspaces.organization(of).name
    inviter = "The operator of this gateway"
    rules = PeopleRules(public_url=people.public_url)
    letter = letters.invitation(rules, token, inviter=inviter, organization=organization, role=role)
    try:
        await mailer_of(people.smtp_url, people.mail_from).send(email, *letter)
    except MailFailed as error:
        raise click.ClickException(
            f"the invitation is made, but its mail was not sent: {error}; invite again"
        ) from None


def _told(
    change_it: Callable[[EmbeddedStore], Awaitable[Member]],
) -> Callable[[EmbeddedStore], Awaitable[JSONObject]]:
    async def here(store: EmbeddedStore) -> JSONObject:
        one = await change_it(store)
        user = store.people.accounts.user(one.user_id)
        entry: JSONObject = {
            "user_id": user.id,
            "email": user.email,
            "name": user.name,
            "role": one.role,
            "created_at": _instant(one.created_at),
        }
        return {"data": entry}

    return here


def _document(one: PersonShown, state: str) -> JSONObject:
    return {
        "id": one.id,
        "organization_id": one.organization_id,
        "email": one.email,
        "name": one.name,
        "role": one.role,
        "state": state,
        "since": _instant(one.created_at),
    }


def _instant(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
