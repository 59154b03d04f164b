"""nginx twice: the upstream that answers at once from memory, and the bare reverse proxy that everything is compared with."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import answers
from machine import pinned
from target import Process, Request, Target, free_port

# nginx refuses a parameter longer than 4096 bytes, so a longer answer is put together from parts.
_PART = 2000

_CONFIG = """\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_body_buffer_size 64k;
    tcp_nodelay on;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    %(servers)s
}
"""

_UPSTREAM = """\
server {
        listen 127.0.0.1:%(port)d backlog=4096;
        location = /health { return 200 "ok"; }
        location /json/ { default_type application/json; %(whole)s }
        location /sse/ { default_type text/event-stream; %(stream)s }
    }
"""

_PROXY = """\
upstream behind {
        server 127.0.0.1:%(behind)d;
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 3600s;
    }
    server {
        listen 127.0.0.1:%(port)d backlog=4096;
        location / {
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
        location /sse/ {
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
    }
"""


def requests(base: str, model: str = "bench") -> dict[str, Request]:
    """For whatever takes the upstream's own paths: base + /json/v1 and /sse/v1."""
    headers = {"authorization": "Bearer sk-bench"}
    return {
        shape: Request(f"{base}/{shape}/v1/chat/completions", answers.question(model, streams=shape == "sse"), headers)
        for shape in ("json", "sse")
    }


@contextlib.contextmanager
def upstream(folder: Path, cores: list[int]) -> Iterator[Target]:
    """The zero-delay upstream, as a target too: what the load reaches with no gateway between."""
    port = free_port()
    server = _UPSTREAM % {"port": port, "whole": _return(answers.whole()), "stream": _return(answers.stream())}
    with _nginx("upstream", folder, server, cores) as process:
        process.wait_ready(f"http://127.0.0.1:{port}/health")
        yield Target("upstream", requests(f"http://127.0.0.1:{port}"), process, {"version": version()})


@contextlib.contextmanager
def proxy(folder: Path, cores: list[int], behind: str) -> Iterator[Target]:
    """nginx as a bare reverse proxy with connections kept alive; `behind` is the upstream's base URL."""
    port = free_port()
    server = _PROXY % {"port": port, "behind": int(behind.rpartition(":")[2])}
    with _nginx("nginx", folder, server, cores) as process:
        process.wait_ready(f"http://127.0.0.1:{port}/health")
        yield Target("nginx", requests(f"http://127.0.0.1:{port}"), process, {"version": version()})


def version() -> str:
    """Of the installed nginx."""
    said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().rpartition("/")[2]


@contextlib.contextmanager
def _nginx(name: str, folder: Path, servers: str, cores: list[int]) -> Iterator[Process]:
    home = folder / name
    home.mkdir()
    (home / "nginx.conf").write_text(_CONFIG % {"servers": servers})
    with Process(name, pinned(["nginx", "-p", f"{home}/", "-c", "nginx.conf"], cores)) as process:
        yield process


def _return(body: bytes) -> str:
    """The directives that answer with these bytes, from memory."""
    text = body.decode()
    assert "$" not in text, "nginx would read it as a variable"
    quoted = [
        text[start : start + _PART].replace("\\", "\\\\").replace('"', '\\"') for start in range(0, len(text), _PART)
    ]
    # A line break inside quotes is itself in nginx's language; only the quote and the backslash are special.
    names = [f"$part{number}" for number in range(len(quoted))]
    sets = "".join(f'set {name} "{part}"; ' for name, part in zip(names, quoted, strict=True))
    return f'{sets}return 200 "{"".join(f"${{{name[1:]}}}" for name in names)}";'


if __name__ == "__main__":
    sys.exit("run: python bench/run.py")
