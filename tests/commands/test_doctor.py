"""`tollway doctor`: what is found, how bad it is, and what to do about it."""

import asyncio
import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from commands.terminal import Terminal
from store.world import opened
from tollway.commands.reach import status_of

KEY = "sk-0123456789abcdef"


class Doctor:
    def __init__(self, tollway: Terminal) -> None:
        self._tollway = tollway

    def __call__(self, *arguments, code=0):
        ran = self._tollway("doctor", "--port", "0", *arguments, "--json")
        assert ran.code == code, ran.out
        assert KEY not in ran.out + ran.err
        checks = json.loads(ran.out)["checks"]
        return {what: [(one["level"], one["found"], one["fix"]) for one in checks if one["what"] == what] for what in
                {one["what"] for one in checks}}  # fmt: skip


@pytest.fixture
def doctor(tollway):
    return Doctor(tollway)


@pytest.fixture
def folder(tmp_path):
    """A data folder that a server has made and left."""

    async def live():
        async with opened(tmp_path / "tollway-data"):
            pass

    asyncio.run(live())
    (tmp_path / "tollway-data" / "pepper").write_bytes(b"p" * 32)
    (tmp_path / "tollway-data" / "pepper").chmod(0o600)
    return tmp_path / "tollway-data"


def test_before_the_first_start_all_is_well_but_there_is_no_key(doctor):
    found = doctor()
    assert found["settings"] == [("ok", "defaults; there is no tollway.toml", None)]
    assert found["data"] == [("ok", "tollway-data is not there yet; the first `tollway serve` makes it", None)]
    assert found["pepper"] == [("ok", "made on the first start", None)]
    assert found["lock"] == [("ok", "no server is running", None)]
    assert found["port"] == [("ok", "any free port is taken", None)]
    assert found["provider simulated"][0][0] == "ok"
    assert found["local model"] == [("ok", "installed; `tollway serve` starts it", None)]
    level, said, fix = found["providers"][0]
    assert (level, said) == ("warn", "no provider key is set: only models that need none answer")
    assert "OPENAI_API_KEY" in fix
    assert "database" not in found
    assert "online" not in found


def test_nothing_is_changed(doctor, tmp_path):
    doctor()
    assert list(tmp_path.iterdir()) == []


def test_the_text_has_a_line_for_each_and_a_sum(tollway):
    ran = tollway("doctor", "--port", 0, "--config", "none.toml")
    assert ran.code == 1
    assert ran.out == (
        "FAIL  settings  none.toml: file: there is no such file\n"
        "      fix: name another with --config, or leave it out\n"
        "\n"
        "1 fail\n"
    )
    assert tollway("doctor", "--port", 0).out.endswith("ok, 1 warn\n")


def test_a_folder_that_was_served_from(doctor, folder):
    found = doctor()
    assert found["data"] == [("ok", "tollway-data is writable", None)]
    assert found["database"][0][0] == "ok"
    assert found["pepper"][0][0] == "ok"
    assert found["lock"] == [("ok", "no server is running", None)]


def test_keys_are_told_by_their_last_four(doctor, tollway):
    tollway.set("OPENAI_API_KEY", KEY)
    found = doctor()
    assert found["provider openai"][0][1].startswith("key ...cdef, ")
    assert "providers" not in found


def test_a_short_key_is_not_told_at_all(doctor, tollway):
    tollway.set("OPENAI_API_KEY", "short")
    assert doctor()["provider openai"][0][1].startswith("key ..., ")


def test_a_key_variable_that_is_not_set(doctor, tmp_path):
    (tmp_path / "tollway.toml").write_text('[providers.openai]\nkey_env = "MY_KEY"\n')
    assert doctor()["provider openai"] == [("warn", "MY_KEY is not set", "export MY_KEY=...")]


def test_a_file_with_keys_that_others_may_read(doctor, tmp_path):
    file = tmp_path / "tollway.toml"
    file.write_text(f'[providers.openai]\nkey = "{KEY}"\n')
    file.chmod(0o644)
    assert ("warn", "tollway.toml has keys in it, and others may read it", "chmod 600 tollway.toml") in doctor()[
        "settings"
    ]
    file.chmod(0o600)
    assert doctor()["settings"] == [("ok", "tollway.toml", None)]


def test_a_variable_nobody_reads(doctor, tollway):
    tollway.set("TOLLWAY_PROT", "1")
    assert ("warn", "TOLLWAY_PROT is set and is no setting", "did you mean TOLLWAY_PORT?") in doctor()["settings"]


def test_metrics_that_everybody_can_read(doctor, tollway):
    said = ("warn", "/metrics is open to whoever reaches 0.0.0.0", "set server.metrics_key")
    assert said in doctor("--host", "0.0.0.0")["settings"]
    tollway.set("TOLLWAY_SERVER_METRICS_KEY", "k")
    assert said not in doctor("--host", "0.0.0.0")["settings"]


def test_a_pepper_that_others_may_read(doctor, folder):
    (folder / "pepper").chmod(0o644)
    level, said, fix = doctor(code=1)["pepper"][0]
    assert (level, fix) == ("fail", "chmod 600 tollway-data/pepper")
    assert "open to other users" in said


def test_a_pepper_that_is_gone(doctor, folder, tollway):
    (folder / "pepper").unlink()
    assert doctor(code=1)["pepper"][0][0] == "fail"
    tollway.set("TOLLWAY_PEPPER", "x" * 32)
    assert doctor()["pepper"] == [("ok", "from TOLLWAY_PEPPER", None)]


