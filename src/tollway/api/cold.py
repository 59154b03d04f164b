"""Everything but the hot endpoint and the probes: one FastAPI application whose errors all have the one shape."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import cast

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route

from tollway import __version__
from tollway.api.account import Account
from tollway.api.activity import Activities
from tollway.api.admin import Admin
from tollway.api.admin_members import AdminMembers
from tollway.api.admin_plans import AdminPlans
from tollway.api.alerts import Alerts
from tollway.api.asgi import Application
from tollway.api.auth import Auth
from tollway.api.edge import encoded, invalid
from tollway.api.feedback import Feedback
from tollway.api.generations import Generations
from tollway.api.keys import Keys
from tollway.api.limits import LimitReports
from tollway.api.members import Members
from tollway.api.models import Models
from tollway.api.offers import AdminOffers
from tollway.api.openapi import HOT_PATHS, document
from tollway.api.page import page
from tollway.api.presets import Aliases, Presets
from tollway.api.profiles import AdminProfiles, Profiles
from tollway.api.quotes import Quotes
from tollway.api.rooms import Rooms
from tollway.api.route import Routes
from tollway.api.trace import Trace, refusal
from tollway.api.usage import UsageReports
from tollway.api.webhooks import Webhooks
from tollway.api.workspaces import Workspaces
from tollway.errors import BadRequest, Broken, MethodNotAllowed, NotFound, Refused, TollwayError
from tollway.jsontypes import JSON

_SHOWN_MAX = 200


def build(rooms: Rooms) -> Application:
    """The application; `rooms` is what it works with."""
    # The paths that FastAPI would serve by itself load scripts from a content network: ours work without one.
    app = FastAPI(
        title="Tollway", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    app.state.rooms = rooms
    app.add_exception_handler(TollwayError, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(Exception, _refused)
    models = Models(rooms)
    for room in (
        models,
        Account(rooms),
        Generations(rooms),
        Feedback(rooms),
        UsageReports(rooms),
        Activities(rooms),
        Quotes(rooms),
        Routes(rooms),
        Auth(rooms),
        Members(rooms),
        LimitReports(rooms),
        Keys(rooms),
        Profiles(rooms),
        Presets(rooms),
        Aliases(rooms),
        Workspaces(rooms),
        Webhooks(rooms),
        Alerts(rooms),
        Admin(rooms),
        AdminPlans(rooms),
        AdminProfiles(rooms),
        AdminOffers(rooms),
        AdminMembers(rooms),
    ):
        room.add_to(app.router)
    _describe(app)
    models.stock()
    return cast("Application", app)


def _describe(app: FastAPI) -> None:
    """`/openapi.json`, and `/docs` as a plain page made from it; both made once."""
    described = document(app)
    shown = page(described).encode()
    written = msgspec.json.encode(described)

    async def openapi(_: Request) -> Response:
        return encoded(written, headers={"cache-control": "public, max-age=300"})

    async def docs(_: Request) -> Response:
        return HTMLResponse(shown, headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"})

    app.router.routes.append(Route("/openapi.json", openapi, methods=["GET"]))
    app.router.routes.append(Route("/docs", docs, methods=["GET"]))


async def _refused(request: Request, error: Exception) -> Response:
    """The documented answer of an error; whatever is not ours is told as `Broken`, and logged by the server."""
    if isinstance(error, RequestValidationError):
        error = invalid(error.errors(), body=False)
    told = error if isinstance(error, TollwayError) else Broken()
    rooms: Rooms = request.app.state.rooms
    status, headers, body = refusal(told, rooms, Trace.of(request.scope))
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})


async def _unrouted(request: Request, error: Exception) -> Response:
    """The framework's own refusals: no such path, or not by this method."""
    assert isinstance(error, HTTPException)
    told: TollwayError
    match error.status_code:
        case 404 | 405:
            told = _astray(request)
        case status if status < 500:
            told = BadRequest(str(error.detail))
        case _:
            told = Broken()
    return await _refused(request, told)


def _astray(request: Request) -> Refused:
    path: str = request.scope["path"]
    routes = [route for route in request.app.router.routes if isinstance(route, Route)]
    allowed = _methods(request, routes)
    if allowed:
        text = f"{path[:_SHOWN_MAX]} takes {', '.join(allowed)}, not {request.method}"
        return MethodNotAllowed(text, allowed=list[JSON](allowed))
    known = [*HOT_PATHS, *(route.path for route in routes)]
    # Comparing takes as long as the path is: strangers do not get to choose how long.
    near = get_close_matches(path, known, n=1, cutoff=0.6) if len(path) <= _SHOWN_MAX else []
    hint = f"; did you mean {near[0]}?" if near else "; `GET /openapi.json` lists what there is"
    return NotFound(f"there is nothing at {path[:_SHOWN_MAX]}{hint}")


def _methods(request: Request, routes: Sequence[Route]) -> list[str]:
    """The methods that the path takes, HEAD among them where GET is; none when there is no such path."""
    path: str = request.scope["path"]
    found = set[str](HOT_PATHS.get(path, ()))
    # `/v1/members/invitations` is no member.
    for route in [one for one in routes if one.path == path] or routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE and route.methods:
            found |= route.methods
    if "GET" in found:
        found.add("HEAD")
    return sorted(found)
