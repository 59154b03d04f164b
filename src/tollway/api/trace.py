"""One request beside the hot path: its id, who it turned out to be, and how it is refused."""

from tollway.api.asgi import Scope
from tollway.api.problems import Headers, error_response
from tollway.api.rooms import Rooms
from tollway.errors import TollwayError
from tollway.gateway.admit import Caller

_PLACE = "tollway.trace"


class Trace:
    """A request: its id, and its caller once admitted. Lies in the ASGI scope while the request lasts."""

    __slots__ = ("caller", "request_id")
    caller: Caller | None

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.caller = None

    def inside(self, scope: Scope, method: str) -> Scope:
        """A scope that carries this trace, and another method than the caller's where HEAD is answered as GET."""
        return {**scope, _PLACE: self, "method": method}

    @staticmethod
    def of(scope: Scope) -> "Trace":
        """The trace that a scope carries."""
        found: Trace = scope[_PLACE]
        return found


def refusal(error: TollwayError, rooms: Rooms, trace: Trace) -> tuple[int, Headers, bytes]:
    """(status, headers, body) of an error; counted."""
    rooms.telemetry.refused(error.code, error.status, trace.request_id)
    allowed = error.details.get("allowed")
    methods = ", ".join(map(str, allowed)) if isinstance(allowed, list) else ""
    return error_response(error, [(b"allow", methods.encode())] if methods else [])
