"""`/v1/auth`: accounts of people - sign-up, login, invitations, passwords.

Whether an address has an account is told by a sign-up alone: a login answers the same, in the same time, for an unknown
address as for a wrong password, and asking for a new password answers before anything is looked up.
"""

import logging
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from tollway.api import letters, persons
from tollway.api.acting import SignedIn, signed
from tollway.api.attempts import Attempts, address_of
from tollway.api.edge import AskedBody, body_of, documented, said
from tollway.api.persons import MeReply, SignedInReply, me, signed_in
from tollway.api.rooms import Rooms
from tollway.errors import InvalidCredentials, InvalidField, SignupClosed, ValidationFailed
from tollway.store.passwords import Passwords
from tollway.workspaces.member import User, checked_email, checked_password, email_key
from tollway.workspaces.workspace import checked_name

TRIES_PER_EMAIL, TRIES_PER_ADDRESS = 5, 30
"""Failed logins in a minute. An office shares one address."""
ASKED_PER_ADDRESS = 10
"""Sign-ups, resets and acceptances in a minute."""
Email = Annotated[str, Field(min_length=3, max_length=320)]
Password = Annotated[str, Field(min_length=1, max_length=4_000, description="10 to 1,000 characters of any kind.")]
Name = Annotated[str | None, Field(min_length=1, max_length=100)]
Token = Annotated[str, Field(min_length=1, max_length=200)]
_log = logging.getLogger("tollway.people")


class SignUp(AskedBody):
    """An account to make."""

    email: Email
    password: Password
    name: Name = None
    organization: Annotated[Name, Field(description="Name of the new organization; left out: yours.")] = None
    invitation: Annotated[Token | None, Field(description="Token of an invitation: joins, makes no organization.")] = (
        None
    )


class LogIn(AskedBody):
    """Who logs in."""

    email: Email
    password: Password


class Acceptance(AskedBody):
    """An invitation to accept. Who has an account sends its password, or a session token as the credential."""

    token: Token
    name: Name = None
    password: Password | None = None


class Forgot(AskedBody):
    """Whose password is forgotten."""

    email: Email


class Reset(AskedBody):
    """A new password, and the token of the mail."""

    token: Token
    password: Password


class PasswordChange(AskedBody):
    """The password now, and the one to be."""

    current: Password
    new: Password


class Told(msgspec.Struct):
    """What happens now."""

    message: str


class ToldReply(msgspec.Struct):
    """What happens now."""

    data: Told


REPLIES: tuple[type[msgspec.Struct], ...] = (ToldReply, *persons.REPLIES)
BODIES = (SignUp, LogIn, Acceptance, Forgot, Reset, PasswordChange)


