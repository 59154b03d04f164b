"""One request beside the hot path: its id, the window that it was counted in, and how it is refused."""

from tollway.api.asgi import Scope
from tollway.api.problems import Headers, error_response
from tollway.api.rooms import Rooms
from tollway.errors import TollwayError
from tollway.ports import Window

_PLACE = "tollway.trace"


class Trace:
    """A request: its id, and its window once its caller is known. Lies in the ASGI scope while the request lasts."""

    __slots__ = ("request_id", "window")
    window: Window | None

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.window = None

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
