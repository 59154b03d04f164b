"""A revoked key over HTTP, under load: no request that starts after the answer to the revocation is let in."""

import http.client
import json
import threading
import time
from typing import Self

import pytest

from support.gateway import Gateway

pytestmark = pytest.mark.servers
BODY = json.dumps({"model": "simulated/echo", "messages": [{"role": "user", "content": "Hi"}]})
CLIENTS = 4


class Load:
    """Clients that ask one request after the other, each on its own connection; (started at, status) of each."""

    def __init__(self, port: int, secret: str) -> None:
        self.seen: list[tuple[float, int, str]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(port, secret)) for _ in range(CLIENTS)]

    def _run(self, port: int, secret: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        while not self._stop.is_set():
            started = time.monotonic()
            connection.request("POST", "/v1/chat/completions", BODY, headers)
            reply = connection.getresponse()
            answer = reply.read().decode()
            self.seen.append((started, reply.status, answer))
        connection.close()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        end = time.monotonic() + 20
        while len(self.seen) < count and time.monotonic() < end:
            time.sleep(0.01)
        assert len(self.seen) >= count


def key_of(gateway: Gateway, workspace: str) -> tuple[str, str]:
    _, body, _ = gateway.ask("POST", "/admin/keys", {"workspace_id": workspace, "name": "k"}, gateway.admin)
    return body["data"]["id"], body["key"]


def test_no_request_passes_after_the_answer(tmp_path) -> None:
    with Gateway(tmp_path) as gateway:
        organization = gateway.ask("GET", "/admin/organizations", None, gateway.admin)[1]["data"][0]
        workspace = organization["workspaces"][0]["id"]
        second = gateway.ask(
            "POST", "/admin/workspaces", {"organization_id": organization["id"], "name": "second"}, gateway.admin
        )[1]["data"]["id"]
        for path, method, body, told, of in (
            ("/admin/keys/{key}", "DELETE", None, "revoked", workspace),
            ("/admin/keys/{key}", "PATCH", {"disabled": True}, "disabled", workspace),
            ("/admin/keys/{key}/rotate", "POST", {}, "not known", workspace),
            ("/admin/workspaces/" + second, "DELETE", None, "deleted", second),
        ):
            key, secret = key_of(gateway, of)
            with Load(gateway.port, secret) as load:
                load.wait_for(40)
                while True:  # a workspace is not deleted while one of its requests runs
                    status, reply, _ = gateway.ask(method, path.format(key=key), body, gateway.admin)
                    if status != 409:
                        break
                    assert reply["error"]["code"] == "workspace_in_use"
                answered = time.monotonic()
                assert status == 200, reply
                load.wait_for(len(load.seen) + 40)
            assert {status for started, status, _ in load.seen if started > answered} == {401}
            assert {status for _, status, _ in load.seen} == {200, 401}
            last = json.loads(load.seen[-1][2])["error"]
            assert told in last["message"], last
        assert gateway.stop() == 0
        gateway.audit()