class Auth:
    """The endpoints."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._people, self._accounts = rooms.store.people, rooms.store.people.accounts
        self._passwords = Passwords()
        self._attempts = Attempts(rooms.clock)

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        add = partial(router.add_api_route, tags=["auth"])
        login, told = partial(documented, SignedInReply), partial(documented, ToldReply)
        add("/v1/auth/signup", self.sign_up, methods=["POST"], **login(body=SignUp, status=201))
        add("/v1/auth/login", self.log_in, methods=["POST"], **login(body=LogIn))
        add("/v1/auth/invitations/accept", self.accept, methods=["POST"], **login(body=Acceptance))
        add("/v1/auth/logout", self.log_out, methods=["POST"], **told())
        add("/v1/auth/me", self.me, methods=["GET"], **documented(MeReply))
        add("/v1/auth/password", self.change, methods=["POST"], **told(body=PasswordChange))
        add("/v1/auth/password/forgot", self.forgot, methods=["POST"], **told(body=Forgot, status=202))
        add("/v1/auth/password/reset", self.reset, methods=["POST"], **told(body=Reset))

    # --- in ---

    async def sign_up(self, request: Request, asked: Annotated[SignUp, body_of(SignUp)]) -> Response:
        """Make an account, with an organization of its own; or join one, with an invitation."""
        self._attempts.take("sign up", address_of(request), ASKED_PER_ADDRESS)
        if asked.invitation is not None:
            return await self._sign_up_invited(asked, asked.invitation)
        if self._rooms.people.signup != "open":
            raise SignupClosed
        email, password = checked_email(asked.email), checked_password(asked.password)
        name = "" if asked.name is None else _named(asked.name, "name")
        organization = _named(asked.organization or name or email[:100], "organization")
        self._accounts.refuse_if_known(email)
        hashed = await self._passwords.hashed(password)
        self._accounts.refuse_if_known(email)
        workspaces = self._rooms.store.workspaces
        made = await workspaces.add_organization(organization)
        await workspaces.add_workspace(made.id, "Default")
        user = await self._accounts.add(email, name, hashed)
        await self._people.join(made.id, user.id, "owner")
        _log.info("user %s signed up with organization %s", user.id, made.id)
        return await self._signed_in(user, 201)

    async def _sign_up_invited(self, asked: SignUp, token: str) -> Response:
        invitation = self._people.invitation(token)
        if asked.organization is not None:
            raise InvalidField("`organization`: an invitation leads to one; leave it out", param="organization")
        if email_key(checked_email(asked.email)) != email_key(invitation.email):
            raise InvalidField("`email`: the invitation was sent to another address", param="email")
        self._accounts.refuse_if_known(asked.email)
        user = await self._new(asked.email, asked.name, asked.password, token)
        return await self._joined(user, token, 201)

    async def log_in(self, request: Request, asked: Annotated[LogIn, body_of(LogIn)]) -> Response:
        """A session token for a password."""
        return await self._signed_in(await self._proven(request, asked.email, asked.password))

    async def accept(self, request: Request, asked: Annotated[Acceptance, body_of(Acceptance)]) -> Response:
        """Join an organization that has invited you; makes an account where there is none."""
        self._attempts.take("accept invitations", address_of(request), ASKED_PER_ADDRESS)
        invitation = self._people.invitation(asked.token)
        user = self._accounts.by_email(invitation.email)
        if user is None:
            if asked.password is None:
                raise InvalidField("`password` is missing; choose one for your new account", param="password")
            user = await self._new(invitation.email, asked.name, asked.password, asked.token)
        elif asked.password is not None:
            user = await self._proven(request, invitation.email, asked.password)
        elif "authorization" in request.headers or "x-api-key" in request.headers:
            user = signed(request).user
        else:
            text = "`password` is missing; send that of your account, or a session token as the credential"
            raise InvalidField(text, param="password")
        return await self._joined(user, asked.token)

    async def _new(self, email: str, name: str | None, password: str, token: str) -> User:
        """An account for whoever holds an invitation, which stays good until they join."""
        if self._rooms.people.signup == "closed":
            raise SignupClosed
        self._people.require_room(self._people.invitation(token).organization_id)
        name = "" if name is None else _named(name, "name")
        hashed = await self._passwords.hashed(checked_password(password))
        self._people.invitation(token)
        return await self._accounts.add(email, name, hashed)

    async def _joined(self, user: User, token: str, status: int = 200) -> Response:
        member = await self._people.accept(token, user)
        workspaces = self._rooms.store.workspaces
        if not workspaces.live_workspaces(member.organization_id):
            await workspaces.add_workspace(member.organization_id, "Default")
        _log.info("user %s joined organization %s as %s", user.id, member.organization_id, member.role)
        return await self._signed_in(user, status)

    async def _proven(self, request: Request, email: str, password: str) -> User:
        """The person with this address and password. Raises InvalidCredentials, RateLimited."""
        tries = (("log in", address_of(request), TRIES_PER_ADDRESS), ("log in", email_key(email), TRIES_PER_EMAIL))
        for what, who, most in tries:
            self._attempts.take(what, who, most)
        user = self._accounts.by_email(email)
        kept = None if user is None else user.password_hash
        is_right = await self._passwords.is_right(kept, password)
        # The password may have been changed meanwhile.
        if user is None or not is_right or self._accounts.user(user.id).password_hash != kept:
            raise InvalidCredentials
        for what, who, _ in tries:
            self._attempts.give_back(what, who)
        return user

    async def _signed_in(self, user: User, status: int = 200) -> Response:
        session, token = await self._accounts.open_session(user.id, self._rooms.people.session_s)
        return said(signed_in(self._rooms, user, session, token), status)

    # --- inside ---

    async def me(self, who: SignedIn) -> Response:
        """Who has signed in, and where they belong."""
        return said(MeReply(me(self._rooms, who.user)))

    async def log_out(self, who: SignedIn) -> Response:
        """End this session."""
        await self._accounts.end_session(who.session)
        return _told("This session has ended.")

    async def change(
        self, who: SignedIn, request: Request, asked: Annotated[PasswordChange, body_of(PasswordChange)]
    ) -> Response:
        """Another password. Every other session of yours ends."""
        new = checked_password(asked.new, "new")
        user = await self._proven(request, who.user.email, asked.current)
        await self._set_password(user, new, keep=who.session.id)
        return _told("The password is changed, and your other sessions have ended.")

    # --- forgotten ---

    async def forgot(self, request: Request, asked: Annotated[Forgot, body_of(Forgot)]) -> Response:
        """Send a way to a new password, if the address has an account; the answer is the same if not."""
        self._attempts.take("ask for a new password", address_of(request), ASKED_PER_ADDRESS)
        self._rooms.outbox.later(self._send_reset(checked_email(asked.email)))
        return _told("If this address has an account, a mail with a way to a new password is on its way.", 202)

    async def _send_reset(self, email: str) -> None:
        user = self._accounts.by_email(email)
        token = None if user is None else await self._accounts.new_reset(user.id)
        if user is not None and token is not None:
            self._rooms.outbox.post(user.email, *letters.reset(self._rooms.people, token))

    async def reset(self, request: Request, asked: Annotated[Reset, body_of(Reset)]) -> Response:
        """Set a password with the token of the mail, once. Every session of yours ends."""
        self._attempts.take("set a new password", address_of(request), ASKED_PER_ADDRESS)
        new = checked_password(asked.password)
        user = self._accounts.reset(asked.token)
        await self._set_password(user, new, token=asked.token)
        return _told("The password is changed, and your sessions have ended. Log in with it.")

    async def _set_password(self, user: User, new: str, *, keep: str = "", token: str = "") -> None:
        hashed = await self._passwords.hashed(new)
        if token:
            self._accounts.reset(token)  # it may have been used meanwhile
        await self._accounts.set_password(user.id, hashed, keep=keep)
        self._rooms.outbox.post(user.email, *letters.changed())
        _log.info("user %s has another password", user.id)


def _named(text: str, param: str) -> str:
    try:
        return checked_name(text, "person" if param == "name" else "organization")
    except ValidationFailed as error:
        raise ValidationFailed(error.message, param=param) from None


def _told(message: str, status: int = 200) -> Response:
    return said(ToldReply(Told(message)), status)