def test_a_database_that_is_none(doctor, folder):
    for extra in ("-wal", "-shm"):
        (folder / f"tollway.db{extra}").unlink(missing_ok=True)
    (folder / "tollway.db").write_bytes(b"no database at all" * 100)
    level, said, fix = doctor(code=1)["database"][0]
    assert (level, fix) == ("fail", "restore it from a backup")
    assert "not a database" in said


def test_a_folder_that_is_a_file(doctor, tmp_path):
    (tmp_path / "file").write_text("")
    assert doctor("--data", "file", code=1)["data"] == [("fail", "file is not a folder", "name another with --data")]


def test_a_folder_open_to_others(doctor, folder):
    folder.chmod(0o755)
    assert doctor()["data"] == [("warn", "tollway-data is open to other users", "chmod 700 tollway-data")]


def test_a_clock_behind_the_ledger(doctor, folder):
    os.utime(folder / "tollway.db", (2**32, 2**32))
    level, said, fix = doctor(code=1)["clock"][0]
    assert (level, fix) == ("fail", "set this machine's clock")
    assert "later than that" in said


def test_a_running_server_is_asked(doctor, folder, web):
    async def live():
        async with opened(folder):
            (folder / "server.json").write_text(json.dumps({"url": web.url, "pid": os.getpid(), "token": "t"}))
            return await asyncio.to_thread(doctor)

    found = asyncio.run(live())
    assert found["lock"] == [("ok", f"a running server owns it (process {os.getpid()})", None)]
    assert found["server"] == [("ok", f"answers at {web.url}", None)]
    assert "port" not in found


def test_a_running_server_that_does_not_answer(doctor, folder):
    async def live():
        async with opened(folder):
            (folder / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1"}))
            return await asyncio.to_thread(doctor, code=1)

    assert asyncio.run(live())["server"][0][:2] == ("fail", "does not answer at http://127.0.0.1:1: Connection refused")


def test_a_port_that_is_taken(tollway):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ran = tollway("doctor", "--port", port)
    assert ran.code == 1
    assert f"127.0.0.1:{port}: another program listens there" in ran.out


def test_an_address_this_machine_has_not(tollway):
    ran = tollway("doctor", "--port", 0, "--host", "no.such.host.invalid")
    assert "this machine has no such address" in ran.out


def test_a_catalogue_that_cannot_be_read(doctor, tmp_path):
    (tmp_path / "tollway.toml").write_text("[providers.unheard-of]\nname = 'x'\n")
    level, said, fix = doctor(code=1)["catalogue"][0]
    assert (level, said) == ("fail", "tollway.toml:1: providers.unheard-of.url: no base URL")
    assert fix == "add one, such as https://host/v1"


# --- over the network ---


class Web:
    """A web server: `answers` says the status per path, `seen` what was asked."""

    def __init__(self) -> None:
        web = self
        self.answers = {"/healthz": 200}
        self.seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                web.seen.append((self.path, dict(self.headers)))
                status = web.answers.get(self.path.partition("?")[0], 404)
                self.send_response(status)
                if status == 302:
                    self.send_header("location", f"{web.url}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def web():
    server = Web()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.mark.parametrize(
    ("status", "level", "said"),
    [
        (200, "ok", "answers, and takes our key"),
        (401, "fail", "refuses our key (401)"),
        (403, "fail", "refuses our key (403)"),
        (404, "ok", "answers; it has no list of models (404), so the key was not tried"),
        (500, "warn", "answers with 500"),
        (302, "warn", "answers with 302"),
    ],
)
def test_providers_are_asked_online(doctor, tmp_path, web, *, status, level, said):
    (tmp_path / "tollway.toml").write_text(
        f'[providers.mine]\nurl = "{web.url}/v1"\nkey = "{KEY}"\n[[providers.mine.models]]\nid = "m"\nfree = true\n'
    )
    (tmp_path / "tollway.toml").chmod(0o600)
    web.answers["/v1/models"] = status
    found = doctor("--online", code=1 if level == "fail" else 0)
    assert found["online mine"][0][:2] == (level, said)
    [(path, headers)] = web.seen  # a redirect is not followed
    assert (path, headers["Authorization"]) == ("/v1/models", f"Bearer {KEY}")


def test_each_dialect_is_asked_in_its_own_way(doctor, tollway, web):
    web.answers |= {"/v1/models": 200, "/v1beta/models": 200}
    for name, url in (("ANTHROPIC", web.url), ("OPENAI", f"{web.url}/v1"), ("GEMINI", web.url)):
        tollway.set(f"{name}_BASE_URL", url)
        tollway.set(f"{name}_API_KEY", KEY)
    found = doctor("--online")
    for name in ("anthropic", "openai", "google"):
        assert found[f"online {name}"] == [("ok", "answers, and takes our key", None)]
    given = {path: headers for path, headers in web.seen if path == "/v1beta/models"}
    assert {name.lower(): text for name, text in given["/v1beta/models"].items()}["x-goog-api-key"] == KEY
    assert any("anthropic-version" in {name.lower() for name in headers} for _, headers in web.seen)


def test_without_a_provider_nobody_is_asked(doctor):
    assert doctor("--online")["online"] == [("ok", "no provider is configured", None)]


def test_no_answer_in_time():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        assert status_of(f"http://127.0.0.1:{port}/", timeout_s=0.05) == "no answer in 0.05 s"


def test_what_is_no_address_is_not_asked():
    assert status_of("file:///etc/passwd") == "not an HTTP address"
