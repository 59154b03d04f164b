"""The bare Python proxy: uvicorn and pyreqwest forwarding with no logic, the most that a Python gateway could reach.

    python bench/bare_proxy.py --port N --upstream http://127.0.0.1:M

A path with `/sse/` in it is streamed chunk by chunk, everything else is read whole, as the gateway does for each.
"""

import argparse
from typing import Any

import uvicorn
from pyreqwest.client import ClientBuilder


def application(upstream: str) -> Any:
    """An ASGI application that posts what it gets to the same path upstream and sends back what comes."""
    client = ClientBuilder().follow_redirects(False).no_proxy().pool_max_idle_per_host(256).build()

    async def forward(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {"content-type": "application/json"}
        for name, value in scope["headers"]:
            if name == b"authorization":
                headers["authorization"] = value.decode()
        request = client.post(upstream + scope["path"]).headers(headers).body_bytes(body)
        if "/sse/" in scope["path"]:
            async with request.streamed_read_buffer_limit(0).build_streamed() as response:
                head = [(b"content-type", b"text/event-stream")]
                await send({"type": "http.response.start", "status": response.status, "headers": head})
                while (chunk := await response.body_reader.read_chunk()) is not None:
                    await send({"type": "http.response.body", "body": bytes(chunk), "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        else:
            response = await request.build().send()
            answer = bytes(await response.bytes())
            head = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
            await send({"type": "http.response.start", "status": response.status, "headers": head})
            await send({"type": "http.response.body", "body": answer})

    return forward


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--upstream", required=True)
    chosen = options.parse_args()
    uvicorn.run(
        application(chosen.upstream),
        port=chosen.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        backlog=4096,
    )


if __name__ == "__main__":
    main()
