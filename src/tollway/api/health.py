"""`/healthz`, `/readyz` and `/metrics`: answered without the framework, so that probes never wait for it."""

import hmac
from collections.abc import Callable, Mapping

import msgspec

from tollway.api.asgi import Scope
from tollway.api.problems import JSON_TYPE, Headers
from tollway.api.rooms import Rooms
from tollway.errors import InvalidKey, MethodNotAllowed, MissingKey
from tollway.gateway.admit import credential

Answer = tuple[int, Headers, bytes]
Probe = Callable[[Scope], Answer]
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Health:
    """The three probes."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._probes: Mapping[str, Probe] = {
            "/healthz": self.alive,
            "/readyz": self.ready,
            "/metrics": self.metrics,
        }

    def answer(self, scope: Scope) -> Answer | None:
        """A probe's answer, None for any other path. Raises MethodNotAllowed, MissingKey, InvalidKey."""
        probe = self._probes.get(scope["path"])
        if probe is not None and scope["method"] != "GET":
            raise MethodNotAllowed(f"{scope['path']} takes GET", allowed=["GET", "HEAD"])
        return None if probe is None else probe(scope)

    def alive(self, _: Scope) -> Answer:
        """200 as long as the process answers at all."""
        return _json(200, {"status": "ok"})

    def ready(self, _: Scope) -> Answer:
        """200 when requests are served: the ledger can be written, there is a catalogue, no drain; else 503."""
        rooms = self._rooms
        checks = {
            "ledger": "ok" if rooms.store.ledger.is_available else "unavailable",
            "catalogue": "ok" if rooms.catalogue().models else "empty",
            "server": "draining" if rooms.is_draining() else "ok",
        }
        is_ready = all(state == "ok" for state in checks.values())
        return _json(200 if is_ready else 503, {"status": "ready" if is_ready else "not_ready", "checks": checks})

    def metrics(self, scope: Scope) -> Answer:
        """The Prometheus text; refused without the metrics key where one is set."""
        key = self._rooms.metrics_key
        if key:
            self._check(scope, key)
        text = self._rooms.metrics()
        return 200, [(b"content-type", CONTENT_TYPE), (b"content-length", b"%d" % len(text))], text

    def _check(self, scope: Scope, key: str) -> None:
        given = dict[bytes, bytes](scope["headers"]).get(b"authorization")
        try:
            secret = credential(given, None)
        except MissingKey:
            raise MissingKey("metrics are read with `Authorization: Bearer <metrics key>`") from None
        if not hmac.compare_digest(secret.encode(), key.encode()):
            raise InvalidKey("this is not the metrics key of this installation")


def _json(status: int, value: Mapping[str, str | Mapping[str, str]]) -> Answer:
    body = msgspec.json.encode(value)
    headers: Headers = [JSON_TYPE, (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
    return status, headers, body
